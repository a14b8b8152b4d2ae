//! The Python wheel by maturin, and the SBOM that maturin writes into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arch::Arch;
use crate::archive::names;
use crate::project::unwanted;
use crate::run::{output, run};
use crate::{Outcome, place};

/// What is installed from PyPI, into a virtual environment of the task's own.
const TOOLS: [&str; 2] = ["maturin==1.16.0", "wheel==0.45.1"];

/// A static binary needs no libc, so that these are true of it.
const TAGS: [&str; 2] = ["manylinux2014", "musllinux_1_1"];

/// Builds the wheel, and returns its SBOM (CycloneDX).
pub fn build(arch: Arch, epoch: u64, dist: &Path) -> Outcome<String> {
    let bin = tools()?;
    let work = place::cache().join("wheel").join(arch.name());
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work)?;
    let mut maturin = Command::new(bin.join("maturin"));
    unwanted().for_each(|variable| {
        maturin.env_remove(variable);
    });
    maturin.current_dir(place::root()).env("SOURCE_DATE_EPOCH", epoch.to_string());
    maturin.args(["build", "--quiet", "--release", "--locked", "--target", &arch.target()]);
    // It would look for the libraries of a binary that has none.
    maturin.args(["--auditwheel", "skip", "--compatibility"]).args(TAGS).arg("--out").arg(&work);
    output(&mut maturin)?;
    let wheel = only(&work, "maturin's wheel")?;
    without_place(&bin, &work, &wheel, epoch, dist)
}

/// maturin writes the folder of the project into the SBOM, which is the machine's and no one else's.
fn without_place(
    bin: &Path,
    work: &Path,
    wheel: &Path,
    epoch: u64,
    dist: &Path,
) -> Outcome<String> {
    let unpacked = work.join("unpacked");
    let wheel_tool = || {
        let mut tool = Command::new(bin.join("wheel"));
        tool.env("SOURCE_DATE_EPOCH", epoch.to_string());
        tool
    };
    output(wheel_tool().arg("unpack").arg(wheel).arg("--dest").arg(&unpacked))?;
    let content = only(&unpacked, "the unpacked wheel")?;
    let mut info = names(&content)?.into_iter().filter(|name| name.ends_with(".dist-info"));
    let info = content.join(info.next().ok_or("the wheel has no .dist-info")?);
    let sbom = only(&info.join("sboms"), "the SBOM")?;
    let told = fs::read_to_string(&sbom)?;
    let root = place::root().canonicalize()?;
    let cleaned = told.replace(&format!("file://{}", root.display()), "file://.");
    if cleaned.contains(&root.display().to_string()) {
        return Err(format!("{} tells where it was built", sbom.display()).into());
    }
    fs::write(&sbom, &cleaned)?;
    output(wheel_tool().arg("pack").arg(&content).arg("--dest-dir").arg(dist))?;
    Ok(cleaned)
}

/// The only entry of a folder.
fn only(folder: &Path, what: &str) -> Outcome<PathBuf> {
    match &names(folder)?[..] {
        [name] => Ok(folder.join(name)),
        all => Err(format!("{what} is not alone in {}: {all:?}", folder.display()).into()),
    }
}

/// The folder of the programs that make a wheel. They are installed where they are not yet.
fn tools() -> Outcome<PathBuf> {
    let folder = place::cache().join("python");
    let (bin, made) = (folder.join("bin"), folder.join("installed"));
    let wanted = TOOLS.join(" ");
    if fs::read_to_string(&made).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    run(Command::new(bin.join("pip")).args(pip).args(TOOLS)).map_err(|error| {
        format!("{error}\nthe wheel is made by {wanted}, which pip could not install")
    })?;
    fs::write(&made, wanted)?;
    Ok(bin)
}
