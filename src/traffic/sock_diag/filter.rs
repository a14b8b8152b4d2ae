//! Has the kernel leave out the sockets of other ports: as a program for a dump, and as another one
//! for events. A kernel that lists them costs more than one that skips them.

use nix::libc;

use crate::sorted::SortedSet;
use crate::traffic::sock_diag::inet::{Choice, LOCAL_PORT};
use crate::traffic::sock_diag::message::header;

/// Some ports, as ranges: those of an app are few, and often neighbours.
#[derive(Debug)]
pub struct PortRanges(Vec<Range>);

/// From the first port to the last one, which belongs to it. They are sorted, and do not touch.
type Range = (u16, u16);

/// The kernel gets no longer program: it runs for each socket, and the check of one takes time that
/// grows with the square of its length. Where there are more, all is listed and left out here.
const MAX_RANGES: usize = 64;

impl PortRanges {
    /// In any order, and more than once.
    pub fn new(ports: &[u16]) -> PortRanges {
        let ports: SortedSet<u16> = ports.iter().copied().collect();
        let mut ranges: Vec<Range> = Vec::new();
        for port in ports.iter() {
            match ranges.last_mut() {
                Some((_, last)) if port <= last.saturating_add(1) => *last = port,
                _ => ranges.push((port, port)),
            }
        }
        PortRanges(ranges)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, port: u16) -> bool {
        let below = self.0.partition_point(|(_, last)| *last < port);
        self.0.get(below).is_some_and(|(first, _)| *first <= port)
    }

    /// How a dump leaves out the others; where the program would be too long, not at all.
    pub fn choice(&self) -> Choice {
        match *self.0 {
            // It costs the kernel least.
            [(port, last)] if port == last && port != 0 => Choice::One(port),
            _ if self.0.len() > MAX_RANGES => Choice::All,
            _ => Choice::Program(self.bytecode()),
        }
    }

    /// The kernel (inet_diag_bc_audit and inet_diag_bc_run in its inet_diag.c) takes a socket if it
    /// gets exactly to the end, and leaves it out if it gets 4 bytes beyond. Both comparisons are as
    /// old as the protocol; that for equality is of Linux 4.16.
    fn bytecode(&self) -> Vec<u8> {
        /// The operations: `op->yes` bytes on if true, `op->no` bytes on if not.
        const JUMP: u8 = 1;
        const LOCAL_PORT_AT_LEAST: u8 = 2;
        const LOCAL_PORT_AT_MOST: u8 = 3;
        /// Of an operation, and of a comparison, which is two: the second one has the port as `no`.
        const OPERATION: usize = 4;
        const COMPARISON: usize = 2 * OPERATION;
        const RANGE: usize = 2 * COMPARISON + OPERATION;

        let mut code = Vec::with_capacity(RANGE * self.0.len());
        let mut add = |operation: u8, yes: usize, no: usize| {
            code.extend_from_slice(&[operation, yes as u8]);
            code.extend_from_slice(&(no as u16).to_ne_bytes());
        };
        for (&(first, last), left) in self.0.iter().zip((0..self.0.len()).rev()) {
            // From the end of this range, a jump out of the last one is 4 bytes beyond the end.
            let otherwise = if left == 0 { OPERATION } else { 0 };
            add(LOCAL_PORT_AT_LEAST, COMPARISON, RANGE + otherwise);
            add(0, 0, first.into());
            add(LOCAL_PORT_AT_MOST, COMPARISON, RANGE - COMPARISON + otherwise);
            add(0, 0, last.into());
            add(JUMP, OPERATION, OPERATION + left * RANGE);
        }
        code
    }

    /// A classic BPF program (the kernel's networking/filter.rst) that lets only events through whose socket had one
    /// of these ports; None where it would be too long.
    pub fn socket_filter(&self) -> Option<Vec<libc::sock_filter>> {
        const LOAD_PORT: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
        const SKIP_IF_LESS: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
        const SKIP_IF_MORE: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
        const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
        /// How much of an event to keep.
        const ALL: u32 = u32::MAX;
        const NONE: u32 = 0;

        if self.0.len() > MAX_RANGES {
            return None;
        }
        let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
        // It is loaded as a number of network byte order.
        let mut program = vec![statement(LOAD_PORT, 0, 0, (header::SIZE + LOCAL_PORT) as u32)];
        for &(first, last) in &self.0 {
            program.push(statement(SKIP_IF_LESS, 0, 2, first.into()));
            program.push(statement(SKIP_IF_MORE, 1, 0, last.into()));
            program.push(statement(RETURN, 0, 0, ALL));
        }
        program.push(statement(RETURN, 0, 0, NONE));
        Some(program)
    }
}

#[cfg(test)]
mod tests;
