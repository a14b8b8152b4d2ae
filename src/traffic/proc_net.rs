//! Reads /proc/net, which is about our network namespace (proc_pid_net(5)): the sockets in tcp, udp
//! and unix, without how many bytes came in on them; and how many connections were accepted, in snmp.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::traffic::socket::{LISTEN, ListedSocket, TIME_WAIT_TIMER};

fn open_file(name: &str) -> io::Result<BufReader<File>> {
    File::open(format!("/proc/net/{name}")).map(BufReader::new)
}

/// The sockets of a protocol, `tcp` or `udp`, in these states, of IPv4 and IPv6. A kernel without
/// IPv6 has no second file.
pub fn list(protocol: &str, states: u32) -> io::Result<Vec<ListedSocket>> {
    let mut sockets = Vec::new();
    for (family, required) in [("", true), ("6", false)] {
        match open_file(&format!("{protocol}{family}")) {
            Ok(file) => {
                for line in file.lines().skip(1) {
                    sockets.extend(parse_line(&line?).filter(|socket| socket.state & states != 0));
                }
            }
            Err(error) if required || error.kind() != ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    Ok(sockets)
}

/// Parses a line of /proc/net/tcp, tcp6, udp or udp6; None if it cannot be parsed, or is
/// that of a socket that has ended and is kept in TIME_WAIT.
fn parse_line(line: &str) -> Option<ListedSocket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, port) = endpoint(fields.next()?)?;
    let (address, peer_port) = endpoint(fields.next()?)?;
    let state = u32::from_str_radix(fields.next()?, 16).ok()?;
    let (timer, _) = fields.nth(1)?.split_once(':')?;
    if timer.parse() == Ok(TIME_WAIT_TIMER) {
        return None;
    }
    Some(ListedSocket {
        state: 1u32.checked_shl(state)?,
        port,
        peer: SocketAddr::new(address, peer_port),
        inode: fields.nth(3)?.parse().ok()?,
        cookie: 0,
        received: None,
    })
}

/// Whether somebody listens for TCP connections at such an address. IPv6 is looked through first: most
/// servers listen at `::`, and then the file of IPv4, where a busy machine has 100,000 connections that
/// have ended, need not be read. Within a file the listeners are first (tcp_seq_start in the kernel's
/// net/ipv4/tcp_ipv4.c).
pub fn is_listened_at(is_wanted: &dyn Fn(SocketAddr) -> bool) -> io::Result<bool> {
    // A kernel without IPv6 has no such file.
    let ipv6 = open_file("tcp6").ok();
    for file in ipv6.into_iter().chain([open_file("tcp")?]) {
        for line in file.lines() {
            if parse_listener(&line?).is_some_and(is_wanted) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Parses a line of /proc/net/tcp or tcp6; None if it is no listener's.
fn parse_listener(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, port) = endpoint(fields.next()?)?;
    let state = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
    (1u32.checked_shl(state)? == LISTEN).then_some(SocketAddr::new(address, port))
}

/// Parses an address and a port, `0100007F:1F90`. Each 32-bit word of the address is printed as the
/// number that its bytes in memory are on this machine.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let word = |at| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut octets = [0; 16];
            for (octets, at) in octets.chunks_mut(4).zip([0, 8, 16, 24]) {
                octets.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// The inode and the path of each Unix socket that accepts connections.
pub fn unix_listeners() -> io::Result<Vec<(u64, String)>> {
    // __SO_ACCEPTCON in linux/net.h
    const ACCEPTS: u32 = 1 << 16;
    let mut listeners = Vec::new();
    // Not by lines(), since a path may be any bytes and need not be UTF-8.
    for line in open_file("unix")?.split(b'\n').skip(1) {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let mut fields = line.split_ascii_whitespace().skip(3);
        let flags = fields.next().and_then(|flags| u32::from_str_radix(flags, 16).ok());
        if flags.is_some_and(|flags| flags & ACCEPTS != 0)
            && let Some(inode) = fields.nth(2).and_then(|inode| inode.parse().ok())
        {
            let path = fields.next().unwrap_or("without a name");
            listeners.push((inode, path.replace(char::is_control, "?")));
        }
    }
    Ok(listeners)
}

/// How many connections were ever accepted in our network namespace: PassiveOpens (RFC 4022).
pub struct AcceptedCount(u64);

impl AcceptedCount {
    pub fn read() -> io::Result<AcceptedCount> {
        let lines: Vec<String> = open_file("snmp")?.lines().collect::<io::Result<_>>()?;
        let mut tcp = lines.iter().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, numbers) = (tcp.next().unwrap_or_default(), tcp.next().unwrap_or_default());
        let mut pairs = names.split(' ').zip(numbers.split(' '));
        let accepted = pairs.find(|(name, _)| *name == "PassiveOpens");
        let accepted = accepted.and_then(|(_, number)| number.parse().ok());
        accepted.map(AcceptedCount).ok_or(ErrorKind::InvalidData.into())
    }

    /// Reads it again. Whether a connection was accepted since the last time: to which port, and
    /// whether it brought data, is not known.
    pub fn has_grown(&mut self) -> io::Result<bool> {
        let before = std::mem::replace(self, AcceptedCount::read()?);
        Ok(self.0 != before.0)
    }
}

#[cfg(test)]
mod tests;
