//! What the surveyor has found, as metrics: each program and map by its number, up to a number of them, and
//! all others together.
//!
//! One that is told stays told until it is gone, so that no series comes and goes. The places of those that
//! have gone are given to those that took the most since the last scrape.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Surveyor, attached_to, owned_by};
use crate::bpf::inventory::{Inventory, Map, Program};
use crate::series::Kind;
use crate::system::System;
use crate::telemetry::{Collect, Report, about};

/// How many programs are told, and how many maps.
const MOST: usize = 1_000;
/// How long a scrape waits for the surveyor.
const PATIENCE: Duration = Duration::from_millis(500);
/// What stands for the numbers of all that are not told.
const OTHERS: &str = "others";

/// A program of ours.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// Its number.
    pub id: u32,
    /// Its name, whole.
    pub name: &'a str,
    /// The config that it belongs to.
    pub config: &'a str,
}

/// What all BPF programs and maps of this host are and cost.
#[derive(Debug, Default)]
pub struct HostWide {
    /// None if nobody asked for it.
    surveyor: Option<(Surveyor, System)>,
    /// One that is not asked. Held for its drop.
    _unasked: Option<Surveyor>,
    /// What was found last.
    found: Option<Found>,
    programs: Chosen,
    maps: Chosen,
    /// Of programs: what each had cost when it was seen last, and what those that are not told have cost since
    /// the start.
    costs: HashMap<u32, Cost>,
    others: Cost,
    /// Whether something was wrong last time, which was said.
    complained: bool,
    /// Whether it was said that owners are not known.
    ownerless: bool,
}

/// What was found, in words.
#[derive(Debug, Default)]
struct Found {
    inventory: Inventory,
    /// Of each program.
    programs: Vec<Words>,
    /// Of each map.
    maps: Vec<Words>,
    /// Whether the kernel measures.
    measured: bool,
}

/// What labels say.
#[derive(Debug, Default)]
struct Words {
    id: String,
    name: String,
    attached_to: String,
    owner: String,
    config: String,
}

/// Time in a program and runs of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    time: u64,
    runs: u64,
}

/// Those that are told.
#[derive(Debug, Default)]
struct Chosen(HashSet<u32>);

impl HostWide {
    /// What this surveyor finds, whose interfaces and cgroups this host has names for.
    pub fn of(surveyor: Surveyor, system: &System) -> Self {
        system.interfaces().want();
        system.cgroups().want();
        Self { surveyor: Some((surveyor, system.clone())), ..Self::default() }
    }

    /// Nothing of them, from a surveyor that has other things to do.
    pub fn unasked(surveyor: Surveyor) -> Self {
        Self { _unasked: Some(surveyor), ..Self::default() }
    }

    /// Has the surveyor look, while other things are done.
    pub fn begin(&mut self) {
        if let Some((surveyor, _)) = &mut self.surveyor {
            surveyor.ask();
        }
    }

    /// Takes in what the surveyor has found. `ours` are the programs of this exporter; the kernel measures if
    /// `measured`.
    pub fn end(&mut self, ours: &[Ours<'_>], measured: bool) {
        let Some((surveyor, system)) = &mut self.surveyor else { return };
        match surveyor.answer(Instant::now() + PATIENCE) {
            Ok(inventory) => {
                let found = Found::new(inventory, ours, system, measured);
                self.complained = false;
                self.take(found);
            }
            Err(silence) => {
                self.found = None;
                if !std::mem::replace(&mut self.complained, true) {
                    warn!("all BPF programs of the host are left out of this scrape: {silence}");
                }
            }
        }
    }

    fn take(&mut self, found: Found) {
        let Inventory { programs, maps, ownerless } = &found.inventory;
        if let Some(why) = ownerless
            && !std::mem::replace(&mut self.ownerless, true)
        {
            warn!("it is not known who owns the BPF programs of the host: {why}");
        }
        let grown = |program: &Program| Cost::of(program).since(self.costs.get(&program.id));
        let growth: Vec<_> = programs.iter().map(|program| (program.id, grown(program))).collect();
        self.programs.choose(growth.iter().map(|(id, grown)| (*id, grown.time)));
        for (_, grown) in growth.iter().filter(|(id, _)| !self.programs.has(*id)) {
            self.others.time += grown.time;
            self.others.runs += grown.runs;
        }
        self.costs = programs.iter().map(|program| (program.id, Cost::of(program))).collect();
        self.maps.choose(maps.iter().map(|map| (map.id, map.memory.unwrap_or_default())));
        self.found = Some(found);
    }
}

impl Chosen {
    fn has(&self, id: u32) -> bool {
        self.0.contains(&id)
    }

    /// Chooses among these, of which each takes so much.
    fn choose(&mut self, all: impl Iterator<Item = (u32, u64)>) {
        let mut all: Vec<_> = all.collect();
        let here: HashSet<u32> = all.iter().map(|(id, _)| *id).collect();
        self.0.retain(|id| here.contains(id));
        all.retain(|(id, _)| !self.0.contains(id));
        all.sort_unstable_by_key(|(id, takes)| (std::cmp::Reverse(*takes), *id));
        let free = MOST.saturating_sub(self.0.len());
        self.0.extend(all.into_iter().take(free).map(|(id, _)| id));
    }
}

impl Cost {
    fn of(program: &Program) -> Self {
        Self { time: program.run_time, runs: program.run_count }
    }

    fn since(self, before: Option<&Self>) -> Self {
        let before = before.copied().unwrap_or_default();
        let (time, runs) = (self.time, self.runs);
        Self { time: time.saturating_sub(before.time), runs: runs.saturating_sub(before.runs) }
    }

    fn seconds(self) -> f64 {
        Duration::from_nanos(self.time).as_secs_f64()
    }
}

impl Found {
    fn new(inventory: Inventory, ours: &[Ours<'_>], system: &System, measured: bool) -> Self {
        let ours: HashMap<u32, &Ours<'_>> = ours.iter().map(|ours| (ours.id, ours)).collect();
        let mut configs: HashMap<u32, &str> = HashMap::new();
        let program = |program: &Program| {
            let own = ours.get(&program.id);
            for map in &program.maps {
                configs.extend(own.map(|own| (*map, own.config)));
            }
            Words {
                id: program.id.to_string(),
                name: own.map_or(&*program.name, |own| own.name).to_owned(),
                attached_to: attached_to(&program.places, system),
                owner: owned_by(&program.owners),
                config: own.map(|own| own.config).unwrap_or_default().to_owned(),
            }
        };
        let programs = inventory.programs.iter().map(program).collect();
        let map = |map: &Map| Words {
            id: map.id.to_string(),
            name: map.name.clone(),
            attached_to: String::new(),
            owner: owned_by(&map.owners),
            config: configs.get(&map.id).copied().unwrap_or_default().to_owned(),
        };
        let maps = inventory.maps.iter().map(map).collect();
        Self { inventory, programs, maps, measured }
    }

    fn programs(&self) -> impl Iterator<Item = (&Program, &Words)> {
        self.inventory.programs.iter().zip(&self.programs)
    }

    fn maps(&self) -> impl Iterator<Item = (&Map, &Words)> {
        self.inventory.maps.iter().zip(&self.maps)
    }
}

impl Collect for HostWide {
    fn collect(&self, report: &mut Report) {
        let found = self.found.as_ref();
        let up = self.surveyor.is_some().then(|| ([], f64::from(u8::from(found.is_some()))));
        report.family(
            about(
                "ebpf_exporter_host_success",
                "Whether all BPF programs and maps of the host could be looked at, under --bpf.host",
                [],
            ),
            Kind::Gauge,
            up,
        );
        let nothing = Found::default();
        let looked = found.is_some();
        let found = found.unwrap_or(&nothing);
        self.tell_programs(report, found, looked);
        self.tell_map_memory(report, found);
        self.tell_maps(report, found, looked);
    }
}

impl HostWide {
    fn tell_programs(&self, report: &mut Report, found: &Found, looked: bool) {
        let all = || found.programs();
        let told = || all().filter(|(program, _)| self.programs.has(program.id));
        let beyond = all().count() > told().count();
        let others = |value: f64| beyond.then_some(([OTHERS], value));
        let count = looked.then(|| ([], all().count() as f64));
        report.family(
            about("ebpf_exporter_host_programs", "BPF programs that this host's kernel has", []),
            Kind::Gauge,
            count,
        );
        report.family(
            about(
                "ebpf_exporter_host_program_info",
                "A BPF program of this host; the config is empty if it is none of this exporter",
                ["id", "name", "type", "tag", "attached_to", "owner", "config"],
            ),
            Kind::Gauge,
            told().map(|(program, words)| {
                let Words { id, name, attached_to, owner, config } = words;
                let labels: [&str; 7] =
                    [id, name, &program.kind, &program.tag, attached_to, owner, config];
                (labels, 1.0)
            }),
        );
        let measured = || told().filter(|_| found.measured);
        let cost = |(program, words): (&Program, &Words)| (words.id.clone(), Cost::of(program));
        let costs: Vec<_> = measured().map(cost).collect();
        let costs = || costs.iter().map(|(id, cost)| ([id.as_str()], cost));
        let rest = |value: f64| others(value).filter(|_| found.measured);
        report.family(
            about(
                "ebpf_exporter_host_program_run_time_seconds_total",
                "Time spent in a BPF program of this host, while the kernel measures it (--bpf.stats)",
                ["id"],
            ),
            Kind::RealCounter,
            costs().map(|(id, cost)| (id, cost.seconds())).chain(rest(self.others.seconds())),
        );
        report.family(
            about(
                "ebpf_exporter_host_program_run_count_total",
                "How often a BPF program of this host ran, while the kernel counts it (--bpf.stats)",
                ["id"],
            ),
            Kind::RealCounter,
            costs().map(|(id, cost)| (id, cost.runs as f64)).chain(rest(self.others.runs as f64)),
        );
        let memory = |program: &Program| program.memory.map(|bytes| bytes as f64);
        let untold = all().filter(|(program, _)| !self.programs.has(program.id));
        let untold: f64 = untold.filter_map(|(program, _)| memory(program)).sum();
        report.family(
            about(
                "ebpf_exporter_host_program_memory_bytes",
                "Memory of the instructions of a BPF program of this host, as loaded and as compiled",
                ["id"],
            ),
            Kind::Gauge,
            told()
                .filter_map(|(program, words)| Some(([words.id.as_str()], memory(program)?)))
                .chain(others(untold)),
        );
    }

    fn tell_map_memory(&self, report: &mut Report, found: &Found) {
        let all = found.programs().zip(found.inventory.map_memory());
        let told = all.filter(|((program, _), _)| self.programs.has(program.id));
        report.family(
            about(
                "ebpf_exporter_host_program_map_memory_bytes",
                "Memory of all maps that a BPF program of this host uses; a map that several use counts for \
                 each of them",
                ["id"],
            ),
            Kind::Gauge,
            told.map(|((_, words), memory)| ([words.id.as_str()], memory as f64)),
        );
    }

    fn tell_maps(&self, report: &mut Report, found: &Found, looked: bool) {
        let all = || found.maps();
        let told = || all().filter(|(map, _)| self.maps.has(map.id));
        let beyond = all().count() > told().count();
        let count = looked.then(|| ([], all().count() as f64));
        report.family(
            about("ebpf_exporter_host_maps", "BPF maps that this host's kernel has", []),
            Kind::Gauge,
            count,
        );
        report.family(
            about(
                "ebpf_exporter_host_map_info",
                "A BPF map of this host; the config is empty if no program of this exporter uses it",
                ["id", "name", "type", "owner", "config"],
            ),
            Kind::Gauge,
            told().map(|(map, words)| {
                let labels: [&str; 5] =
                    [&words.id, &words.name, &map.kind, &words.owner, &words.config];
                (labels, 1.0)
            }),
        );
        let memory = |map: &Map| map.memory.map(|bytes| bytes as f64);
        let untold = all().filter(|(map, _)| !self.maps.has(map.id));
        let untold: f64 = untold.filter_map(|(map, _)| memory(map)).sum();
        report.family(
            about(
                "ebpf_exporter_host_map_memory_bytes",
                "Memory of a BPF map of this host, as the kernel tells it: what it takes, before Linux 6.4 \
                 what it may take; without buffers of events and without maps in it",
                ["id"],
            ),
            Kind::Gauge,
            told()
                .filter_map(|(map, words)| Some(([words.id.as_str()], memory(map)?)))
                .chain(beyond.then_some(([OTHERS], untold))),
        );
        report.family(
            about(
                "ebpf_exporter_host_map_max_entries",
                "Entries that a BPF map of this host can hold",
                ["id"],
            ),
            Kind::Gauge,
            told().map(|(map, words)| ([words.id.as_str()], f64::from(map.max_entries))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escaping::Escaping;
    use crate::exposition::{Format, page};

    fn program(id: u32, run_time: u64) -> Program {
        let (name, kind) = (format!("p{id}"), "kprobe".to_owned());
        Program { id, name, kind, run_time, run_count: run_time / 10, ..Program::default() }
    }

    fn found(programs: Vec<Program>, maps: Vec<Map>) -> Found {
        let ours = [Ours { id: 2, name: "p2_whole", config: "c" }];
        let inventory = Inventory { programs, maps, ownerless: None };
        Found::new(inventory, &ours, &System::at("/nowhere".as_ref()), true)
    }

    fn page(host: &HostWide) -> String {
        let mut report = Report::default();
        report.begin();
        host.collect(&mut report);
        report.end();
        let families = report.families_mut().iter_mut();
        let text = page::render(families, Format::Text, Escaping::default()).concat();
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn programs_and_maps_are_told_and_ours_are_known() {
        let mut host = HostWide::default();
        assert_eq!(page(&host), "", "nobody asked for it");
        let memory = Some(4096);
        let ours = Program { maps: vec![9], memory, ..program(2, 2_000_000_000) };
        let map = Map { id: 9, name: "m".to_owned(), max_entries: 8, memory, ..Map::default() };
        host.take(found(vec![program(1, 0), ours], vec![map]));
        insta::assert_snapshot!(page(&host), @r#"
        ebpf_exporter_host_map_info{id="9",name="m",type="",owner="",config="c"} 1
        ebpf_exporter_host_map_max_entries{id="9"} 8
        ebpf_exporter_host_map_memory_bytes{id="9"} 4096
        ebpf_exporter_host_maps 1
        ebpf_exporter_host_program_info{id="1",name="p1",type="kprobe",tag="",attached_to="",owner="",config=""} 1
        ebpf_exporter_host_program_info{id="2",name="p2_whole",type="kprobe",tag="",attached_to="",owner="",config="c"} 1
        ebpf_exporter_host_program_map_memory_bytes{id="1"} 0
        ebpf_exporter_host_program_map_memory_bytes{id="2"} 4096
        ebpf_exporter_host_program_memory_bytes{id="2"} 4096
        ebpf_exporter_host_program_run_count_total{id="1"} 0
        ebpf_exporter_host_program_run_count_total{id="2"} 2e+08
        ebpf_exporter_host_program_run_time_seconds_total{id="1"} 0
        ebpf_exporter_host_program_run_time_seconds_total{id="2"} 2
        ebpf_exporter_host_programs 2
        "#);
    }

    #[test]
    fn beyond_a_number_of_them_the_others_are_told_together_and_nothing_falls() {
        let many = |step: u64| {
            let all = (1..=MOST as u32 + 2).map(|id| program(id, 10 * step * u64::from(id)));
            all.collect::<Vec<_>>()
        };
        let value = |host: &HostWide, id: &str| {
            let series = format!("ebpf_exporter_host_program_run_count_total{{id=\"{id}\"}} ");
            let page = page(host);
            page.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned)
        };
        let mut host = HostWide::default();
        host.take(found(many(1), Vec::new()));
        assert_eq!(host.programs.0.len(), MOST);
        let (most, least) = (MOST as u32 + 2, 1);
        assert!(host.programs.has(most) && !host.programs.has(least) && !host.programs.has(2));
        assert_eq!(value(&host, OTHERS).as_deref(), Some("3"));
        // One that is told is gone, and the busier of the two others takes its place.
        let mut fewer = many(2);
        fewer.pop();
        host.take(found(fewer, Vec::new()));
        assert!(host.programs.has(2) && !host.programs.has(least));
        assert_eq!(value(&host, "2").as_deref(), Some("4"));
        assert_eq!(value(&host, OTHERS).as_deref(), Some("4"), "what it has counted stays");
    }
}
