//! HAProxy as the service: it does to connections what kube-proxy does.
//!
//! kube-proxy hands each new connection to one of the endpoints that it knows of, and knows
//! nothing of HTTP, of health, or of a second try: hence TCP mode, no checks, no retries, and no
//! other server for a connection that was refused. When an endpoint goes, it gets no new
//! connections; those that are there stay until one side closes them.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::Try;
use crate::place::{PORT, Place, Pod};

const CONFIGURATION: &str = "\
global
    stats socket SOCKET level admin
defaults
    mode tcp
    retries 0
    no option redispatch
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend service
    bind ADDRESS
    default_backend replicas
backend replicas
    balance roundrobin
";

pub struct Proxy {
    pod: Pod,
    socket: PathBuf,
}

impl Proxy {
    pub fn start(place: &Place) -> Try<Proxy> {
        let site = place.site("haproxy")?;
        let socket = site.folder.join("socket");
        let file = site.folder.join("haproxy.cfg");
        let address = format!("{}:{PORT}", site.ip);
        let text = CONFIGURATION.replace("ADDRESS", &address);
        fs::write(&file, text.replace("SOCKET", &socket.display().to_string()))?;
        let words = ["haproxy", "-db", "-f", &file.display().to_string()];
        let proxy = Proxy { pod: site.start(&words.map(String::from))?, socket };
        proxy.pod.eventually("the runtime API", |_| proxy.call("show info").ok())?;
        Ok(proxy)
    }

    /// Where clients reach the service.
    pub fn service(&self) -> SocketAddr {
        SocketAddr::new(self.pod.ip, PORT)
    }

    /// From now on this replica gets its share of the new connections.
    pub fn add(&self, replica: &Pod) -> Try<()> {
        let Pod { name, ip, .. } = replica;
        let said = self.call(&format!("add server replicas/{name} {ip}:{PORT}"))?;
        if !said.contains("New server registered") {
            return Err(format!("HAProxy does not add {name}: {said}").into());
        }
        self.tell(&format!("enable server replicas/{name}"))
    }

    /// From now on it gets none.
    pub fn take_out(&self, replica: &Pod) -> Try<()> {
        self.tell(&format!("disable server replicas/{}", replica.name))
    }

    /// A command that has nothing to say where it succeeds.
    fn tell(&self, command: &str) -> Try<()> {
        match self.call(command)?.trim() {
            "" => Ok(()),
            said => Err(format!("HAProxy, to {command:?}: {said}").into()),
        }
    }

    fn call(&self, command: &str) -> Try<String> {
        let mut said = String::new();
        UnixStream::connect(&self.socket)
            .and_then(|mut socket| {
                writeln!(socket, "{command}")?;
                socket.read_to_string(&mut said)
            })
            .map_err(|error| format!("HAProxy's runtime API: {error}"))?;
        Ok(said)
    }
}
