use super::*;

/// One that has no memory from a time on, as the kernel may have none.
struct Refusing(AtomicBool);

// SAFETY: it is the system's, or gives nothing.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.0.load(Ordering::Relaxed) {
            true => null_mut(),
            // SAFETY: the caller keeps the same rules.
            false => unsafe { std::alloc::System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same rules.
        unsafe { std::alloc::System.dealloc(memory, layout) }
    }
}

fn refusing() -> Reserve<Refusing> {
    Reserve(Refusing(AtomicBool::new(true)))
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// One test, since all share the reserve.
#[test]
fn the_reserve_gives_what_is_refused_elsewhere() {
    // SAFETY: what is given is not null, is written in its size, and given back with its layout.
    unsafe {
        is_never_touched_while_there_is_other_memory();
        gives_what_is_free();
        moves_what_grows();
    }
}

unsafe fn gives_what_is_free() {
    let memory = refusing();
    // SAFETY: see above.
    unsafe {
        let blocks: Vec<*mut u8> =
            (0..SIZE / LARGEST).map(|_| memory.alloc(layout(LARGEST))).collect();
        for (n, block) in blocks.iter().enumerate() {
            assert!(!block.is_null() && block.addr().is_multiple_of(UNIT));
            block.write_bytes(n as u8 + 1, LARGEST);
        }
        assert!(was_used());
        assert!(memory.alloc(layout(1)).is_null(), "all is given out");
        for (n, block) in blocks.iter().enumerate() {
            let bytes = std::slice::from_raw_parts(*block, LARGEST);
            assert!(bytes.iter().all(|byte| usize::from(*byte) == n + 1), "none in common");
        }
        memory.dealloc(blocks[1], layout(LARGEST));
        memory.dealloc(blocks[2], layout(LARGEST));
        assert!(memory.alloc(layout(LARGEST + 1)).is_null(), "it is too large");
        assert!(memory.alloc(Layout::from_size_align(8, 2 * UNIT).expect("a layout")).is_null());
        let small = memory.alloc(layout(UNIT + 1));
        assert_eq!(small, blocks[1], "the first that is free");
        let next = memory.alloc_zeroed(layout(LARGEST));
        assert_eq!(next, small.wrapping_add(2 * UNIT), "two units are in use");
        let zeros = std::slice::from_raw_parts(next, LARGEST);
        assert!(zeros.iter().all(|byte| *byte == 0));
        memory.dealloc(small, layout(UNIT + 1));
        memory.dealloc(next, layout(LARGEST));
        for block in [0, 3, 4, 5, 6, 7] {
            memory.dealloc(blocks[block], layout(LARGEST));
        }
    }
    assert!(ARENA.taken.iter().all(|taken| !taken.load(Ordering::Relaxed)), "all is given back");
}

unsafe fn moves_what_grows() {
    let memory = Reserve(Refusing(AtomicBool::new(false)));
    // SAFETY: see above.
    unsafe {
        let block = memory.alloc(layout(100));
        assert_eq!(ARENA.place(block), None);
        block.write_bytes(7, 100);
        memory.0.0.store(true, Ordering::Relaxed);
        let grown = memory.realloc(block, layout(100), 1000);
        assert_eq!(ARENA.place(grown), Some(0));
        assert!(std::slice::from_raw_parts(grown, 100).iter().all(|byte| *byte == 7));
        assert!(memory.realloc(grown, layout(1000), LARGEST + 1).is_null(), "and it stays");
        assert!(std::slice::from_raw_parts(grown, 100).iter().all(|byte| *byte == 7));
        memory.0.0.store(false, Ordering::Relaxed);
        let shrunk = memory.realloc(grown, layout(1000), 50);
        assert_eq!(ARENA.place(shrunk), None, "there is other memory again");
        assert!(std::slice::from_raw_parts(shrunk, 50).iter().all(|byte| *byte == 7));
        memory.dealloc(shrunk, layout(50));
    }
    assert!(ARENA.taken.iter().all(|taken| !taken.load(Ordering::Relaxed)), "all is given back");
}

unsafe fn is_never_touched_while_there_is_other_memory() {
    let memory = Reserve(std::alloc::System);
    // SAFETY: see above.
    unsafe {
        let block = memory.alloc_zeroed(layout(2 * LARGEST));
        assert_eq!(ARENA.place(block), None);
        memory.dealloc(block, layout(2 * LARGEST));
    }
    assert!(!was_used());
}
