//! The two architectures, and what each tool calls them.

use clap::ValueEnum;

/// What a release is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Aarch64,
}

impl Arch {
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    /// As Rust, the kernel, RPM and Python call it.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }

    /// As Docker, Kubernetes and Debian call it.
    pub fn of_images(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
        }
    }

    /// Rust's target: static, so that the binary runs in any image.
    pub fn target(self) -> String {
        format!("{}-unknown-linux-musl", self.name())
    }

    /// That of this machine, if it is one of the two.
    pub fn here() -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.name() == std::env::consts::ARCH)
    }
}
