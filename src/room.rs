//! Memory for what grows with processes or sockets. It is asked for in one piece, or each of the lists that
//! grow with them could be refused its memory, and that would be our end. No system call of its own, no clock.

/// So many can be kept whatever memory is refused, as what is reserved suffices for them.
pub const FEW: usize = 256;

/// Whether there is memory for so many, each with so many bytes in all lists together.
pub fn is_there_for(count: usize, each: usize) -> bool {
    let size = count.saturating_mul(each);
    count <= FEW || Vec::<u8>::new().try_reserve_exact(size).is_ok()
}

/// Memory for what comes one by one.
#[derive(Clone, Debug, Default)]
pub struct Room {
    taken: usize,
    /// There is memory for so many.
    granted: usize,
    is_full: bool,
}

impl Room {
    /// Whether there is memory for one more that has so many bytes in all lists together. Where there was
    /// none once there is none.
    pub fn takes_one(&mut self, each: usize) -> bool {
        self.taken += 1;
        if self.taken > self.granted && !self.is_full {
            self.granted = FEW.max(self.taken * 2);
            self.is_full = !is_there_for(self.granted, each);
        }
        !self.is_full
    }

    /// Whether there was no memory for one.
    pub fn is_full(&self) -> bool {
        self.is_full
    }
}

#[cfg(test)]
mod tests;
