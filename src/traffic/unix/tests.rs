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
    // A relative path, from our folder and from one that cannot be read.
    assert_eq!(reach(b"s", us, &mounts), Reach::Private);
    let up = b"../../../../../../../../../../../shared/s";
    assert_eq!(reach(up, us, &mounts), Reach::Shared);
    assert_eq!(reach(b"s", None, &mounts), Reach::Shared);
    assert_eq!(reach(b"s", Some(i32::MAX), &mounts), Reach::Shared);
    // Ours has /proc at least.
    assert!(!self::mounts().unwrap().root_has(b"/proc/1/root/s", &mut read_link));
}
