//! The network where no Docker engine makes one: a bridge for the run, and for each pod a network
//! namespace of its own with a link to it, as on a node of Kubernetes. Whoever looks at the
//! connections from inside a pod is to see that pod's.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use crate::Try;
use crate::command::run;
use crate::needs::PATH;
use crate::place::eventually;

/// Makes the bridge, in a network namespace in which every address and port is free.
pub fn make(gateway: Ipv4Addr) -> Try<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    ip("link set lo up")?;
    ip("link add pods type bridge")?;
    ip(&format!("address add {gateway}/22 dev pods"))?;
    ip("link set pods up")
}

/// Does the work in a pod's namespace, which stays as long as the file does.
pub fn inside<T: Send>(
    address: Ipv4Addr,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> Try<(T, File)> {
    // A namespace is a thread's, and what that starts is in it too.
    let thread = || {
        let file = enter(address).map_err(|error| error.to_string())?;
        Ok((work().map_err(|error| error.to_string())?, file))
    };
    let done: Result<(T, File), String> =
        std::thread::scope(|scope| scope.spawn(thread).join().expect("the thread"));
    Ok(done?)
}

fn enter(address: Ipv4Addr) -> Try<File> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let [.., third, fourth] = address.octets();
    let link = format!("pod-{third}-{fourth}");
    ip("link set lo up")?;
    // PID 1 is the run's.
    ip(&format!("link add eth0 type veth peer name {link} netns 1"))?;
    ip(&format!("address add {address}/22 dev eth0"))?;
    ip("link set eth0 up")?;
    let of_the_run = |line: &str| {
        let mut command = Command::new("nsenter");
        command.env("PATH", PATH).args(["--net=/proc/1/ns/net", "ip"]);
        run(command.args(line.split(' ')))
    };
    of_the_run(&format!("link set {link} master pods up"))?;
    // A packet that comes before is lost, and the next try takes a second.
    let show = format!("-details link show {link}");
    let forwards = || of_the_run(&show).ok()?.contains("state forwarding").then_some(());
    eventually("the bridge", forwards)?;
    Ok(File::open("/proc/thread-self/ns/net")?)
}

fn ip(line: &str) -> Try<()> {
    run(Command::new("ip").env("PATH", PATH).args(line.split(' '))).map(|_| ())
}
