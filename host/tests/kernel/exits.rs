//! Every exit code, and what a person reads then.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::configs::{Configs, WORKLOAD};
use crate::exporter::{BINARY, Exporter, Said, copy_program, run};
use crate::object;

const ANY_PORT: &str = "--web.listen-address=127.0.0.1:0";

const UNKNOWN_KEY: &str = "metrics:
  counters:
    - name: work_plain_total
      help: h
      lables: []
";

const FAULTY: &str = "metrics:
  counters:
    - name: work_plain_total
      help: h
      labels: [{name: id, size: 8, decoders: [{name: uinnt}]}]
    - name: work_plan_total
      help: h
";

fn exporter(configs: &Configs, flags: &[&str]) -> Said {
    told(configs, run(Command::new(BINARY).args(configs.flags()).args(flags)))
}

/// Without what is another in every run.
fn told(configs: &Configs, said: Said) -> Said {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let dir = configs.path().to_str().unwrap();
    let announced =
        |line: &&str| line.starts_with(" INFO ebpf_wasm_exporter ") || line.starts_with("DEBUG ");
    let lines = said.stderr.split_inclusive('\n').filter(|line| !announced(line));
    let stderr = lines.collect::<String>();
    let stderr = stderr.replace(dir, "DIR").replace(release.trim(), "RELEASE");
    Said { stderr, ..said }
}

fn of(name: &str, yaml: &str) -> Configs {
    let mut configs = Configs::new();
    configs.add_workload(name, yaml);
    configs
}

pub fn zero_when_checked() {
    let mut configs = of("good", WORKLOAD);
    fs::create_dir(configs.path().join("folder")).unwrap();
    configs.add_workload("folder/another", WORKLOAD);
    let said = exporter(&configs, &["--config.check", "--config.strict"]);
    assert_eq!((said.code, &*said.stdout), (Some(0), "ok\n"));
    assert_eq!(said.stderr, "");
}

/// A user who may have no second thread: serving takes one.
pub fn one_when_something_is_unexpected() {
    let configs = of("good", WORKLOAD);
    let binary = configs.path().join("exporter");
    copy_program(BINARY, &binary);
    let mut command = Command::new("prlimit");
    command
        .args(["--nproc=1", "setpriv", "--reuid=4242", "--clear-groups"])
        .args([
            "--inh-caps=+bpf,+perfmon,+dac_override",
            "--ambient-caps=+bpf,+perfmon,+dac_override",
        ])
        .arg(binary)
        .args(configs.flags())
        .args([ANY_PORT, "--capabilities.keep=none"]);
    let said = told(&configs, run(&mut command));
    assert_eq!(said.code, Some(1), "{said:?}");
    let error = said.stderr.lines().last().unwrap();
    insta::assert_snapshot!(error, @"error: failed to start the scrape thread: resource temporarily unavailable; let it have more threads (systemd: TasksMax; ulimit -u; pids.max of its cgroup)");
}

pub fn two_for_the_command_line() {
    let configs = of("good", WORKLOAD);
    let said = exporter(&configs, &["--web.listen-address=nonsense"]);
    assert_eq!(said.code, Some(2));
    insta::assert_snapshot!(said.stderr, @"error: --web.listen-address=nonsense has no port; write [HOST]:PORT, as in :9435");
    let said = exporter(&configs, &["--web.telemetry-path=/maps", "--debug"]);
    assert_eq!(said.code, Some(2));
    insta::assert_snapshot!(said.stderr, @"error: --web.telemetry-path=/maps is where --web.enable-maps or --debug shows the maps; write another path");
    let said = exporter(&configs, &["--btf.path=/no/such/vmlinux", "--config.check"]);
    assert_eq!(said.code, Some(2));
    insta::assert_snapshot!(said.stderr, @"error: failed to read the kernel's types from /no/such/vmlinux (--btf.path): no such file or directory; give the BTF of this kernel");
    let said = exporter(&configs, &["--btf.path=/proc/self/status", "--config.check"]);
    assert_eq!(said.code, Some(2));
    insta::assert_snapshot!(said.stderr, @"error: failed to read the kernel's types from /proc/self/status (--btf.path): it holds no BTF; give the BTF of this kernel");
    let said = exporter(&configs, &["--config.nmes=x"]);
    assert_eq!(said.code, Some(2));
    insta::assert_snapshot!(said.stderr, @"
    error: unexpected argument '--config.nmes' found

      tip: a similar argument exists: '--config.names'

    Usage: ebpf_wasm_exporter --config.dir <DIR> --config.names <NAMES>

    For more information, try '--help'.
    ");
}

pub fn three_for_faults_of_all_configs_at_once() {
    let mut configs = of("faulty", FAULTY);
    configs.add_workload("unread", "metrics: [");
    configs.add_workload("good", WORKLOAD);
    for flags in [&[][..], &["--config.check"]] {
        let said = exporter(&configs, flags);
        assert_eq!((said.code, &*said.stdout), (Some(3), ""));
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.stderr, @"
            DIR/faulty.yaml:5: metrics.counters[0].labels[0].decoders[0].name: no decoder is called `uinnt`; did you mean `uint`?
            DIR/faulty.yaml:5: metrics.counters[0].labels: sizes add up to 8 and paddings to 0, 8 in all, but keys of map `work_plain_total` have 4 bytes; make them add up to the 4 bytes of the key, `u32`
            DIR/faulty.yaml:6: metrics.counters[1].name: the object has no map `work_plan_total`; did you mean `work_plain_total`?
            DIR/unread.yaml:1: failed to read the YAML: unclosed bracket '[' at line 1 column 10; correct the YAML there
            error: 4 faults in the configs; nothing was loaded
            ");
        }
    }
}

pub fn three_for_a_warning_only_when_strict() {
    let configs = of("odd", UNKNOWN_KEY);
    let said = exporter(&configs, &["--config.check"]);
    assert_eq!((said.code, &*said.stdout), (Some(0), "ok\n"));
    insta::assert_snapshot!(said.stderr, @"DIR/odd.yaml:5: warning: metrics.counters[0].lables: unknown key, which does nothing; did you mean `labels`?");
    let said = exporter(&configs, &["--config.check", "--config.strict"]);
    assert_eq!((said.code, &*said.stdout), (Some(3), ""));
    insta::assert_snapshot!(said.stderr, @"
    DIR/odd.yaml:5: warning: metrics.counters[0].lables: unknown key, which does nothing; did you mean `labels`?
    error: 1 fault in the configs; nothing was loaded
    ");
}

const ONE_COUNTER: &str = "metrics: {counters: [{name: NAME, help: h}]}";

pub fn four_when_an_object_does_not_load() {
    let mut configs = Configs::new();
    configs.add_object("relocation", &ONE_COUNTER.replace("NAME", "counts"));
    let said = exporter(&configs, &["--config.check"]);
    assert_eq!(said.code, Some(4));
    insta::assert_snapshot!(said.stderr, @"error: failed to load config `relocation`: program `unrelocated` (raw_tp/task_rename): it uses `struct task_struct___other.no_such_field`, which this kernel (RELEASE) does not have; guard it with bpf_core_field_exists() and the like, or use a config made for this kernel");
}

/// Not one a try.
pub fn four_for_all_objects_that_do_not_load() {
    let mut configs = Configs::new();
    configs.add_object("relocation", &ONE_COUNTER.replace("NAME", "counts"));
    configs.add(
        "another",
        &ONE_COUNTER.replace("NAME", "counts"),
        &fs::read(object::file("relocation")).unwrap(),
    );
    let said = exporter(&configs, &["--config.check"]);
    assert_eq!(said.code, Some(4));
    let heads: Vec<_> = said.stderr.lines().filter_map(|line| line.split_once("`: ")).collect();
    let heads: Vec<_> = heads.into_iter().map(|(head, _)| head).collect();
    insta::assert_snapshot!(heads.join("\n"), @"
    error: failed to load config `relocation
    error: failed to load config `another
    ");
}

pub fn five_when_a_program_does_not_attach_and_that_matters() {
    let mut configs = Configs::new();
    configs.add_object("unattachable", &ONE_COUNTER.replace("NAME", "counts"));
    let said = exporter(&configs, &["--config.check"]);
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!(said.stdout, @"ok, but 11 of 12 programs did not attach: misspelt_tracepoint (tracepoint/syscalls/sys_enter_prctll), no_group (tracepoint/no_such_group/x), misspelt_raw_tp (raw_tp/task_renamed), no_function (kprobe/no_such_function_at_all), no_file (uprobe//no/such/file:symbol), no_symbol (uprobe//proc/self/exe:no_such_symbol), no_symbols (uprobe.multi//proc/self/exe:no_such_symbol_*), of_script (uprobe//usr/bin/ldd:main), and 3 more");
    let said = exporter(&configs, &["--config.check", "--config.strict"]);
    assert_eq!((said.code, &*said.stdout), (Some(5), ""));
    let said = exporter(&configs, &["--config.strict", ANY_PORT]);
    assert_eq!(said.code, Some(5));
    // What a missing function is told as depends on whether the kernel has kprobes at all.
    let of_kprobe = |line: &&str| line.starts_with(" WARN") && line.contains("(kprobe/");
    let stderr: Vec<_> = said.stderr.lines().filter(|line| !of_kprobe(line)).collect();
    insta::assert_snapshot!(stderr.join("\n"), @r#"
     WARN failed to attach program `misspelt_tracepoint` (tracepoint/syscalls/sys_enter_prctll): this kernel (RELEASE) has no tracepoint `syscalls/sys_enter_prctll`; did you mean `syscalls/sys_enter_prctl`? config="unattachable"
     WARN failed to attach program `no_group` (tracepoint/no_such_group/x): this kernel (RELEASE) has no tracepoint group `no_such_group`; look for it under /sys/kernel/tracing/events, its module may not be loaded config="unattachable"
     WARN failed to attach program `misspelt_raw_tp` (raw_tp/task_renamed): this kernel (RELEASE) has no raw tracepoint `task_renamed`; did you mean `task_rename`? config="unattachable"
     WARN failed to attach program `no_file` (uprobe//no/such/file:symbol): no file `/no/such/file` that could be opened; see that it is there where the exporter runs: a container has files of its own config="unattachable"
     WARN failed to attach program `no_symbol` (uprobe//proc/self/exe:no_such_symbol): `/proc/self/exe` has no such symbol: stripped, inlined, or in another file; look for it with `nm -D` or `readelf -s` config="unattachable"
     WARN failed to attach program `no_symbols` (uprobe.multi//proc/self/exe:no_such_symbol_*): `/proc/self/exe` has no function that matches `no_such_symbol_*`: stripped, inlined, or in another file; look for them with `nm -D` or `readelf -s` config="unattachable"
     WARN failed to attach program `of_script` (uprobe//usr/bin/ldd:main): `/usr/bin/ldd` is a script, no ELF file: it has nothing that can be hooked; write the full path of the program itself in the section config="unattachable"
     WARN failed to attach program `probe_of_script` (usdt//usr/bin/ldd:provider:name): `/usr/bin/ldd` is a script, no ELF file: it has nothing that can be hooked; write the full path of the program itself in the section config="unattachable"
     WARN failed to attach program `no_probe` (usdt//proc/self/exe:provider:name): `/proc/self/exe` has no probe `provider:name`: built without USDT probes, or named otherwise; look for it with `readelf -n` config="unattachable"
     WARN failed to attach program `not_by_section` (syscall): libbpf attaches no program by a section of this kind; name a hook, as in tracepoint/GROUP/NAME config="unattachable"
    error: 11 of 12 programs did not attach: misspelt_tracepoint (tracepoint/syscalls/sys_enter_prctll), no_group (tracepoint/no_such_group/x), misspelt_raw_tp (raw_tp/task_renamed), no_function (kprobe/no_such_function_at_all), no_file (uprobe//no/such/file:symbol), no_symbol (uprobe//proc/self/exe:no_such_symbol), no_symbols (uprobe.multi//proc/self/exe:no_such_symbol_*), of_script (uprobe//usr/bin/ldd:main), and 3 more; each has a line above
    "#);
}

/// As those do not that name nothing to attach to: each is told of, and has its series.
pub fn a_section_that_names_nothing_costs_its_program() {
    let mut configs = Configs::new();
    configs.add_object("bare", &ONE_COUNTER.replace("NAME", "counts"));
    let said = exporter(&configs, &["--config.strict", ANY_PORT]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.stderr.contains("error: 14 of 15 programs did not attach"), "{said:?}");
    let metrics = Exporter::start(configs.flags()).metrics();
    let count = |start: &str, end: &str| {
        metrics.lines().filter(|line| line.starts_with(start) && line.ends_with(end)).count()
    };
    assert_eq!(count("ebpf_exporter_ebpf_program_info{config=\"bare\"", "} 1"), 15);
    // Those that are not in the kernel have no id, and share a series.
    assert_eq!(count("ebpf_exporter_ebpf_program_attached{id=\"\"}", " 0"), 1);
    assert_eq!(count("ebpf_exporter_ebpf_program_attached{", " 0"), 10);
    assert_eq!(count("ebpf_exporter_ebpf_program_attached{", " 1"), 1);
}

/// The exporter where a file system of its own is mounted on /sys/fs/bpf, after `before`.
fn with_pins(configs: &Configs, mount: &str, before: &str) -> Said {
    let script = format!("mount -t {mount} x /sys/fs/bpf && {before} exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script, BINARY])
        .arg(format!("--config.dir={}", configs.path().display()))
        .args(["--config.names=pinned", "--config.check"]);
    told(configs, run(&mut command))
}

pub fn a_map_that_cannot_be_pinned_says_why() {
    let mut configs = Configs::new();
    let yaml = "metrics: {counters: [{name: hits_total, help: h, \
                labels: [{name: n, size: 4, decoders: [{name: uint}]}]}]}";
    configs.add_object("pinned", yaml);
    configs.add_object("pinned_grown", yaml);
    let said = with_pins(&configs, "tmpfs", "");
    assert_eq!(said.code, Some(4), "{said:?}");
    insta::assert_snapshot!(said.stderr, @"error: failed to load config `pinned`: map `hits_total` cannot be pinned at /sys/fs/bpf/hits_total: not a BPF file system; mount -t bpf bpf /sys/fs/bpf");
    let grown = "\"$0\" \"$1\" --config.names=pinned_grown --config.check >&2 &&";
    let said = with_pins(&configs, "bpf", grown);
    assert_eq!(said.code, Some(4), "{said:?}");
    let error = said.stderr.lines().last().unwrap();
    insta::assert_snapshot!(error, @"error: failed to load config `pinned`: the map pinned at /sys/fs/bpf/hits_total has another shape (its max_entries is 2 there, 1 here); remove it: rm /sys/fs/bpf/hits_total");
    let same = "\"$0\" \"$1\" --config.names=pinned --config.check >&2 &&";
    assert_eq!(with_pins(&configs, "bpf", same).code, Some(0));
}

pub fn six_when_the_address_is_taken() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let configs = of("good", WORKLOAD);
    let said = exporter(&configs, &[&format!("--web.listen-address=127.0.0.1:{port}")]);
    assert_eq!(said.code, Some(6));
    insta::assert_snapshot!(said.stderr.replace(&port, "PORT"), @"error: failed to listen on 127.0.0.1:PORT: the port is in use; stop who has it (ss -ltnp shows it) or choose another --web.listen-address");
}

/// The exporter as `nobody`, with these configs.
fn nobody(configs: &Configs, flags: &[&str]) -> Said {
    let of_configs = configs.flags();
    let of_configs = of_configs.iter().map(String::as_str);
    nobody_runs(configs, &of_configs.chain(flags.iter().copied()).collect::<Vec<_>>())
}

/// The exporter as `nobody`, from the directory of `configs`, where they can get at it.
fn nobody_runs(configs: &Configs, flags: &[&str]) -> Said {
    const NOBODY: u32 = 65534;
    let binary: PathBuf = configs.path().join("exporter");
    copy_program(BINARY, &binary);
    told(configs, run(Command::new(binary).uid(NOBODY).gid(NOBODY).args(flags)))
}

/// As a linter in CI has it.
pub fn checked_without_privileges() {
    let good = of("good", WORKLOAD);
    let said = nobody(&good, &["--config.check"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    insta::assert_snapshot!(said.stdout, @"ok, as far as can be told without CAP_BPF: nothing was loaded into the kernel");
    assert_eq!(said.stderr, "");

    let said = nobody(&good, &[ANY_PORT]);
    assert_eq!(said.code, Some(4), "{said:?}");
    insta::assert_snapshot!(said.stderr, @"error: failed to load config `good`: missing capabilities CAP_BPF and CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)");

    let faulty = of("faulty", FAULTY);
    let said = nobody(&faulty, &["--config.check"]);
    assert_eq!((said.code, &*said.stdout), (Some(3), ""));
    insta::assert_snapshot!(said.stderr, @"
    DIR/faulty.yaml:5: metrics.counters[0].labels[0].decoders[0].name: no decoder is called `uinnt`; did you mean `uint`?
    DIR/faulty.yaml:5: metrics.counters[0].labels: sizes add up to 8 and paddings to 0, 8 in all, but keys of map `work_plain_total` have 4 bytes; make them add up to the 4 bytes of the key, `u32`
    DIR/faulty.yaml:6: metrics.counters[1].name: the object has no map `work_plan_total`; did you mean `work_plain_total`?
    error: 3 faults in the configs; nothing was loaded
    ");

    let lacking = of("lacking", &format!("kaddrs: [schedule]\n{WORKLOAD}"));
    let said = nobody(&lacking, &["--config.check"]);
    assert_eq!((said.code, &*said.stdout), (Some(3), ""));
    insta::assert_snapshot!(said.stderr, @"
    DIR/lacking.yaml:1: kaddrs[0]: the object has no constant `kaddr_schedule`; declare `const volatile __u64 kaddr_schedule = 0;` in the BPF source
    error: 1 fault in the configs; nothing was loaded
    ");
}

pub fn three_for_symbols_of_faulty_files_too() {
    let mut configs = of("b", &format!("kaddrs: [schedule]\n{FAULTY}"));
    configs.add_workload("c", "metrics: [");
    configs.add_workload("a", &format!("kaddrs: [a.cold, schedule]\n{WORKLOAD}"));
    let said = exporter(&configs, &["--config.check"]);
    assert_eq!((said.code, &*said.stdout), (Some(3), ""));
    let heads = said.stderr.lines().map(|line| line.split("; ").next().unwrap());
    insta::assert_snapshot!(heads.collect::<Vec<_>>().join("\n"), @"
    DIR/a.yaml:1: kaddrs[0]: `a.cold` cannot be a symbol with a `kaddr_` variable
    DIR/a.yaml:1: kaddrs[1]: the object has no constant `kaddr_schedule`
    DIR/b.yaml:1: kaddrs[0]: the object has no constant `kaddr_schedule`
    DIR/b.yaml:6: metrics.counters[0].labels[0].decoders[0].name: no decoder is called `uinnt`
    DIR/b.yaml:6: metrics.counters[0].labels: sizes add up to 8 and paddings to 0, 8 in all, but keys of map `work_plain_total` have 4 bytes
    DIR/b.yaml:7: metrics.counters[1].name: the object has no map `work_plan_total`
    DIR/c.yaml:1: failed to read the YAML: unclosed bracket '[' at line 1 column 10
    error: 7 faults in the configs
    ");
}

/// What a newcomer without root reads.
pub fn four_when_nothing_of_the_default_set_loads() {
    let nothing = Configs::new();
    let said = nobody_runs(&nothing, &["--config.names=exec,runqlat", ANY_PORT]);
    assert_eq!(said.code, Some(4), "{said:?}");
    insta::assert_snapshot!(said.stderr, @"
     WARN failed to load config `exec`: missing capabilities CAP_BPF and CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN); skipped
     WARN failed to load config `runqlat`: missing capabilities CAP_BPF and CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN); skipped
    error: no config of the default set loads; each has a line above
    ");
    let said = nobody_runs(&nothing, &["--config.names=exec,runqlat", "--config.strict", ANY_PORT]);
    assert_eq!(said.code, Some(4), "{said:?}");
    insta::assert_snapshot!(said.stderr, @"
    error: failed to load config `exec`: missing capabilities CAP_BPF and CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)
    error: failed to load config `runqlat`: missing capabilities CAP_BPF and CAP_PERFMON; run as root or grant what is missing (before Linux 5.8: CAP_SYS_ADMIN)
    ");
}
