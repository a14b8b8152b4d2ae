//! Tries what a release is made of as its users would: each file for this machine is installed and run.

mod container;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::arch::Arch;
use crate::archive::names;
use crate::project::Project;
use crate::release::say;
use crate::run::{output, run};
use crate::{Outcome, place};

/// The options of `cargo xtask try`.
#[derive(Debug, Args)]
pub struct TrialArgs {
    /// Where the files of the release are
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,
    /// Leave the .rpm out
    #[arg(long)]
    skip_rpm: bool,
}

/// The files of a release, and what is known of them.
struct Trial {
    dist: PathBuf,
    arch: Arch,
    version: String,
    image: String,
    /// A folder that is empty at the beginning.
    work: PathBuf,
}

const RPM: &str = "the .rpm";

type Attempt = fn(&Trial) -> Outcome;

/// Tries all of them; the first that fails ends it.
pub fn run_all(args: &TrialArgs) -> Outcome {
    let project = Project::read()?;
    let arch = Arch::here().ok_or("nothing is built for this machine")?;
    let work = place::cache().join("try");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work)?;
    let trial = Trial {
        dist: place::root().join(&args.dist).canonicalize().map_err(|error| {
            format!("{}: {error}: cargo xtask release makes it", args.dist.display())
        })?,
        arch,
        version: project.version,
        image: project.image,
        work,
    };
    let tries: [(&str, Attempt); 6] = [
        ("the sums", Trial::sums),
        ("the archive, its man page and completions", Trial::archive),
        (RPM, Trial::rpm),
        ("the wheel", Trial::wheel),
        ("the .deb", Trial::deb),
        ("the image", Trial::image),
    ];
    for (what, attempt) in tries {
        if args.skip_rpm && what == RPM {
            continue;
        }
        attempt(&trial).map_err(|error| format!("{what}: {error}"))?;
        say(&format!("tried {what}"));
    }
    Ok(())
}

impl Trial {
    /// The only file with such a beginning and end, for this architecture.
    fn file(&self, start: &str, end: &str) -> Outcome<PathBuf> {
        let is_it = |name: &String| name.starts_with(start) && name.ends_with(end);
        let mut found = names(&self.dist)?.into_iter().filter(is_it);
        match (found.next(), found.next()) {
            (Some(name), None) => Ok(self.dist.join(name)),
            (None, _) => Err(format!("{start}*{end} is missing in {}", self.dist.display()).into()),
            _ => Err(format!("there are several {start}*{end}").into()),
        }
    }

    fn bare(&self) -> Outcome<Vec<u8>> {
        let name = format!("reprieve-{}-linux-{}", self.version, self.arch.of_images());
        Ok(fs::read(self.dist.join(name))?)
    }

    /// That a file is the binary that is released by itself, and runs.
    fn is_the_binary(&self, path: &Path) -> Outcome {
        if fs::read(path)? != self.bare()? {
            return Err(format!("{} is another binary", path.display()).into());
        }
        self.says_its_version(Command::new(path).arg("--version"))
    }

    fn says_its_version(&self, command: &mut Command) -> Outcome {
        let said = output(command)?;
        match said.trim() == format!("reprieve {}", self.version) {
            true => Ok(()),
            false => Err(format!("it says {said:?} for --version").into()),
        }
    }

    fn sums(&self) -> Outcome {
        let mut sums = Command::new("sha256sum");
        sums.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&self.dist);
        output(&mut sums).map(drop)
    }

    fn archive(&self) -> Outcome {
        let name = format!("reprieve-{}-{}-linux", self.version, self.arch.name());
        let archive = self.dist.join(format!("{name}.tar.gz"));
        output(Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(&self.work))?;
        let folder = self.work.join(name);
        self.is_the_binary(&folder.join("reprieve"))?;
        man_renders(&folder.join("man/reprieve.1"))?;
        let completions = folder.join("completions");
        let bash = format!(
            "source {} && complete -p reprieve",
            completions.join("reprieve.bash").display()
        );
        output(Command::new("bash").args(["--norc", "-c", &bash]))?;
        // compinit finds it by its first line, and it is loaded at the first use.
        let zsh = format!(
            "fpath=({} $fpath); autoload -Uz compinit && compinit -u -D && \
             [[ $_comps[reprieve] == _reprieve ]] && autoload +X _reprieve",
            completions.display()
        );
        output(Command::new("zsh").args(["-f", "-c", &zsh]))?;
        let lint = self.file("reprieve-lint-", &format!("-{}-linux.tar.gz", self.arch.name()))?;
        output(Command::new("tar").arg("xzf").arg(&lint).arg("-C").arg(&self.work))?;
        let folder = lint.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = self.work.join(folder.trim_end_matches(".tar.gz"));
        let mut lint = Command::new(folder.join("reprieve-lint"));
        output(lint.arg(place::root().join("examples/compose"))).map(drop)
    }

    fn rpm(&self) -> Outcome {
        let package = self.file("reprieve-", &format!(".{}.rpm", self.arch.name()))?;
        let root = self.work.join("rpm");
        fs::create_dir_all(&root)?;
        let archive = self.work.join("rpm.cpio");
        let mut rpm2cpio = Command::new("rpm2cpio");
        rpm2cpio.arg(package).stdout(fs::File::create(&archive)?);
        // It exits with 1 where the header does not say how long all is, which rpm itself can do without. What
        // came out is judged below.
        rpm2cpio
            .status()
            .map_err(|error| format!("rpm2cpio: {error}: apt-get install rpm2cpio cpio"))?;
        let mut cpio = Command::new("cpio");
        cpio.args(["--extract", "--make-directories", "--quiet"]).current_dir(&root);
        run(cpio.stdin(fs::File::open(&archive)?))?;
        for file in [
            "usr/share/man/man1/reprieve.1.gz",
            "usr/share/bash-completion/completions/reprieve",
            "usr/share/zsh/site-functions/_reprieve",
            "usr/share/licenses/reprieve/LICENSE-MIT",
        ] {
            if !root.join(file).is_file() {
                return Err(format!("it lacks {file}").into());
            }
        }
        self.is_the_binary(&root.join("usr/bin/reprieve"))
    }

    /// As a user of PyPI, but from the folder: pip chooses the file for this machine.
    fn wheel(&self) -> Outcome {
        let environment = self.work.join("venv");
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-index"]);
        output(pip.arg("--find-links").arg(&self.dist).arg("reprieve"))?;
        self.is_the_binary(&environment.join("bin/reprieve"))
    }
}

/// Renders without a warning, as `man` would show it.
fn man_renders(page: &Path) -> Outcome {
    let mut man = Command::new("man");
    man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
    man.args(["--warnings", "-l"]).arg(page).stdin(Stdio::null());
    let said = man.output().map_err(|error| format!("man: {error}: apt-get install man-db"))?;
    let (text, warnings) =
        (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    if !said.status.success() || !warnings.trim().is_empty() {
        return Err(format!("man: {}\n{warnings}", said.status).into());
    }
    match text.contains("REPRIEVE_GRACE_PERIOD") {
        true => Ok(()),
        false => Err("the man page lacks a variable".into()),
    }
}
