//! What the parts share, beside what they share with the other test programs.

use std::time::Duration;

pub use crate::processes::*;
pub use crate::shared::{ended::*, folder::*, init::*, said::*, waiting::*};

/// The text of a file in the folder of a run, if it is there.
pub fn file(folder: &Folder, name: &str) -> Option<String> {
    std::fs::read_to_string(folder.path(name)).ok()
}

/// How late something may come on a machine that is busy with other runs, beside what is measured of it.
pub const MAX_LATENESS: Duration = Duration::from_secs(5);
