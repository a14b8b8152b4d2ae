//! The default gateways in a table of routes, as /proc/net has it. No system call, no clock.

use std::net::{Ipv4Addr, Ipv6Addr};

// Flags of a route (linux/route.h).
const UP: u32 = 1;
const GATEWAY: u32 = 1 << 1;
const REJECT: u32 = 1 << 9;

/// The default gateway in a line of /proc/net/route, if it has one. Each address is printed as the number
/// that its bytes in memory are on this machine (fib_route_seq_show in the kernel's net/ipv4/fib_trie.c).
pub fn gateway(line: &[u8]) -> Option<Ipv4Addr> {
    // Iface Destination Gateway Flags RefCnt Use Metric Mask
    let mut fields = str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
    let mut next = || u32::from_str_radix(fields.next()?, 16).ok();
    let (destination, gateway, flags) = (next()?, next()?, next()?);
    let mask = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let is_default = destination == 0 && mask == 0 && leads_on(flags);
    Some(Ipv4Addr::from(gateway.to_ne_bytes()))
        .filter(|gateway| is_default && !gateway.is_unspecified())
}

/// The same in a line of /proc/net/ipv6_route (rt6_info_route in the kernel's net/ipv6/ip6_fib.c).
pub fn gateway6(line: &[u8]) -> Option<Ipv6Addr> {
    // destination, length, source, length, gateway, metric, references, uses, flags, interface
    let mut fields = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut next = || u128::from_str_radix(fields.next()?, 16).ok();
    let prefixes = [next()?, next()?, next()?, next()?];
    let gateway = Ipv6Addr::from(next()?);
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let is_default = prefixes == [0; 4] && leads_on(flags);
    Some(gateway).filter(|gateway| is_default && !gateway.is_unspecified())
}

fn leads_on(flags: u32) -> bool {
    flags & (UP | GATEWAY | REJECT) == UP | GATEWAY
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
