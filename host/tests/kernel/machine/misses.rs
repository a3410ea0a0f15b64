//! Programs that were to run and did not.

use std::os::unix::process::parent_id;

use ebpf_wasm_exporter::bpf::stats::Misses;

use super::is_at_least;
use crate::object;

/// Of a kprobe inside another the kernel's probe says it, from Linux 6.7 on; of a program inside itself the
/// program does.
pub fn the_kernel_says_what_did_not_run() {
    let mut opened = object::open("missed");
    opened.set_constant("process", std::process::id().into()).unwrap();
    let attached = opened.load().unwrap().attach();
    assert_eq!(attached.failures(), []);
    let misses = |program: &str| {
        let stats = attached.stats("missed").find(|stats| stats.program.name == program);
        stats.and_then(|stats| stats.misses).unwrap()
    };
    let says = misses("inner").probe;
    let calls = 7;
    for _ in 0..calls {
        std::hint::black_box(parent_id());
    }
    assert_eq!(misses("inner").probe, says.map(|before| before + calls));
    assert_eq!(misses("nested"), Misses { recursion: Some(calls), probe: None });
    assert_eq!(says.is_some(), is_at_least((6, 7)), "{says:?}");
}
