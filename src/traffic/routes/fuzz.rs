//! A table of routes; each line as one of IPv4 and one of IPv6.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::traffic::routes::{gateway, gateway6};

pub fn routes(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(address) = gateway(line) {
            assert!(!address.is_unspecified());
            assert_eq!(gateway(as_the_kernel_does(address).as_bytes()), Some(address));
        }
        if let Some(address) = gateway6(line) {
            assert!(!address.is_unspecified());
            assert_eq!(gateway6(as_the_kernel_does6(address).as_bytes()), Some(address));
        }
    }
}

fn as_the_kernel_does(gateway: Ipv4Addr) -> String {
    let gateway = u32::from_ne_bytes(gateway.octets());
    format!("eth0\t00000000\t{gateway:08X}\t0003\t0\t0\t0\t00000000\t0\t0\t0")
}

fn as_the_kernel_does6(gateway: Ipv6Addr) -> String {
    let (none, gateway) = ("0".repeat(32), gateway.to_bits());
    format!("{none} 00 {none} 00 {gateway:032x} 00000400 00000002 00000000 00000003     eth0")
}
