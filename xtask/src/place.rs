//! Where the project lies.

use std::path::PathBuf;

/// The folder of the workspace. cargo says it at run time too, where the folder was moved since the build.
pub fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR");
    let own = own.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), PathBuf::from)
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR");
    root().join(set.unwrap_or_else(|| "target".into()))
}

/// Where tasks keep what they have fetched or installed, to be made once.
pub fn cache() -> PathBuf {
    target().join("xtask")
}
