//! Where the project lies.

use std::path::PathBuf;

/// The folder of the workspace. cargo says it at run time too, where the folder was moved since the build.
pub fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), PathBuf::from)
}
