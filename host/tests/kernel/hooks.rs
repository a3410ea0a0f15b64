//! Which hooks of programs the running kernel has, by its own account and not by the exporter's.

use std::fs;
use std::path::Path;

use libbpf_rs::ObjectBuilder;

use crate::object;

/// Whether functions can be probed.
pub fn kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}

/// Whether the kernel lists a symbol of this name.
pub fn symbol(name: &str) -> bool {
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    symbols.lines().any(|line| line.split_whitespace().nth(2) == Some(name))
}

/// Whether there is a tracepoint of this name, in whichever group.
pub fn tracepoint(name: &str) -> bool {
    let groups = fs::read_dir("/sys/kernel/tracing/events");
    groups.into_iter().flatten().flatten().any(|group| group.path().join(name).exists())
}

/// Whether a program of this section has anything to be attached to.
pub fn is_there(section: &str) -> bool {
    match section.split_once('/') {
        Some(("kprobe" | "kretprobe", function)) => kprobes() && symbol(function),
        Some(("tp_btf" | "raw_tp", name)) => tracepoint(name),
        // A CPU's own counters; those of the kernel are everywhere.
        Some(("perf_event", event)) if event.starts_with("type=0,") => {
            Path::new("/sys/bus/event_source/devices/cpu").exists()
        }
        Some(("usdt", probe)) if probe.starts_with("./") => {
            Path::new(probe.split(':').next().unwrap_or_default()).exists()
        }
        _ => true,
    }
}

/// The programs of an example, and whether each has its hook here.
pub fn of_example(name: &str) -> Vec<(String, bool)> {
    let object = ObjectBuilder::default().open_file(object::example(name)).unwrap();
    let programs = object.progs();
    let both = programs.map(|program| {
        let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
        (text(program.name()), is_there(&text(program.section())))
    });
    both.collect()
}

/// The symbols that an example wants the addresses of, and that the kernel does not list.
pub fn missing_kaddrs(yaml: &str) -> Vec<&str> {
    let lines = yaml.lines().skip_while(|line| *line != "kaddrs:").skip(1);
    let symbols = lines.map_while(|line| line.trim_start().strip_prefix("- "));
    symbols.filter(|name| !symbol(name)).collect()
}
