//! What the kernel calls an address when it is asked, beside what `/proc/kallsyms` has of it.

use std::collections::{BTreeSet, HashSet};
use std::fs;

use ebpf_wasm_exporter::bpf::Symbols;
use ebpf_wasm_exporter::system::Kallsyms;

use crate::exporter::{Exporter, until};
use crate::{object, open};

/// What the names in `named.bpf.c` end in, as they are listed.
const OURS: &str = "_of_symbols_trial\t[bpf]";

/// Symbols that are asked of the kernel.
fn asked() -> Kallsyms {
    let mut symbols = Symbols::load().expect("this kernel can be asked");
    let kallsyms = Kallsyms::new("/nowhere".into());
    kallsyms.ask(Box::new(move |address, out| {
        out.extend_from_slice(symbols.print(address)?);
        Ok(())
    }));
    kallsyms
}

fn list() -> String {
    fs::read_to_string("/proc/kallsyms").unwrap()
}

/// The address of a line of the list, unless it is hidden or but a number.
fn address(line: &str) -> Option<u64> {
    let (address, rest) = line.split_once(' ')?;
    let address = u64::from_str_radix(address, 16).unwrap();
    (address != 0 && !rest.starts_with(['a', 'A'])).then_some(address)
}

fn text(found: impl Fn(&mut Vec<u8>) -> bool) -> Option<String> {
    let mut name = Vec::new();
    found(&mut name).then(|| String::from_utf8(name).unwrap())
}

/// Whether the kernel need not know what this line lists: its own trampolines, marks where a
/// section ends, and data, of which it may list some marks alone.
fn may_be_unknown(line: &str) -> bool {
    let symbol = line.split_once(' ').map_or(line, |(_, symbol)| symbol);
    let code = symbol.starts_with(['t', 'T', 'w', 'W']);
    symbol.contains("\t[__builtin__")
        || ["T _etext", "T _einittext"].contains(&symbol)
        || !code && !symbol.contains('\t')
}

pub fn the_list_says_where_a_function_is() {
    let kallsyms = Kallsyms::new("/proc/kallsyms".into());
    let address = kallsyms.addresses_of(&["schedule"])[0];
    assert_ne!(address, 0);
    let schedule = Some("schedule".to_owned());
    assert_eq!(text(|out| kallsyms.name(address, out)), schedule);
    assert_eq!(text(|out| kallsyms.name_around(address + 1, out)), schedule);
}

/// Every symbol of this kernel at its start, and one byte behind.
pub fn the_kernel_names_what_it_lists() {
    let _programs = object::attach("named");
    let (file, before) = (tempfile::NamedTempFile::new().unwrap(), list());
    fs::write(&file, &before).unwrap();
    let (asked, listed) = (asked(), Kallsyms::new(file.path().into()));
    let (mut others, mut ours, mut known) = (Vec::new(), 0, 0);
    for (line, address) in before.lines().filter_map(|line| Some((line, address(line)?))) {
        // Programs of other trials come and go.
        if line.ends_with("\t[bpf]") && !line.ends_with(OURS) {
            continue;
        }
        ours += usize::from(line.ends_with(OURS));
        let at = [&asked, &listed].map(|of| text(|out| of.name(address, out)));
        let behind = [&asked, &listed].map(|of| text(|out| of.name_around(address + 1, out)));
        for [asked, listed] in [at, behind] {
            known += usize::from(asked.is_some());
            if asked != listed && !(asked.is_none() && may_be_unknown(line)) {
                others.push((line, format!("{line}: asked {asked:?}, listed {listed:?}")));
            }
        }
    }
    // So may modules.
    let after = list();
    let after: HashSet<_> = after.lines().collect();
    others.retain(|(line, _)| after.contains(line));
    let others: BTreeSet<_> = others.into_iter().map(|(_, what)| what).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(ours, 2, "the program and its part are listed");
    assert!(known > 50_000, "{known}");
}

pub fn addresses_of_nothing_are_not_known() {
    let asked = asked();
    for address in [0, 1, 0x7fff_ffff_f000, 0xdead_0000_0000_0000, u64::MAX] {
        assert_eq!(text(|out| asked.name(address, out)), None, "{address:#x}");
        assert_eq!(text(|out| asked.name_around(address, out)), None, "{address:#x}");
    }
}

pub fn without_capabilities_none_can_be_asked() {
    open::without_capabilities(|| {
        let error = Symbols::load().expect_err("loading takes capabilities").to_string();
        insta::assert_snapshot!(error, @"failed to load the program that asks the kernel: Operation not permitted (os error 1)");
    });
}

/// From the start on, and with no capability left.
pub fn no_list_is_read_for_decoders() {
    let flags = ["--capabilities.keep=none", "--debug", "--config.names=timers"];
    let exporter = Exporter::start(flags);
    // Those of the scrapes themselves.
    let started = || exporter.metrics().contains("timer_starts_total{function=\"tcp_");
    until("timers of TCP are started", started);
    let metrics = exporter.metrics();
    assert!(!metrics.contains("unknown_addr"), "{metrics}");
    exporter.terminate();
    let (_, log) = exporter.wait();
    let said: Vec<_> = log.lines().filter(|line| line.contains("symbols are")).collect();
    assert_eq!(said, ["DEBUG symbols are asked of the kernel, one by one"], "{log}");
}
