//! Whether a release has the same bytes in another folder and with another cargo home.

use std::fs;
use std::path::{Path, PathBuf};

use crate::archive::{names, sha256};
use crate::release::{ReleaseArgs, make, say};
use crate::run::{cargo, output, run};
use crate::{Outcome, place};

/// Makes the release here, and once more elsewhere; an error names each file that differs.
pub fn run_twice(args: &ReleaseArgs) -> Outcome {
    let dist = make(args)?;
    say("once more, in another folder and with another cargo home");
    let second = Elsewhere::new()?;
    let copy = second.make(args)?;
    let (one, other) = (sums(&dist)?, sums(&copy)?);
    let differs = |line: &&String| !other.contains(line);
    let mut wrong: Vec<_> = one.iter().filter(differs).cloned().collect();
    wrong.extend(other.iter().filter(|line| !one.contains(line)).cloned());
    if !wrong.is_empty() {
        // What differs can be compared there.
        let path = second.folder.display();
        return Err(format!("not the same bytes in {path}:\n{}", wrong.join("\n")).into());
    }
    one.iter().for_each(|line| println!("same bytes: {line}"));
    Ok(fs::remove_dir_all(&second.folder)?)
}

/// A copy of what git has, or would have, in a folder of another name and length.
struct Elsewhere {
    folder: PathBuf,
}

impl Elsewhere {
    fn new() -> Outcome<Elsewhere> {
        let folder =
            std::env::temp_dir().join(format!("reprieve-elsewhere-{}", std::process::id()));
        let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
        let mut git = std::process::Command::new("git");
        let listed = output(git.args(list).current_dir(place::root()))?;
        for name in listed.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (place::root().join(name), folder.join("checkout").join(name));
            if from.exists() {
                fs::create_dir_all(to.parent().unwrap_or(&folder))?;
                fs::copy(&from, &to).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(Elsewhere { folder })
    }

    fn make(&self, args: &ReleaseArgs) -> Outcome<PathBuf> {
        let checkout = self.folder.join("checkout");
        let mut again = cargo();
        again.current_dir(&checkout).env("CARGO_HOME", self.folder.join("home"));
        again.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_MANIFEST_DIR");
        again.args(["xtask", "release"]);
        if let Some(arch) = args.arch {
            again.args(["--arch", arch.name()]);
        }
        for (is_set, option) in [(args.any_rust, "--any-rust"), (args.skip_rpm, "--skip-rpm")] {
            if is_set {
                again.arg(option);
            }
        }
        run(&mut again)?;
        Ok(checkout.join("dist"))
    }
}

/// Each file of a folder with its sum, as SHA256SUMS has them.
fn sums(folder: &Path) -> Outcome<Vec<String>> {
    let line = |name: String| -> Outcome<String> {
        Ok(format!("{}  {name}", sha256(&fs::read(folder.join(&name))?)))
    };
    names(folder)?.into_iter().map(line).collect()
}
