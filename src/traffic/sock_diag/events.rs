//! Receives an event for each TCP socket of some ports that ends.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{NetlinkAddr, bind, setsockopt, sockopt};

use crate::traffic::sock_diag::filter::PortRanges;
use crate::traffic::sock_diag::inet::parse_socket;
use crate::traffic::sock_diag::message::messages;
use crate::traffic::sock_diag::netlink::{open_socket, receive};
use crate::traffic::socket::ListedSocket;

/// The groups SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY, 1 and 3 (linux/sock_diag.h);
/// group N is bit N - 1 of the mask (netlink(7)).
const DESTROY_GROUPS: u32 = 1 << 0 | 1 << 2;

/// Receives an event for each TCP socket of some ports that ends. What ends on other ports neither
/// wakes anybody nor takes room.
pub struct EventSocket {
    socket: OwnedFd,
    ports: PortRanges,
}

impl EventSocket {
    /// Begins with these local ports; with none, nothing is received. Fails where the kernel sends
    /// no events.
    pub fn open(ports: &[u16]) -> io::Result<EventSocket> {
        // The kernel grants what net.core.rmem_max allows: one event takes about 1 KB.
        const RECEIVE_BUFFER: usize = 8 << 20;
        let socket = open_socket()?;
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        let mut events = EventSocket { socket, ports: PortRanges::new(&[]) };
        // Before there are any events.
        events.watch(ports)?;
        bind(events.socket.as_raw_fd(), &NetlinkAddr::new(0, DESTROY_GROUPS))?;
        Ok(events)
    }

    /// From now on events of these local ports are received, and no others. Fails where the kernel
    /// would still leave some of them out.
    pub fn watch(&mut self, ports: &[u16]) -> io::Result<()> {
        let ports = PortRanges::new(ports);
        let attached = ports.socket_filter().ok_or(Errno::E2BIG);
        if attached.and_then(|mut filter| attach(&self.socket, &mut filter)).is_err() {
            // Without a filter all are received.
            detach(&self.socket)?;
        }
        self.ports = ports;
        Ok(())
    }

    /// Receives nothing more. What was received before is still there to be drained.
    pub fn stop(&self) {
        if let Some(mut filter) = PortRanges::new(&[]).socket_filter() {
            // Where it is refused, more is received than is needed.
            let _ = attach(&self.socket, &mut filter);
        }
    }

    /// Hands out the sockets that ended since the last call; they have no inode and uid 0. Whether
    /// the events of some were lost.
    pub fn drain(&self, each: &mut dyn FnMut(ListedSocket)) -> bool {
        // A limit, since events may come as fast as they are read; the next call goes on.
        const MAX_EVENTS: usize = 1 << 16;
        let mut buffer = [0; 4096];
        let mut lost = false;
        for _ in 0..MAX_EVENTS {
            match receive(&self.socket, &mut buffer) {
                Ok(event) => {
                    let ended = messages(event).filter_map(|message| parse_socket(message.payload));
                    // The kernel may have let through others, and those of an earlier filter.
                    ended.filter(|socket| self.ports.contains(socket.port)).for_each(&mut *each);
                }
                Err(Errno::EAGAIN) => break,
                // The receive buffer was full, and the kernel dropped events.
                Err(Errno::ENOBUFS) => lost = true,
                Err(_) => return true,
            }
        }
        lost
    }
}

/// Puts a filter in place of the one before (SO_ATTACH_FILTER in socket(7)).
fn attach(socket: &OwnedFd, filter: &mut [libc::sock_filter]) -> nix::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the program and the statements that it points to, which live for
    // the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    Errno::result(done).map(drop)
}

/// Takes the filter away, if there is one.
fn detach(socket: &OwnedFd) -> nix::Result<()> {
    let unused: libc::c_int = 0;
    // SAFETY: the kernel reads at most this number.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DETACH_FILTER,
            (&raw const unused).cast(),
            size_of_val(&unused) as libc::socklen_t,
        )
    };
    match Errno::result(done) {
        Ok(_) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
pub mod tests;
