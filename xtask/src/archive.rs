//! Archives of the same bytes wherever they are made: names in order, one time, no owner.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::Outcome;

/// A file in an archive.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    /// `0o755` for what is executed.
    pub mode: u32,
    pub bytes: Vec<u8>,
}

impl Entry {
    pub fn new(name: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) -> Entry {
        Entry { name: name.into(), mode, bytes: bytes.into() }
    }
}

/// The files, and the folders that they are in, in order, all of one second.
pub fn tar(mut entries: Vec<Entry>, epoch: u64) -> Outcome<Vec<u8>> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let mut folders: Vec<String> = entries
        .iter()
        .flat_map(|entry| entry.name.match_indices('/').map(|(at, _)| entry.name[..=at].to_owned()))
        .collect();
    folders.sort_unstable();
    folders.dedup();
    let mut builder = Builder::new(Vec::new());
    for folder in &folders {
        let mut header = header(EntryType::Directory, 0o755, 0, epoch);
        builder.append_data(&mut header, folder, std::io::empty())?;
    }
    for Entry { name, mode, bytes } in &entries {
        let mut header = header(EntryType::Regular, *mode, bytes.len(), epoch);
        builder.append_data(&mut header, name, bytes.as_slice())?;
    }
    Ok(builder.into_inner()?)
}

fn header(kind: EntryType, mode: u32, length: usize, epoch: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(length as u64);
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Compressed, without a name, a time, or the system that it was made on.
pub fn gzip(bytes: &[u8]) -> Outcome<Vec<u8>> {
    const UNKNOWN_SYSTEM: u8 = 255;
    let builder = GzBuilder::new().operating_system(UNKNOWN_SYSTEM);
    let mut gzip = builder.write(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}

/// As sha256sum(1) prints it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA256SUMS of all other files of a folder, for `sha256sum -c`.
pub fn write_sums(folder: &Path) -> Outcome {
    const NAME: &str = "SHA256SUMS";
    let mut lines = Vec::new();
    for name in names(folder)? {
        if name != NAME {
            lines.push(format!("{}  {name}\n", sha256(&std::fs::read(folder.join(&name))?)));
        }
    }
    let mut file = BufWriter::new(File::create(folder.join(NAME))?);
    file.write_all(lines.concat().as_bytes())?;
    Ok(file.flush()?)
}

/// The files of a folder, in order.
pub fn names(folder: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))? {
        let name = entry?.file_name().into_string();
        names.push(name.map_err(|name| format!("{} is not UTF-8", name.display()))?);
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests;
