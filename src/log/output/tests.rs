use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::*;

const LINE: [u8; MAX_LINE] = [b'x'; MAX_LINE];

fn shared(fd: impl Into<OwnedFd>) -> BorrowedFd<'static> {
    let fd: &'static OwnedFd = Box::leak(Box::new(fd.into()));
    fd.as_fd()
}

fn blocks(fd: BorrowedFd) -> bool {
    !OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap()).contains(OFlag::O_NONBLOCK)
}

/// As where another uid's cannot be opened again.
fn not_reopened(shared: BorrowedFd<'static>) -> Output {
    Output { shared, kind: Kind::NotReopened }
}

#[test]
fn a_full_pipe_takes_a_whole_line_or_nothing_and_still_blocks_the_app() {
    for open in [Output::new, not_reopened] {
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(MAX_LINE as i32)).unwrap();
        let shared = shared(writer);
        let output = open(shared);
        assert_eq!(output.write(b"one\n", 0), 4);
        assert_eq!(output.write(&LINE, 0), 0);
        // Of a pipe that is not opened again, poll(2) says only whether there is a free page.
        assert!(blocks(shared));
        drop(reader);
        assert_eq!(output.write(b"two\n", 0), 0);
    }
}

#[test]
fn a_full_socket_takes_a_part_and_still_blocks_the_app() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let shared = shared(theirs);
    let output = Output::new(shared);
    let mut last = MAX_LINE;
    while last == MAX_LINE {
        last = output.write(&LINE, 0);
    }
    assert_eq!(output.write(&LINE, 0), 0);
    assert!(blocks(shared));
    drop(ours);
    assert_eq!(output.write(&LINE, 0), 0);
}

#[test]
fn a_full_disk_takes_nothing() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(Output::new(shared(full)).write(&LINE, 0), 0);
    let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    assert_eq!(Output::new(shared(null)).write(&LINE, 0), MAX_LINE);
}
