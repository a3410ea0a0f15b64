//! Memory for all children at a time: many small components are compiled at once, and of large ones no more
//! than fit.
//!
//! It only says who begins when. What a child may really take is a limit that the kernel holds.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::plugin::limits::CompileLimits;

/// Bytes that a child takes whatever it compiles.
const EMPTY: u64 = 32 << 20;
/// Bytes that it takes for each byte of a component. A Rust guest of 150 kB was compiled within 15 MiB, a
/// JavaScript guest of 1.6 MB within 91 MiB.
const EACH: u64 = 64;

/// Memory that children share.
pub(in crate::plugin) struct Memory {
    all: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

impl Memory {
    /// So many bytes for all.
    pub(in crate::plugin) fn new(bytes: u64) -> Self {
        Self { all: bytes, free: Mutex::new(bytes), freed: Condvar::new() }
    }

    /// Has a component of `size` bytes made code of once there is memory for it: with as much as it will take
    /// by its size, and where that `was_too_little`, with as much as it may.
    pub(in crate::plugin) fn compile<R>(
        &self,
        size: usize,
        limits: CompileLimits,
        make: impl Fn(CompileLimits) -> R,
        was_too_little: impl Fn(&R) -> bool,
    ) -> R {
        let likely = (size as u64).saturating_mul(EACH).saturating_add(EMPTY);
        if likely < limits.memory {
            let made = self.with(likely, || make(CompileLimits { memory: likely, ..limits }));
            if !was_too_little(&made) {
                return made;
            }
        }
        self.with(limits.memory, || make(limits))
    }

    /// Does `work` once so many bytes are free, or all if it may take more than there are.
    fn with<R>(&self, bytes: u64, work: impl FnOnce() -> R) -> R {
        let bytes = bytes.min(self.all);
        let free = self.freed.wait_while(self.free(), |free| *free < bytes);
        *free.unwrap_or_else(PoisonError::into_inner) -= bytes;
        let done = work();
        *self.free() += bytes;
        self.freed.notify_all();
        done
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    fn limits() -> CompileLimits {
        CompileLimits::default()
    }

    #[test]
    fn ten_small_ones_are_compiled_at_once() {
        let (memory, begun) = (Memory::new(2 * limits().memory), AtomicU64::new(0));
        // Each but the last has another one begin while it is at work.
        fn begin(memory: &Memory, begun: &AtomicU64) {
            let another = |_| {
                if begun.fetch_add(1, Ordering::SeqCst) < 9 {
                    begin(memory, begun);
                }
            };
            assert!(*memory.free() >= 42 << 20, "there is no memory for another one");
            memory.compile(150_000, limits(), another, |()| false);
        }
        begin(&memory, &begun);
        assert_eq!(begun.into_inner(), 10);
    }

    #[test]
    fn no_more_is_given_than_there_is() {
        let (memory, taken, most) = (Memory::new(100 << 20), AtomicU64::new(0), AtomicU64::new(0));
        let make = |limits: CompileLimits| {
            let now = taken.fetch_add(limits.memory, Ordering::SeqCst) + limits.memory;
            most.fetch_max(now, Ordering::SeqCst);
            thread::yield_now();
            taken.fetch_sub(limits.memory, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            for size in 0..32 {
                let make = &make;
                let memory = &memory;
                scope.spawn(move || memory.compile(size << 14, limits(), make, |()| false));
            }
        });
        let most = most.into_inner();
        assert!(most > 0 && most <= 100 << 20, "{most}");
        assert_eq!(memory.free.into_inner().unwrap(), 100 << 20);
    }

    #[test]
    fn too_little_is_tried_again_with_all_that_a_config_gives() {
        let (memory, given) = (Memory::new(64 << 20), Mutex::new(Vec::new()));
        let make = |limits: CompileLimits| given.lock().unwrap().push(limits.memory);
        let tries = |size, memory_limit| {
            let limits = CompileLimits { memory: memory_limit, ..limits() };
            memory.compile(size, limits, make, |()| true);
            std::mem::take(&mut *given.lock().unwrap())
        };
        assert_eq!(tries(1 << 20, 448 << 20), [96 << 20, 448 << 20]);
        assert_eq!(tries(0, 33 << 20), [32 << 20, 33 << 20]);
        assert_eq!(tries(0, 32 << 20), [32 << 20]);
        assert_eq!(tries(usize::MAX, u64::MAX - 1), [u64::MAX - 1]);
    }
}
