//! Whom `--ignore-peer gateway` stands for: those from whom a node's probes come. That is the default
//! gateway, as most networks of containers are made: the node's end of the bridge. In the node's own
//! network namespace its gateway is somebody else, and probes come from the node's addresses.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use crate::traffic::proc_net;
use crate::traffic::routes::{gateway, gateway6};

/// Their addresses, as they are now. The error says why there is none.
pub fn probers() -> Result<Vec<IpAddr>, String> {
    let found = if is_of_machine() { own_addresses() } else { gateways() };
    let found = found.map_err(|error| error.to_string())?;
    match found.first() {
        None => Err("there is no default gateway".into()),
        Some(first) if found.iter().all(is_link_local) => Err(format!(
            "the default gateway is {first}, from which no probe comes: name the node's address \
             (status.hostIP in Kubernetes)"
        )),
        Some(_) => Ok(found),
    }
}

/// Whether our network namespace is the first one, that of the machine: it alone has this setting
/// (net_core_table in the kernel's net/core/sysctl_net_core.c).
fn is_of_machine() -> bool {
    Path::new("/proc/sys/net/core/dev_weight").exists()
}

fn gateways() -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    proc_net::read_lines("route", &mut |line| found.extend(gateway(line).map(IpAddr::V4)))?;
    proc_net::read_if_any("ipv6_route", &mut |line| {
        found.extend(gateway6(line).map(IpAddr::V6));
    })?;
    Ok(found)
}

/// Those of all interfaces but the loopback one: from there proxies on the node ask too.
fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let address = |address: SockaddrStorage| {
        let ipv4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        ipv4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    let found = getifaddrs()?.filter_map(|interface| address(interface.address?));
    Ok(found.filter(|address| !address.is_loopback()).collect())
}

/// As the gateway of Calico and of the VPC of AWS, 169.254.1.1: it is made up, and nobody has it.
fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
