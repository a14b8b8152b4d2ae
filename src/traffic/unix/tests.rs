use super::*;

#[test]
fn what_others_can_reach() {
    let us = Some(std::process::id() as i32);
    let mounts = Mounts::parse(b"1 2 0:1 / /shared rw - tmpfs tmpfs rw\n");
    let reach =
        |name: &[u8], owner, mounts| self::reach(UnixListener { name, inode: 1 }, owner, mounts);
    assert_eq!(reach(b"@manager", us, &mounts), Reach::Private);
    assert_eq!(reach(b"/nowhere/s", us, &mounts), Reach::Private);
    assert_eq!(reach(b"/shared/s", us, &mounts), Reach::Shared);
    assert_eq!(
        reach(b"/proc/self/cwd/../../../../../../../../shared/s", us, &mounts),
        Reach::Shared
    );
    // A relative path, from our folder, where no socket is, and from one that cannot be read.
    assert_eq!(reach(b"s", us, &mounts), Reach::Shared);
    let up = b"../../../../../../../../../../../shared/s";
    assert_eq!(reach(up, us, &mounts), Reach::Shared);
    assert_eq!(reach(b"s", None, &mounts), Reach::Shared);
    assert_eq!(reach(b"s", Some(i32::MAX), &mounts), Reach::Shared);
    // Ours has /proc at least.
    assert!(!self::mounts().unwrap().root_has(b"/proc/1/root/s", &mut read_link));
}

/// A relative path counts where the socket is found in the folder of its owner.
#[test]
fn a_relative_path_that_is_there() {
    let folder = std::env::temp_dir();
    let name = format!("{}reprieve-{}.sock", "../".repeat(20), std::process::id());
    let name = name.replace("reprieve", &format!("{}/reprieve", &folder.to_str().unwrap()[1..]));
    let _listener = std::os::unix::net::UnixListener::bind(&name).unwrap();
    let us = Some(std::process::id() as i32);
    let socket = UnixListener { name: name.as_bytes(), inode: 1 };
    let found = reach(socket, us, &Mounts::default());
    fs::remove_file(&name).unwrap();
    assert_eq!(found, Reach::Private);
    assert_eq!(reach(socket, us, &Mounts::default()), Reach::Shared);
}
