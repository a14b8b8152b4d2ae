//! A mountinfo, and after a NUL each a path and what symbolic links lead to.

use crate::traffic::mounts::{MAX_LINKS, Mounts};

pub fn mountinfo(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    let mountinfo = parts.next().unwrap_or_default();
    let mounts = Mounts::parse(mountinfo);
    assert!(mounts.0.len() <= mountinfo.split(|byte| *byte == b'\n').count());
    assert_eq!(Mounts::parse(&as_the_kernel_does(&mounts)), mounts);

    let path = parts.next().unwrap_or(b"/var/lib/../run/app.sock");
    // Each place is the link whose turn it is, but every third.
    let targets: Vec<&[u8]> = parts.collect();
    let mut asked: usize = 0;
    mounts.root_has(path, &mut |place| {
        assert!(place.starts_with(b"/") && !mounts.0.iter().any(|point| point == place));
        asked += 1;
        let target = targets.get(asked % targets.len().max(1)).filter(|_| !asked.is_multiple_of(3));
        target.map(|target| target.to_vec())
    });
    let longest = targets.iter().map(|target| target.len()).max().unwrap_or(0);
    assert!(asked <= path.len() + (MAX_LINKS + 1) * (longest + 1), "{asked} links were read");
    let on_root = Mounts::default().root_has(path, &mut |_| None);
    assert!(on_root, "without mounts and links, all is on the root");
}

/// Writes the lines (show_mountinfo in the kernel's fs/proc_namespace.c).
fn as_the_kernel_does(mounts: &Mounts) -> Vec<u8> {
    let mut lines = Vec::new();
    for point in &mounts.0 {
        lines.extend(b"23 1 0:21 / ");
        for byte in point {
            match byte {
                b' ' | b'\t' | b'\n' | b'\\' => lines.extend(format!("\\{byte:03o}").as_bytes()),
                _ => lines.push(*byte),
            }
        }
        lines.extend(b" rw - tmpfs tmpfs rw\n");
    }
    lines
}
