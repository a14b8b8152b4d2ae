//! Reads /proc/net, which is about our network namespace (proc_pid_net(5)): the sockets in tcp, udp
//! and unix, without how many bytes came in on them; in snmp and snmp6, how many connections were
//! accepted and how many datagrams came in. A file is read line by line, and no line is trusted: a
//! Unix socket's name is any bytes.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::traffic::socket::{LISTEN, ListedSocket, Protocol, TIME_WAIT_TIMER, Wanted};

/// What is read of a line at most. The longest have the names of counters, some hundred bytes.
const MAX_LINE: usize = 2048;

fn open_file(name: &str) -> io::Result<BufReader<File>> {
    File::open(format!("/proc/net/{name}")).map(BufReader::new)
}

/// Looks for a line, without its end, and reads no further; whether there is one.
fn find_line(text: &mut dyn BufRead, is_it: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let mut line = Vec::new();
    while (&mut *text).take(MAX_LINE as u64).read_until(b'\n', &mut line)? > 0 {
        if line.pop_if(|last| *last == b'\n').is_none() {
            text.skip_until(b'\n')?;
        }
        if is_it(&line) {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

/// Hands out each line of a file of /proc/net.
pub fn read_lines(name: &str, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut each = |line: &[u8]| {
        each(line);
        false
    };
    find_line(&mut open_file(name)?, &mut each).map(drop)
}

/// Reads a file that a kernel without IPv6 does not have.
pub fn read_if_any(name: &str, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    match read_lines(name, each) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        read => read,
    }
}

/// The fields of a line that are separated by spaces.
fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

fn decimal<N: FromStr>(field: &[u8]) -> Option<N> {
    str::from_utf8(field).ok()?.parse().ok()
}

fn hexadecimal(field: &[u8]) -> Option<u32> {
    u32::from_str_radix(str::from_utf8(field).ok()?, 16).ok()
}

/// Hands out what is wanted, of IPv4 and IPv6.
pub fn list(what: &Wanted, each: &mut dyn FnMut(ListedSocket)) -> io::Result<()> {
    let mut each = |line: &[u8]| {
        let is_wanted = |socket: &ListedSocket| {
            let is_there = what.ports.is_none_or(|ports| ports.contains(&socket.port));
            is_there && socket.state & what.states != 0
        };
        parse_line(line).filter(is_wanted).into_iter().for_each(&mut *each);
    };
    let (name, name6) = match what.protocol {
        Protocol::Tcp => ("tcp", "tcp6"),
        Protocol::Udp => ("udp", "udp6"),
    };
    read_lines(name, &mut each)?;
    read_if_any(name6, &mut each)
}

/// Parses a line of /proc/net/tcp, tcp6, udp or udp6; None if it cannot be parsed as the first one,
/// which has the names of the columns, or is that of a socket that has ended and is kept in
/// TIME_WAIT.
fn parse_line(line: &[u8]) -> Option<ListedSocket> {
    let line = str::from_utf8(line).ok()?;
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, port) = endpoint(fields.next()?)?;
    let (address, peer_port) = endpoint(fields.next()?)?;
    let state = u32::from_str_radix(fields.next()?, 16).ok()?;
    let (_, queued) = fields.next()?.split_once(':')?;
    let (timer, _) = fields.next()?.split_once(':')?;
    if timer.parse() == Ok(TIME_WAIT_TIMER) {
        return None;
    }
    Some(ListedSocket {
        state: 1u32.checked_shl(state)?,
        port,
        peer: SocketAddr::new(address, peer_port),
        queued: u32::from_str_radix(queued, 16).ok()?,
        uid: fields.nth(1)?.parse().ok()?,
        inode: fields.nth(1)?.parse().ok()?,
        cookie: 0,
        received: None,
        sent: None,
        silent_for: None,
    })
}

/// Whether somebody listens for TCP connections at such an address. IPv6 is looked through first: most
/// servers listen at `::`, and then the file of IPv4, where a busy machine has 100,000 connections that
/// have ended, need not be read. Within a file the listeners are first (tcp_seq_start in the kernel's
/// net/ipv4/tcp_ipv4.c).
pub fn is_listened_at(is_wanted: &dyn Fn(SocketAddr) -> bool) -> io::Result<bool> {
    // A kernel without IPv6 has no such file.
    let ipv6 = open_file("tcp6").ok();
    for mut file in ipv6.into_iter().chain([open_file("tcp")?]) {
        if find_line(&mut file, &mut |line| parse_listener(line).is_some_and(is_wanted))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Parses a line of /proc/net/tcp or tcp6; None if it is no listener's.
fn parse_listener(line: &[u8]) -> Option<SocketAddr> {
    let mut fields = str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
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

/// A Unix socket that takes what others send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixListener<'a> {
    /// Its path, relative to the working directory that it was bound in unless it begins with `/`,
    /// or its abstract name; any bytes, with `@` for each NUL.
    pub name: &'a [u8],
    pub inode: u64,
}

impl UnixListener<'_> {
    /// Whether it has no file. (A path that begins with `@` is not told apart.)
    pub fn is_abstract(&self) -> bool {
        self.name.starts_with(b"@")
    }
}

/// Hands out each Unix socket that accepts connections and has a name, and each for datagrams that has
/// a path. (The state of one of these is that of a connected one as soon as a client is connected to
/// it: unix_dgram_connect in the kernel's net/unix/af_unix.c.)
pub fn unix_listeners(each: &mut dyn FnMut(UnixListener)) -> io::Result<()> {
    read_lines("unix", &mut |line| parse_unix_line(line).into_iter().for_each(&mut *each))
}

/// Parses a line of /proc/net/unix; None if it is not that of such a socket. A name that
/// has a line break in it is cut there.
fn parse_unix_line(line: &[u8]) -> Option<UnixListener<'_>> {
    // __SO_ACCEPTCON in linux/net.h
    const ACCEPTS: u32 = 1 << 16;
    const DATAGRAM: &[u8] = b"0002";
    // Num: RefCount Protocol Flags Type St Inode Path
    let mut rest = line;
    let mut next = || {
        rest = rest.trim_ascii_start();
        let length = rest.iter().position(u8::is_ascii_whitespace)?;
        let (field, after) = rest.split_at(length);
        rest = after;
        Some(field)
    };
    let flags = (next()?, next()?, next()?, hexadecimal(next()?)?).3;
    let (kind, _state, inode) = (next()?, next()?, decimal(next()?)?);
    // A space ends the inode; what follows are those of the name.
    let name = rest.get(1..).filter(|name| !name.is_empty())?;
    let listener = UnixListener { name, inode };
    let takes = flags & ACCEPTS != 0 || kind == DATAGRAM && !listener.is_abstract();
    takes.then_some(listener)
}

/// How many connections were ever accepted in our network namespace: PassiveOpens (RFC 4022).
pub struct AcceptedCount(u64);

impl AcceptedCount {
    pub fn read() -> io::Result<AcceptedCount> {
        let mut accepted = Sum::of("Tcp:", &["PassiveOpens"]);
        read_lines("snmp", &mut |line| accepted.add_line(line))?;
        accepted.total().map(AcceptedCount)
    }

    /// Reads it again. How many were accepted since the last time: on which port, and whether they
    /// brought data, is not known.
    pub fn growth(&mut self) -> io::Result<u64> {
        let before = std::mem::replace(self, AcceptedCount::read()?);
        Ok(self.0.wrapping_sub(before.0))
    }
}

/// How many datagrams ever came in for the UDP sockets of our network namespace: InDatagrams and
/// InErrors (RFC 4113) of IPv4 and IPv6.
///
/// InDatagrams grows when somebody reads a datagram, not when it arrives: until then it is in
/// `queued` of its socket. InErrors grows when one arrives for which a queue has no room. What comes
/// for a port that nobody has is in neither.
pub struct DatagramCount(u64);

impl DatagramCount {
    pub fn read() -> io::Result<DatagramCount> {
        let mut sum = Sum::of("Udp:", &["InDatagrams", "InErrors"]);
        read_lines("snmp", &mut |line| sum.add_line(line))?;
        let mut count = sum.total()?;
        // There each counter has a line of its own. An IPv6 socket's datagrams of IPv4 are above.
        read_if_any("snmp6", &mut |line| {
            let mut fields = fields(line);
            let is_counter = matches!(fields.next(), Some(b"Udp6InDatagrams" | b"Udp6InErrors"));
            let number = fields.next().and_then(decimal::<u64>).filter(|_| is_counter);
            count = count.wrapping_add(number.unwrap_or(0));
        })?;
        Ok(DatagramCount(count))
    }

    /// Reads it again. How many came in since the last time: for which socket is not known.
    pub fn growth(&mut self) -> io::Result<u64> {
        let before = std::mem::replace(self, DatagramCount::read()?);
        Ok(self.0.wrapping_sub(before.0))
    }
}

/// The sum of some counters of a protocol in /proc/net/snmp, which has a line with their names, and
/// after it one with their numbers.
struct Sum<'a> {
    protocol: &'a str,
    counters: &'a [&'a str],
    /// Where they are in both lines, once the first one is read.
    places: Vec<usize>,
    total: Option<u64>,
}

impl Sum<'_> {
    fn of<'a>(protocol: &'a str, counters: &'a [&'a str]) -> Sum<'a> {
        Sum { protocol, counters, places: Vec::new(), total: None }
    }

    fn add_line(&mut self, line: &[u8]) {
        let Some(line) = line.strip_prefix(self.protocol.as_bytes()) else { return };
        if self.places.is_empty() {
            let is_counter = |name: &[u8]| self.counters.iter().any(|one| one.as_bytes() == name);
            let names = fields(line).enumerate().filter(|(_, name)| is_counter(name));
            self.places = names.map(|(place, _)| place).collect();
        } else {
            let numbers: Option<Vec<u64>> =
                self.places.iter().map(|place| decimal(fields(line).nth(*place)?)).collect();
            self.total = numbers.map(|numbers| numbers.into_iter().fold(0, u64::wrapping_add));
        }
    }

    /// Fails if one of them is not there.
    fn total(&self) -> io::Result<u64> {
        let is_whole = self.places.len() == self.counters.len();
        self.total.filter(|_| is_whole).ok_or(ErrorKind::InvalidData.into())
    }
}

/// The local ports that the kernel gives to whoever asks for none: net.ipv4.ip_local_port_range
/// (ip(7)), which counts for IPv6 too. Linux's own default where it cannot be read.
pub fn ephemeral_ports() -> RangeInclusive<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    range.ok().and_then(|range| parse_port_range(&range)).unwrap_or(32_768..=60_999)
}

fn parse_port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ports = text.split_ascii_whitespace();
    Some(ports.next()?.parse().ok()?..=ports.next()?.parse().ok()?)
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
