//! Networks that a test makes: nothing but loopback, and a cable between two of them.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::geteuid;

/// Where the server of a test listens; nobody else is in its network.
pub const fn port(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Goes with the last process in it.
pub struct Network(File);

impl Network {
    pub fn new() -> Network {
        assert!(geteuid().is_root(), "needs root: sudo -E cargo test --test servers -- --ignored");
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").expect("the namespace")
        });
        Network(made.join().expect("a network"))
    }

    /// Does it in this network, in which all that it starts is too: processes, threads and sockets.
    pub fn within<T: Send>(&self, deed: impl FnOnce() -> T + Send) -> T {
        let done = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the network");
                deed()
            });
            thread.join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Lays a cable to another one. It reaches us at 10.9.0.1.
    pub fn cable_to(&self, other: &Network) {
        let there = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.within(|| {
            ip(&format!("link add cable type veth peer name cable netns {there}"));
        });
        for (network, address) in [(self, "10.9.0.1/24"), (other, "10.9.0.2/24")] {
            network.within(|| {
                ip(&format!("address add {address} dev cable"));
                ip("link set cable up");
            });
        }
    }
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).status();
    let done = done.unwrap_or_else(|error| panic!("ip ({error}): apt-get install iproute2"));
    assert!(done.success(), "ip {words}: {done}");
}
