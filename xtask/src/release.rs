//! What a release is: all files of `dist/`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::arch::Arch;
use crate::archive::{Entry, gzip, names, tar, write_sums};
use crate::binary::{Program, Share, build};
use crate::image::{Image, oci_layout};
use crate::project::Project;
use crate::{Outcome, packages, place, wheel};

/// The options of `cargo xtask release`.
#[derive(Clone, Debug, Args)]
pub struct ReleaseArgs {
    /// Build it twice, the second time in another folder and with another cargo home, and compare
    #[arg(long)]
    pub check: bool,
    /// For this architecture alone
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// Make no .rpm
    #[arg(long)]
    pub skip_rpm: bool,
    /// Take the Rust that is in use, whichever it is
    #[arg(long)]
    pub any_rust: bool,
    /// Where the files go; what is there is removed
    #[arg(long, value_name = "DIR", default_value = "dist")]
    pub dist: PathBuf,
}

impl ReleaseArgs {
    pub fn arches(&self) -> Vec<Arch> {
        self.arch.map_or_else(|| Arch::ALL.to_vec(), |arch| vec![arch])
    }
}

/// Makes a release, and returns its folder.
pub fn make(args: &ReleaseArgs) -> Outcome<PathBuf> {
    let project = Project::read()?;
    if !args.any_rust {
        project.check_rust()?;
    }
    let epoch = project.epoch()?;
    let dist = place::root().join(&args.dist);
    empty(&dist)?;
    let share = Share::new(&project)?;
    share.write()?;
    let mut images = Vec::new();
    for arch in args.arches() {
        for program in [Program::Init, Program::Lint] {
            say(&format!("{} for {}", program.name(), arch.name()));
            build(program, arch)?;
        }
        archives(&project, arch, &share, epoch, &dist)?;
        let image = Image::new(&project, arch, &fs::read(Program::Init.file(arch))?, epoch)?;
        let name = format!("reprieve-{}-docker-{}.tar", project.version, arch.of_images());
        fs::write(dist.join(name), image.docker_archive()?)?;
        images.push(image);
        say(&format!("packages for {}", arch.name()));
        packages::deb(arch, epoch, &dist)?;
        if !args.skip_rpm {
            packages::rpm(arch, epoch, &dist)?;
        }
        let sbom = wheel::build(arch, epoch, &dist)?;
        let name = format!("reprieve-{}-{}.cdx.json", project.version, arch.name());
        fs::write(dist.join(name), sbom)?;
    }
    let name = format!("reprieve-{}-oci.tar", project.version);
    fs::write(dist.join(name), oci_layout(&images)?)?;
    write_sums(&dist)?;
    Ok(dist)
}

/// The archives of both programs, and the init's binary by itself, for `ADD` in a Dockerfile.
fn archives(project: &Project, arch: Arch, share: &Share, epoch: u64, dist: &Path) -> Outcome {
    let init = fs::read(Program::Init.file(arch))?;
    let bare = format!("reprieve-{}-linux-{}", project.version, arch.of_images());
    fs::write(dist.join(bare), &init)?;
    let name = format!("reprieve-{}-{}-linux", project.version, arch.name());
    let mut entries =
        texts(&name, &["LICENSE-APACHE", "LICENSE-MIT", "CHANGELOG.md", "README.md"])?;
    entries.push(Entry::new(format!("{name}/reprieve"), 0o755, init));
    for (file, text) in &share.files {
        let folder = match *file {
            "copyright" => continue,
            "reprieve.1" => "man",
            _ => "completions",
        };
        entries.push(Entry::new(format!("{name}/{folder}/{file}"), 0o644, text.as_str()));
    }
    fs::write(dist.join(format!("{name}.tar.gz")), gzip(&tar(entries, epoch)?)?)?;
    let name = format!("reprieve-lint-{}-{}-linux", project.lint_version, arch.name());
    let mut entries = texts(&name, &["LICENSE-APACHE", "LICENSE-MIT", "docs/lint.md"])?;
    let lint = fs::read(Program::Lint.file(arch))?;
    entries.push(Entry::new(format!("{name}/reprieve-lint"), 0o755, lint));
    fs::write(dist.join(format!("{name}.tar.gz")), gzip(&tar(entries, epoch)?)?)?;
    Ok(())
}

/// Files of the project in the folder of an archive, by their names alone.
fn texts(folder: &str, paths: &[&str]) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap_or(path);
        let text = fs::read(place::root().join(path))?;
        entries.push(Entry::new(format!("{folder}/{name}"), 0o644, text));
    }
    Ok(entries)
}

/// A folder without files. One that holds anything but a release is not ours to empty.
fn empty(dist: &Path) -> Outcome {
    if dist.is_dir() {
        for name in names(dist)? {
            let is_ours = name.starts_with("reprieve") || name == "SHA256SUMS";
            if !is_ours || !dist.join(&name).is_file() {
                return Err(format!("{} is no file of a release", dist.join(name).display()).into());
            }
            fs::remove_file(dist.join(name))?;
        }
    }
    Ok(fs::create_dir_all(dist)?)
}

/// What is being done now.
pub fn say(what: &str) {
    eprintln!("cargo xtask: {what}");
}
