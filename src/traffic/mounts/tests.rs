use super::*;

/// As in a pod: a shared volume at /run/app, one in a folder with a space, a tmpfs at /tmp.
const MOUNTINFO: &[u8] = b"\
589 461 0:52 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a:/b
590 589 0:55 / /proc rw,nosuid - proc proc rw
591 589 254:1 /volumes/7 /run/app rw,relatime - ext4 /dev/vda1 rw
592 589 0:60 / /with\\040space\\134 rw - tmpfs tmpfs rw
593 589 0:61 / /tmp rw shared:7 master:2 propagate_from:3 - tmpfs tmpfs rw
cut off
594 589 0:62 / /r\xff rw - tmpfs tmpfs rw
";

fn root_has(path: &str) -> bool {
    let links = [
        ("/var/run", "/run"),
        ("/srv/sockets", "../run/./app"),
        ("/srv/here", "app"),
        ("/circle", "circle"),
        ("/a", "/b"),
        ("/b", "/a"),
        ("/up", ".."),
    ];
    Mounts::parse(MOUNTINFO).root_has(path.as_bytes(), &mut |place| {
        let place = std::str::from_utf8(place).unwrap();
        for mount in ["/run/app", "/tmp", "/proc", "/with space\\"] {
            let rest = place.strip_prefix(mount);
            assert!(
                rest.is_none_or(
                    |rest| rest.starts_with(char::is_alphanumeric) || rest.starts_with('.')
                ),
                "it touches {place}"
            );
        }
        links.iter().find(|(link, _)| *link == place).map(|(_, target)| target.as_bytes().to_vec())
    })
}

#[test]
fn a_path_lies_on_the_mount_that_it_leads_to() {
    for path in ["/run/app.sock", "/run/apple/s", "/var/run/s", "/srv/here/s", "/", "/run/x/../s"] {
        assert!(root_has(path), "{path}");
    }
    for path in [
        "/run/app/s",
        "/run/app",
        "//run//app//s",
        "/var/run/app/s",
        "/srv/sockets/s",
        "/tmp/pymp-x/listener",
        "/with space\\/s",
        "/run/x/../app/s",
        "/../../run/app/s",
        "/up/up/run/app/s",
        "/proc/self/root/s",
    ] {
        assert!(!root_has(path), "{path}");
    }
}

#[test]
fn a_way_without_an_end_is_not_on_the_root() {
    for path in ["/circle/s", "/a/s"] {
        assert!(!root_has(path), "{path}");
    }
}

#[test]
fn mount_points_are_plain_bytes() {
    let Mounts(points) = Mounts::parse(MOUNTINFO);
    let expected: [&[u8]; 5] = [b"/proc", b"/run/app", b"/with space\\", b"/tmp", b"/r\xff"];
    assert_eq!(points.iter().map(Vec::as_slice).collect::<Vec<_>>(), expected);
    for (field, plain) in [
        (&b"\\011\\012"[..], &b"\t\n"[..]),
        (b"\\", b"\\"),
        (b"\\04", b"\\04"),
        (b"\\089", b"\\089"),
        (b"\\777", b"\\777"),
        (b"\\134040", b"\\040"),
    ] {
        assert_eq!(unescape(field), plain);
    }
}
