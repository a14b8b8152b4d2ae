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
    let mut plug = Command::new("nsenter");
    plug.env("PATH", PATH).args(["--net=/proc/1/ns/net", "ip", "link", "set", &link]);
    run(plug.args(["master", "pods", "up"]))?;
    Ok(File::open("/proc/thread-self/ns/net")?)
}

fn ip(line: &str) -> Try<()> {
    run(Command::new("ip").env("PATH", PATH).args(line.split(' '))).map(|_| ())
}
