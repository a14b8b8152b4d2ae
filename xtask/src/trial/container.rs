//! What needs a container: the .deb in a Debian, and the image.

use std::fs;
use std::process::Command;

use crate::release::say;
use crate::run::{output, run};
use crate::trial::Trial;
use crate::{Outcome, place};

const DEBIAN: &str = "reprieve-try/debian";
const APP: &str = "reprieve-try/app";

impl Trial {
    /// Installs it by apt in a Debian without network, runs it, and removes it.
    pub fn deb(&self) -> Outcome {
        let package = self.file("reprieve_", &format!("_{}.deb", self.arch.of_images()))?;
        let name = package.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        debian()?;
        let script = format!(
            "set -e
             apt-get install -y /dist/{name} >/dev/null
             reprieve --version
             code=0; reprieve -- sh -c 'exit 7' || code=$?; [ $code = 7 ]
             dpkg --verify reprieve
             grep -q '^License: Apache-2.0$' /usr/share/doc/reprieve/copyright
             gzip -t /usr/share/man/man1/reprieve.1.gz 2>/dev/null ||
               grep -q path-exclude /etc/dpkg/dpkg.cfg.d/* 2>/dev/null
             apt-get remove -y reprieve >/dev/null
             [ ! -e /usr/bin/reprieve ]"
        );
        let mut docker = docker(["run", "--rm", "--network", "none"]);
        docker.arg("--volume").arg(format!("{}:/dist:ro", self.dist.display()));
        let said = output(docker.args([DEBIAN, "sh", "-c", &script]))?;
        match said.contains(&format!("reprieve {}", self.version)) {
            true => Ok(()),
            false => Err(format!("it says {said:?}").into()),
        }
    }

    /// Loads it, copies from it in a Dockerfile, and runs and stops that image.
    pub fn image(&self) -> Outcome {
        let name = format!("reprieve-{}-docker-{}.tar", self.version, self.arch.of_images());
        output(docker(["load", "--quiet", "--input"]).arg(self.dist.join(name)))?;
        let image = format!("{}:{}", self.image, self.version);
        let tried = self.image_runs(&image);
        output(&mut docker(["rmi", "--force", APP, &image, DEBIAN]))?;
        tried
    }

    fn image_runs(&self, image: &str) -> Outcome {
        self.says_its_version(&mut docker(["run", "--rm", image, "--version"]))?;
        debian()?;
        let folder = self.work.join("image");
        fs::create_dir_all(&folder)?;
        let dockerfile = format!(
            "FROM {DEBIAN}\nCOPY --from={image} /reprieve /reprieve\n\
             ENTRYPOINT [\"/reprieve\", \"--\"]\nCMD [\"sleep\", \"1000\"]\n"
        );
        fs::write(folder.join("Dockerfile"), dockerfile)?;
        output(docker(["build", "--quiet", "--tag", APP]).arg(&folder))?;
        let settings = ["--env", "REPRIEVE_DELAY=1s", "--env", "REPRIEVE_GRACE_PERIOD=10s"];
        let id = output(docker(["run", "--detach"]).args(settings).arg(APP))?;
        let id = id.trim();
        let stopped = output(&mut docker(["stop", "--time", "10", id]));
        let log = docker(["logs", id]).output()?;
        output(&mut docker(["rm", "--force", id]))?;
        stopped?;
        let log = String::from_utf8_lossy(&log.stderr).into_owned();
        match log.contains("forwarded SIGTERM") && log.contains("held ") {
            true => Ok(()),
            false => Err(format!("it was stopped, and said:\n{log}").into()),
        }
    }
}

fn docker<const N: usize>(args: [&str; N]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(args);
    docker
}

/// The image of a Debian that debootstrap has made. The tests in containers keep one, which is taken.
fn debian() -> Outcome {
    if output(&mut docker(["image", "inspect", "--format", "ok", DEBIAN])).is_ok() {
        return Ok(());
    }
    let of_tests = place::target().join("tmp/debian-bookworm-1.tar");
    let ours = place::cache().join("debian.tar");
    let archive = if of_tests.exists() { of_tests } else { ours };
    if !archive.exists() {
        let folder = place::cache().join("debian");
        let _ = fs::remove_dir_all(&folder);
        say("debootstrap makes a Debian");
        output(Command::new("debootstrap").args(["--variant=minbase", "bookworm"]).arg(&folder))?;
        let part = archive.with_extension("part");
        let mut tar = Command::new("tar");
        tar.arg("--directory").arg(&folder).args(["--exclude=./var/cache/apt/archives/*.deb"]);
        run(tar.arg("--create").arg("--file").arg(&part).arg("."))?;
        fs::remove_dir_all(&folder)?;
        fs::rename(part, &archive)?;
    }
    output(docker(["import"]).arg(archive).arg(DEBIAN)).map(drop)
}
