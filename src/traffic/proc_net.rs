//! What /proc/net says of our network namespace (proc_pid_net(5)): the sockets in tcp, udp and unix,
//! without what came in on them; and how many connections came, in snmp.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::traffic::socket::{REMEMBERED, Row};

/// A file that says what is in our network namespace.
fn open_file(name: &str) -> io::Result<BufReader<File>> {
    File::open(format!("/proc/net/{name}")).map(BufReader::new)
}

/// The sockets in these states, of both families. Without IPv6 in the kernel there is no second
/// file.
pub fn rows(protocol: &str, states: u32) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (family, required) in [("", true), ("6", false)] {
        match open_file(&format!("{protocol}{family}")) {
            Ok(file) => {
                for line in file.lines().skip(1) {
                    rows.extend(row(&line?).filter(|row| row.state & states != 0));
                }
            }
            Err(error) if required || error.kind() != ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    Ok(rows)
}

/// A line of /proc/net/tcp, tcp6, udp or udp6.
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, port) = endpoint(fields.next()?)?;
    let (address, peer_port) = endpoint(fields.next()?)?;
    let state = u32::from_str_radix(fields.next()?, 16).ok()?;
    let (timer, _) = fields.nth(1)?.split_once(':')?;
    if timer.parse() == Ok(REMEMBERED) {
        return None;
    }
    Some(Row {
        state: 1u32.checked_shl(state)?,
        port,
        peer: SocketAddr::new(address, peer_port),
        inode: fields.nth(3)?.parse().ok()?,
        cookie: 0,
        received: None,
    })
}

/// `0100007F:1F90`: words of an address as they lie in memory, read as numbers, and a port.
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
    // A path may be any bytes.
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
pub struct Opens(u64);

impl Opens {
    pub fn read() -> io::Result<Opens> {
        let lines: Vec<String> = open_file("snmp")?.lines().collect::<io::Result<_>>()?;
        let mut tcp = lines.iter().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, numbers) = (tcp.next().unwrap_or_default(), tcp.next().unwrap_or_default());
        let mut pairs = names.split(' ').zip(numbers.split(' '));
        let opens = pairs.find(|(name, _)| *name == "PassiveOpens");
        let opens = opens.and_then(|(_, number)| number.parse().ok());
        opens.map(Opens).ok_or(ErrorKind::InvalidData.into())
    }

    /// Whether a connection came since the last time: nobody tells to which port, and whether it
    /// brought data.
    pub fn grew(&mut self) -> io::Result<bool> {
        let before = std::mem::replace(self, Opens::read()?);
        Ok(self.0 != before.0)
    }
}

#[cfg(test)]
mod tests;
