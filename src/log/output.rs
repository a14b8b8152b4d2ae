//! Writing without ever waiting, to a descriptor that others have too.
//!
//! stderr is shared with the app: O_NONBLOCK belongs to the open file, so setting it would break
//! the app's writes. A pipe or terminal is opened a second time instead.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind::{BrokenPipe, WouldBlock};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{MsgFlags, send};

use crate::log::line::MAX_LINE;

/// A descriptor that is written to, and how.
pub struct Output {
    shared: BorrowedFd<'static>,
    kind: Kind,
}

enum Kind {
    /// A regular file (opened a second time, its offset would start at 0), or a device such as
    /// /dev/null.
    File,
    /// A pipe or terminal: an open file of our own, which is non-blocking.
    Reopened(File),
    /// A socket cannot be opened again, but each `send` can be asked not to wait.
    Socket,
    /// A pipe or terminal that could not be opened again, say because it is another uid's.
    NotReopened,
}

impl Output {
    pub fn new(shared: BorrowedFd<'static>) -> Output {
        Output { shared, kind: Kind::of(shared) }
    }

    /// The descriptor that this has opened, if any.
    pub fn descriptor(&self) -> Option<RawFd> {
        match &self.kind {
            Kind::Reopened(file) => Some(file.as_raw_fd()),
            Kind::File | Kind::Socket | Kind::NotReopened => None,
        }
    }

    /// Writes as much of the line as can be written without waiting, and returns how many bytes that
    /// is. For a terminal that takes nothing this waits once, for up to `timeout` milliseconds.
    pub fn write(&self, line: &[u8], timeout: u8) -> usize {
        let mut some = self.write_some(line);
        if let (Kind::Reopened(file), Err(error)) = (&self.kind, &some)
            && error.kind() == WouldBlock
            && file.is_terminal()
            && has_room(file.as_fd(), timeout)
        {
            some = self.write_some(line);
        }
        let mut written = some.unwrap_or(0);
        // There is more room only where it came in parts (a terminal, a socket), or came just now.
        while (1..line.len()).contains(&written)
            && let Ok(some @ 1..) = self.write_some(&line[written..])
        {
            written += some;
        }
        written
    }

    /// Writes once, a part or all of it.
    fn write_some(&self, line: &[u8]) -> io::Result<usize> {
        match &self.kind {
            Kind::File => Ok(nix::unistd::write(self.shared, line)?),
            Kind::Reopened(file) => (&*file).write(line),
            Kind::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(self.shared.as_raw_fd(), line, flags)?)
            }
            Kind::NotReopened => write_where_there_is_room(self.shared, line),
        }
    }
}

impl Kind {
    fn of(shared: BorrowedFd) -> Kind {
        let Ok(file) = shared.try_clone_to_owned().map(File::from) else {
            return Kind::File;
        };
        match file.metadata().map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_socket() => Kind::Socket,
            Ok(kind) if kind.is_fifo() || shared.is_terminal() => {
                let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
                let path = format!("/proc/self/fd/{}", shared.as_raw_fd());
                let own = OpenOptions::new().write(true).custom_flags(flags).open(path);
                own.map_or(Kind::NotReopened, Kind::Reopened)
            }
            _ => Kind::File,
        }
    }
}

/// One write to a pipe or terminal whose open file would wait.
fn write_where_there_is_room(to: BorrowedFd, line: &[u8]) -> io::Result<usize> {
    let is_terminal = to.is_terminal();
    if !is_terminal {
        match write_without_waiting(to, line) {
            // The call is not there: an older kernel, or a sandbox.
            Err(error) if ![WouldBlock, BrokenPipe].contains(&error.kind()) => {}
            written => return written,
        }
    }
    if !has_room(to, 0) {
        return Err(WouldBlock.into());
    }
    // What poll(2) calls room is room for a line in a pipe, and for one byte in a terminal.
    let room = if is_terminal { 1 } else { MAX_LINE };
    Ok(nix::unistd::write(to, &line[..line.len().min(room)])?)
}

/// A single write that does not wait, though the open file would (RWF_NOWAIT of pwritev2(2)), which newer
/// kernels know for pipes.
fn write_without_waiting(to: BorrowedFd, line: &[u8]) -> io::Result<usize> {
    let part = libc::iovec { iov_base: line.as_ptr().cast_mut().cast(), iov_len: line.len() };
    // SAFETY: one part, of one slice, which is only read. The offset -1 is none. The bare call,
    // since not every C library has it.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            to.as_raw_fd(),
            &raw const part,
            1,
            -1i64,
            -1i64,
            libc::RWF_NOWAIT,
        )
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Whether there is room, or comes within `timeout` milliseconds.
fn has_room(to: BorrowedFd, timeout: u8) -> bool {
    let mut room = [PollFd::new(to, PollFlags::POLLOUT)];
    poll(&mut room, timeout).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests;
