//! Attaching: hooks are pulled and counted exactly; what does not attach costs only itself.

use std::fs;
use std::net::UdpSocket;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::bpf::{AttachError, stats};
use libbpf_rs::ProgramHandle;

use crate::exporter::until;
use crate::object;
use crate::switch::Switch;
use crate::workload::{Workload, last_cpu, on_cpu, rows};

/// The argument of the uprobe is its key in `uprobe_hits_total`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn kernel_test_uprobe(key: u64) -> u64 {
    std::hint::black_box(key)
}

pub fn counts_in_every_type_of_map() {
    let work = Workload::start();
    for name in [
        "work_hash_total",
        "work_lru_hash_total",
        "work_array_total",
        "work_percpu_hash_total",
        "work_percpu_array_total",
        "work_lru_percpu_hash_total",
        "work_mmap_array_total",
        "work_exp2_seconds",
        "work_exp2zero_bytes",
        "work_linear_depth",
        "work_fixed_size",
        "work_padded_total",
    ] {
        let size = work.attached.map(name).unwrap().spec.key_size as usize;
        let key = |n: u8| {
            let mut key = vec![0; size];
            key[0] = n;
            key
        };
        for round in 1..=100 {
            work.add(name, &key(3), 1);
            work.add(name, &key(5), round);
        }
        let expected = [(key(3), 100), (key(5), 5050)];
        assert_eq!(work.counts(name), expected.into_iter().collect(), "{name}");
    }
    work.add("work_plain_total", &[0; 4], u64::MAX);
    assert_eq!(work.counts("work_plain_total"), [(vec![0; 4], u64::MAX)].into_iter().collect());
}

pub fn counts_on_the_cpu_that_counted() {
    let work = Workload::start();
    let (session, last) = (work.session, last_cpu());
    let key = 7u64.to_ne_bytes();
    for (cpu, add) in [(0, 10), (last, 3)] {
        on_cpu(cpu, || {
            session.add("work_cpu_hash_total", &key, add);
            session.add("work_cpu_array_total", &[0; 4], add);
            session.add("work_cpu_exp2_seconds", &key, add);
        });
    }
    for name in ["work_cpu_hash_total", "work_cpu_array_total", "work_cpu_exp2_seconds"] {
        let mut expected = vec![0; libbpf_rs::num_possible_cpus().unwrap()];
        expected[0] += 10;
        expected[last] += 3;
        assert_eq!(work.rows(name).into_values().next(), Some(expected), "{name}");
    }
}

pub fn odd_bytes_in_keys_stay_as_they_are() {
    let work = Workload::start();
    let odd: [&[u8]; 5] = [b"a\0b\n", b"\"\\\"", b"\xff\xfe\x80", "🦀é".as_bytes(), &[0xff; 24]];
    let keys = odd.map(|text| {
        let mut key = u64::MAX.to_ne_bytes().to_vec();
        key.extend(text);
        key.resize(32, 0);
        key
    });
    for (key, add) in keys.iter().zip(1..) {
        work.add("work_hash_total", key, add);
    }
    assert_eq!(work.counts("work_hash_total"), keys.into_iter().zip(1..).collect());
}

pub fn every_kind_of_hook() {
    let attached = object::attach("hooks");
    assert_eq!(attached.failures(), []);

    for key in [11, 12, 12] {
        assert_eq!(kernel_test_uprobe(key), key);
    }
    let hits = rows(&attached, "uprobe_hits_total");
    let expected = [(11u64, 1), (12, 2)];
    let expected = expected.map(|(key, count)| (key.to_ne_bytes().to_vec(), vec![count]));
    assert_eq!(hits, expected.into_iter().collect());

    let name = format!("hook-{}\0", std::process::id());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..1000 {
                // SAFETY: the name ends in NUL and is shorter than 16 bytes.
                unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
            }
        });
    });
    let mut key = name.into_bytes();
    key.resize(16, 0);
    for map in ["raw_tp_renames_total", "tp_btf_renames_total"] {
        assert_eq!(rows(&attached, map).get(&key), Some(&vec![1000]), "{map}");
    }
}

/// Each of a thread's sleeps is a switch, and each CPU has its ticks.
pub fn perf_events_run_on_every_cpu() {
    let attached = object::attach("sampled");
    let naps = 50;
    let thread = std::thread::spawn(move || {
        for _ in 0..naps {
            std::thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: nothing is passed.
        unsafe { libc::syscall(libc::SYS_gettid) as u32 }
    });
    let thread = thread.join().unwrap();
    let switches = rows(&attached, "context_switches_total");
    let own = switches.get(&thread.to_ne_bytes()[..]).map(|counts| counts[0]);
    assert!(own >= Some(naps), "{own:?}");
    until("every CPU ticks", || {
        let ticks = rows(&attached, "clock_ticks_total");
        (0..=last_cpu()).all(|cpu| {
            on_cpu(cpu, || (0..1_000_000).for_each(|n| _ = std::hint::black_box(n)));
            ticks.contains_key(&(cpu as u32).to_ne_bytes()[..])
        })
    });
    let failures: String =
        attached.failures().iter().map(|error| format!("{}\n", error.advice())).collect();
    insta::assert_snapshot!(failures, @r"
    failed to attach program `no_event` (perf_event/type=7777,config=0,frequency=1): this machine has no such perf event; a virtual machine often has none of its hardware's; see `perf list` for those that it has
    failed to attach program `no_rate` (perf_event/type=1,config=0): the section lacks `frequency`; write perf_event/type=T,config=C,frequency=F, numbers as in perf_event_open(2)
    ");
}

/// An interface has one XDP program at a time: trials that attach to `lo` take turns.
pub static LOOPBACK: Mutex<()> = Mutex::new(());

/// XDP and traffic control count the packets of one socket exactly, and are gone with their object.
pub fn packets_of_an_interface() {
    let _turn = LOOPBACK.lock().unwrap_or_else(PoisonError::into_inner);
    let attached = object::attach("packets");
    let told: Vec<_> = attached.failures().iter().map(|error| error.advice().to_string()).collect();
    // Which interfaces there are depends on the host.
    let told = told.concat();
    insta::assert_snapshot!(told.split(';').next().unwrap(), @"failed to attach program `no_interface` (xdp/no-such-iface): this network namespace has no interface `no-such-iface`");
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = receiver.local_addr().unwrap();
    for _ in 0..100 {
        sender.send_to(b"x", to).unwrap();
        receiver.recv(&mut [0]).unwrap();
    }
    let key = u32::from(to.port()).to_ne_bytes().to_vec();
    for map in ["received_total", "ingress_total", "egress_total"] {
        assert_eq!(rows(&attached, map).get(&key), Some(&vec![100]), "{map}");
    }
    let other = object::attach("packets");
    assert!(other.failures().iter().any(|error| {
        let advice = error.advice().to_string();
        advice.contains("`lo` has an XDP program already")
    }));
    drop(other);
    drop(attached);
    assert_eq!(object::attach("packets").failures().len(), 1, "nothing of it has stayed");
}

pub fn what_does_not_attach_costs_only_itself() {
    let attached = object::attach("unattachable");
    let states: Vec<_> =
        attached.programs().iter().map(|program| (&*program.name, program.attached)).collect();
    let expected = [
        ("attaches", true),
        ("misspelt_tracepoint", false),
        ("no_group", false),
        ("misspelt_raw_tp", false),
        ("no_function", false),
        ("no_file", false),
        ("no_symbol", false),
        ("no_symbols", false),
        ("of_script", false),
        ("probe_of_script", false),
        ("no_probe", false),
        ("not_by_section", false),
    ];
    assert_eq!(states, expected);

    // What a missing function is told as depends on whether the kernel has kprobes at all.
    let of_kprobe = |error: &&AttachError| error.section.starts_with("kprobe/");
    let failures: String = attached
        .failures()
        .iter()
        .filter(|error| !of_kprobe(error))
        .map(|error| format!("{}\n", error.advice()))
        .collect();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    insta::assert_snapshot!(failures.replace(release.trim(), "RELEASE"), @r"
    failed to attach program `misspelt_tracepoint` (tracepoint/syscalls/sys_enter_prctll): this kernel (RELEASE) has no tracepoint `syscalls/sys_enter_prctll`; did you mean `syscalls/sys_enter_prctl`?
    failed to attach program `no_group` (tracepoint/no_such_group/x): this kernel (RELEASE) has no tracepoint group `no_such_group`; look for it under /sys/kernel/tracing/events, its module may not be loaded
    failed to attach program `misspelt_raw_tp` (raw_tp/task_renamed): this kernel (RELEASE) has no raw tracepoint `task_renamed`; did you mean `task_rename`?
    failed to attach program `no_file` (uprobe//no/such/file:symbol): no file `/no/such/file` that could be opened; see that it is there where the exporter runs: a container has files of its own
    failed to attach program `no_symbol` (uprobe//proc/self/exe:no_such_symbol): `/proc/self/exe` has no such symbol: stripped, inlined, or in another file; look for it with `nm -D` or `readelf -s`
    failed to attach program `no_symbols` (uprobe.multi//proc/self/exe:no_such_symbol_*): `/proc/self/exe` has no function that matches `no_such_symbol_*`: stripped, inlined, or in another file; look for them with `nm -D` or `readelf -s`
    failed to attach program `of_script` (uprobe//usr/bin/ldd:main): `/usr/bin/ldd` is a script, no ELF file: it has nothing that can be hooked; write the full path of the program itself in the section
    failed to attach program `probe_of_script` (usdt//usr/bin/ldd:provider:name): `/usr/bin/ldd` is a script, no ELF file: it has nothing that can be hooked; write the full path of the program itself in the section
    failed to attach program `no_probe` (usdt//proc/self/exe:provider:name): `/proc/self/exe` has no probe `provider:name`: built without USDT probes, or named otherwise; look for it with `readelf -n`
    failed to attach program `not_by_section` (syscall): libbpf attaches no program by a section of this kind; name a hook, as in tracepoint/GROUP/NAME
    ");
}

/// What names nothing to attach to, or what this kernel lacks, costs only itself, loaded or not.
pub fn what_names_no_hook_costs_only_itself() {
    let attached = object::attach("bare");
    let running: Vec<_> = attached.programs().iter().filter(|program| program.attached).collect();
    assert_eq!(running.iter().map(|program| &*program.name).collect::<Vec<_>>(), ["attaches"]);
    assert!(running[0].id.is_some());
    assert_eq!(attached.programs().len(), 15, "all are told of");
    let absent: Vec<_> = attached
        .programs()
        .iter()
        .filter(|program| program.id.is_none())
        .map(|program| &*program.name)
        .collect();
    assert_eq!(
        absent,
        ["no_function", "function_unknown", "tracepoint_unknown", "replacement", "operation"]
    );
    let failures: String =
        attached.failures().iter().map(|error| format!("{}\n", error.advice())).collect();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    insta::assert_snapshot!(failures.replace(release.trim(), "RELEASE"), @r#"
    failed to attach program `packets` (xdp): the section names no hook; write one, as in xdp/IFACE
    failed to attach program `forwarded` (xdp/devmap): libbpf attaches no program by a section of this kind; name a hook, as in tracepoint/GROUP/NAME
    failed to attach program `clock` (perf_event): the section names no hook; write one, as in perf_event/type=T,config=C,frequency=F
    failed to attach program `traffic` (tc): the section names no hook; write one, as in tc/ingress/IFACE
    failed to attach program `stream` (sk_skb): libbpf attaches no program by a section of this kind; name a hook, as in tracepoint/GROUP/NAME
    failed to attach program `group` (cgroup/skb): libbpf attaches no program by a section of this kind; name a hook, as in tracepoint/GROUP/NAME
    failed to attach program `sockets` (sockops): libbpf attaches no program by a section of this kind; name a hook, as in tracepoint/GROUP/NAME
    failed to attach program `no_tracepoint` (tracepoint): the section names no hook; write one, as in tracepoint/GROUP/NAME
    failed to attach program `no_raw_tracepoint` (raw_tp): the section names no hook; write one, as in raw_tp/NAME
    failed to attach program `no_function` (fentry): the section names no hook; write one, as in fentry/FUNCTION
    failed to attach program `function_unknown` (fentry/no_such_function_at_all): this kernel (RELEASE) has no function `no_such_function_at_all` to hook: renamed, inlined, or in a module that is not loaded; look for it in /proc/kallsyms
    failed to attach program `tracepoint_unknown` (tp_btf/no_such_tracepoint_at_all): this kernel (RELEASE) has no tracepoint `no_such_tracepoint_at_all`
    failed to attach program `replacement` (freplace/function): it replaces a function of another program, which no config can name; take it out of the object, or put `?` in front of its section
    failed to attach program `operation` (struct_ops/function): no map in `SEC(".struct_ops")` or `SEC(".struct_ops.link")` refers to it, so there is nothing to load it for; take it out of the object, or put `?` in front of its section
    "#);
}

pub fn a_kprobe_works_or_says_why_not() {
    let attached = object::attach("unattachable");
    let error = attached.failures().iter().find(|error| error.program == "no_function").unwrap();
    let has_kprobes = fs::exists("/sys/bus/event_source/devices/kprobe").unwrap();
    let told = if has_kprobes {
        "has no function `no_such_function_at_all`: renamed, inlined"
    } else {
        "has no kprobes (CONFIG_KPROBES is off); use a tracepoint"
    };
    let advice = error.advice().to_string();
    assert!(advice.contains(told), "{advice}");
}

pub fn dropping_detaches() {
    let work = Workload::start();
    let id = work.attached.programs()[0].id.unwrap();
    assert!(ProgramHandle::from_prog_id(id).is_ok(), "it is in the kernel");
    drop(work);
    // The kernel frees what no one holds a moment later.
    let start = Instant::now();
    while ProgramHandle::from_prog_id(id).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10), "program {id} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn programs_are_described() {
    let work = Workload::start();
    let [program] = work.attached.programs() else { panic!("one program") };
    let handle = ProgramHandle::from_prog_id(program.id.unwrap()).unwrap();
    let tag: String = handle.tag().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((program.name.as_str(), program.attached), ("workload", true));
    assert_eq!(program.tag, tag);
}

fn cost(work: &Workload) -> stats::ProgramCost {
    work.attached.stats("work").next().unwrap().cost.unwrap()
}

pub fn costs_are_measured() {
    let work = Workload::start();
    let switch = Switch::take();
    switch.set("0");
    assert!(!stats::enabled());
    let before = cost(&work);
    switch.set("1");
    assert!(stats::enabled());
    for _ in 0..100 {
        work.add("work_plain_total", &[0; 4], 1);
    }
    drop(switch);
    let after = cost(&work);
    // Other processes may call prctl meanwhile.
    assert!(after.run_count - before.run_count >= 100, "{before:?} {after:?}");
    assert!(after.run_time > before.run_time, "{before:?} {after:?}");
}
