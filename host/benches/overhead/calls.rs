//! The loop under test: real calls of getpid(), on one CPU, while other CPUs rest or do the same.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Calls of one sample: so few that some samples end before anything else gets the CPU, and the
/// fastest of them is a time without disturbance. Other tasks only ever add to it.
const CALLS: u64 = 2_000;

/// Samples of one measurement, after one that only warms up. Many, for with other work on the
/// machine there are not always two CPUs at a time for this.
const SAMPLES: u64 = 50;

/// Calls of one measurement.
pub(crate) const MEASUREMENT: u64 = (1 + SAMPLES) * CALLS;

/// Calls that a neighbour makes before it says so.
const STRIDE: u64 = 100;

/// The CPUs of the benchmark.
pub(crate) struct Cpus {
    /// Those that are not measured.
    others: Vec<usize>,
}

impl Cpus {
    /// Binds this thread to the first CPU that it may use, and leaves the rest to neighbours.
    pub(crate) fn claim() -> Self {
        let mut cpus = allowed();
        bind(cpus.remove(0));
        Self { others: cpus }
    }

    /// Nanoseconds that a call takes while nobody else makes any.
    pub(crate) fn alone(&self) -> f64 {
        fastest(|| true).expect("all samples count")
    }

    /// Nanoseconds that it takes while every other CPU makes the same calls. A sample counts if each
    /// neighbour made about as many meanwhile: with far fewer, it did not run; with far more, this
    /// thread did not. Nothing if none counts, or there is no other CPU.
    pub(crate) fn together(&self) -> Option<f64> {
        if self.others.is_empty() {
            return None;
        }
        let stop = AtomicBool::new(false);
        let made: Vec<_> = self.others.iter().map(|_| Made(AtomicU64::new(0))).collect();
        std::thread::scope(|scope| {
            for (cpu, made) in self.others.iter().zip(&made) {
                let stop = &stop;
                scope.spawn(move || {
                    bind(*cpu);
                    while !stop.load(Ordering::Relaxed) {
                        call(STRIDE);
                        made.0.fetch_add(STRIDE, Ordering::Relaxed);
                    }
                });
            }
            // Each one's count starts anew, whatever another's says.
            let in_step =
                |made: &Made| (CALLS / 2..=CALLS * 2).contains(&made.0.swap(0, Ordering::Relaxed));
            let fastest =
                fastest(|| made.iter().map(in_step).fold(true, |all, in_step| all & in_step));
            stop.store(true, Ordering::Relaxed);
            fastest
        })
    }
}

/// Calls that a neighbour has made since the last sample, on a cache line of its own.
#[repr(align(128))]
struct Made(AtomicU64);

/// Nanoseconds of a call in the fastest sample that counts, which is asked after each.
fn fastest(counts: impl Fn() -> bool) -> Option<f64> {
    let sample = || {
        let start = Instant::now();
        call(CALLS);
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    sample();
    counts();
    (0..SAMPLES).map(|_| sample()).filter(|_| counts()).min_by(f64::total_cmp)
}

fn call(times: u64) {
    for _ in 0..times {
        // SAFETY: this call takes no arguments and cannot fail. It is made by number, so that no
        // library can answer it without the kernel.
        unsafe { libc::syscall(libc::SYS_getpid) };
    }
}

fn allowed() -> Vec<usize> {
    // SAFETY: a set of CPUs is plain bits, of which none need be set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel fills in at most the set's size.
    let answer = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    assert_eq!(answer, 0, "the kernel tells where this thread may run");
    // SAFETY: every number asked for lies in the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

fn bind(cpu: usize) {
    // SAFETY: as in `allowed`, where the number comes from.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the kernel reads no more than the set's size.
    let answer = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    assert_eq!(answer, 0, "this thread may run where it said it may");
}
