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
use crate::bpf::stats::ProgramCost;
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
    /// What each program had cost when it was seen last.
    costs: HashMap<u32, ProgramCost>,
    /// What those that are not told have cost since the start.
    others: ProgramCost,
    /// Whether something was wrong last time, which was said.
    complained: bool,
    /// Whether it was said that owners are not known.
    ownerless: bool,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    programs: Shown<Program>,
    maps: Shown<Map>,
    /// Whether the kernel measures.
    measured: bool,
}

/// What was found of a kind.
#[derive(Debug)]
struct Shown<T> {
    /// Those that are told by their numbers.
    told: Vec<(T, Words)>,
    /// How many there are.
    count: usize,
    /// Bytes of those that are not told.
    others_memory: u64,
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

/// The numbers of those that are told.
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
    pub fn end<'a>(&mut self, ours: impl Iterator<Item = Ours<'a>>, measured: bool) {
        let Some((surveyor, system)) = &mut self.surveyor else { return };
        let system = system.clone();
        match surveyor.answer(Instant::now() + PATIENCE) {
            Ok(inventory) => {
                self.complained = false;
                self.take(inventory, ours, &system, measured);
            }
            Err(silence) => {
                self.found = None;
                if !std::mem::replace(&mut self.complained, true) {
                    warn!("all BPF programs of the host are left out of this scrape: {silence}");
                }
            }
        }
    }

    fn take<'a>(
        &mut self,
        inventory: Inventory,
        ours: impl Iterator<Item = Ours<'a>>,
        system: &System,
        measured: bool,
    ) {
        let Inventory { programs, maps, ownerless } = inventory;
        if let Some(why) = ownerless
            && !std::mem::replace(&mut self.ownerless, true)
        {
            warn!("it is not known who owns the BPF programs of the host: {why}");
        }
        self.follow(&programs);
        self.maps.choose(maps.iter().map(|map| (map.id, map.memory.unwrap_or_default())));
        let ours: HashMap<u32, Ours<'_>> = ours.map(|ours| (ours.id, ours)).collect();
        let configs = programs.iter().flat_map(|program| {
            let own = ours.get(&program.id);
            program.maps.iter().filter_map(move |map| Some((*map, own?.config)))
        });
        let configs: HashMap<u32, &str> = configs.collect();
        let words_of =
            |program: &Program| Words::of_program(program, ours.get(&program.id), system);
        let words_of_map = |map: &Map| Words::of_map(map, configs.get(&map.id).copied());
        let programs = programs.into_iter().map(|program| (program.id, program.memory, program));
        let maps = maps.into_iter().map(|map| (map.id, map.memory, map));
        self.found = Some(Found {
            programs: Shown::new(programs, &self.programs, words_of),
            maps: Shown::new(maps, &self.maps, words_of_map),
            measured,
        });
    }

    /// Chooses which programs are told, and adds to the others what those have cost that are not.
    fn follow(&mut self, programs: &[Program]) {
        let grown = |Program { id, cost, .. }: &Program| (*id, cost.since(self.costs.get(id)));
        let growth: Vec<_> = programs.iter().map(grown).collect();
        self.programs.choose(growth.iter().map(|(id, grown)| (*id, grown.run_time)));
        for (_, grown) in growth.iter().filter(|(id, _)| !self.programs.has(*id)) {
            self.others += *grown;
        }
        self.costs = programs.iter().map(|program| (program.id, program.cost)).collect();
    }
}

impl Chosen {
    fn has(&self, id: u32) -> bool {
        self.0.contains(&id)
    }

    /// Chooses among these, of which each takes so much.
    fn choose<T: Ord + Copy>(&mut self, all: impl Iterator<Item = (u32, T)>) {
        let mut all: Vec<_> = all.collect();
        let here: HashSet<u32> = all.iter().map(|(id, _)| *id).collect();
        self.0.retain(|id| here.contains(id));
        all.retain(|(id, _)| !self.0.contains(id));
        all.sort_unstable_by_key(|(id, takes)| (std::cmp::Reverse(*takes), *id));
        let free = MOST.saturating_sub(self.0.len());
        self.0.extend(all.into_iter().take(free).map(|(id, _)| id));
    }
}

impl Words {
    fn of_program(program: &Program, own: Option<&Ours<'_>>, system: &System) -> Self {
        Self {
            id: program.id.to_string(),
            name: own.map_or(&*program.name, |own| own.name).to_owned(),
            attached_to: attached_to(&program.places, system),
            owner: owned_by(&program.owners),
            config: own.map(|own| own.config).unwrap_or_default().to_owned(),
        }
    }

    fn of_map(map: &Map, config: Option<&str>) -> Self {
        Self {
            id: map.id.to_string(),
            name: map.name.clone(),
            attached_to: String::new(),
            owner: owned_by(&map.owners),
            config: config.unwrap_or_default().to_owned(),
        }
    }
}

impl<T> Default for Shown<T> {
    fn default() -> Self {
        Self { told: Vec::new(), count: 0, others_memory: 0 }
    }
}

impl<T> Shown<T> {
    /// All of these, each with its number and its memory, of which those that are chosen are told.
    fn new(
        all: impl Iterator<Item = (u32, Option<u64>, T)>,
        chosen: &Chosen,
        words: impl Fn(&T) -> Words,
    ) -> Self {
        let mut shown = Self::default();
        for (id, memory, of) in all {
            shown.count += 1;
            if chosen.has(id) {
                let words = words(&of);
                shown.told.push((of, words));
            } else {
                shown.others_memory += memory.unwrap_or_default();
            }
        }
        shown
    }

    /// A number of each that is told, if it has one, by the kernel's number of it.
    fn each(&self, number: impl Fn(&T) -> Option<f64>) -> impl Iterator<Item = ([&str; 1], f64)> {
        self.told.iter().filter_map(move |(of, words)| Some(([words.id.as_str()], number(of)?)))
    }

    /// A number of all that are not told, if there are any.
    fn others(&self, number: f64) -> Option<([&str; 1], f64)> {
        (self.count > self.told.len()).then_some(([OTHERS], number))
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
        let counts = found.map(|found| [found.programs.count, found.maps.count]);
        let count = |at: usize| counts.map(|counts| ([], counts[at] as f64));
        report.family(
            about("ebpf_exporter_host_programs", "BPF programs that this host's kernel has", []),
            Kind::Gauge,
            count(0),
        );
        report.family(
            about("ebpf_exporter_host_maps", "BPF maps that this host's kernel has", []),
            Kind::Gauge,
            count(1),
        );
        let nothing = Found::default();
        let Found { programs, maps, measured } = found.unwrap_or(&nothing);
        tell_programs(report, programs);
        tell_costs(report, programs, self.others, *measured);
        tell_maps(report, maps);
    }
}

/// What programs are, and what memory they take.
fn tell_programs(report: &mut Report, programs: &Shown<Program>) {
    report.family(
        about(
            "ebpf_exporter_host_program_info",
            "A BPF program of this host; the config is empty if it is none of this exporter",
            ["id", "name", "type", "tag", "attached_to", "owner", "config"],
        ),
        Kind::Gauge,
        programs.told.iter().map(|(program, words)| {
            let Words { id, name, attached_to, owner, config } = words;
            let labels: [&str; 7] =
                [id, name, &program.kind, &program.tag, attached_to, owner, config];
            (labels, 1.0)
        }),
    );
    report.family(
        about(
            "ebpf_exporter_host_program_memory_bytes",
            "Memory of the instructions of a BPF program of this host, as loaded and as compiled",
            ["id"],
        ),
        Kind::Gauge,
        programs
            .each(|program| program.memory.map(|bytes| bytes as f64))
            .chain(programs.others(programs.others_memory as f64)),
    );
    report.family(
        about(
            "ebpf_exporter_host_program_map_memory_bytes",
            "Memory of all maps that a BPF program of this host uses; a map that several use counts for \
             each of them",
            ["id"],
        ),
        Kind::Gauge,
        programs.each(|program| Some(program.map_memory as f64)),
    );
}

/// What programs cost, `others` those that are not told.
fn tell_costs(report: &mut Report, programs: &Shown<Program>, others: ProgramCost, measured: bool) {
    let numbers = |number: fn(ProgramCost) -> f64| {
        let each = programs.each(move |program| Some(number(program.cost)));
        each.chain(programs.others(number(others))).filter(move |_| measured)
    };
    report.family(
        about(
            "ebpf_exporter_host_program_run_time_seconds_total",
            "Time spent in a BPF program of this host, while the kernel measures it (--bpf.stats)",
            ["id"],
        ),
        Kind::RealCounter,
        numbers(|cost| cost.run_time.as_secs_f64()),
    );
    report.family(
        about(
            "ebpf_exporter_host_program_run_count_total",
            "How often a BPF program of this host ran, while the kernel counts it (--bpf.stats)",
            ["id"],
        ),
        Kind::RealCounter,
        numbers(|cost| cost.run_count as f64),
    );
}

fn tell_maps(report: &mut Report, maps: &Shown<Map>) {
    report.family(
        about(
            "ebpf_exporter_host_map_info",
            "A BPF map of this host; the config is empty if no program of this exporter uses it",
            ["id", "name", "type", "owner", "config"],
        ),
        Kind::Gauge,
        maps.told.iter().map(|(map, words)| {
            let Words { id, name, owner, config, .. } = words;
            let labels: [&str; 5] = [id, name, &map.kind, owner, config];
            (labels, 1.0)
        }),
    );
    report.family(
        about(
            "ebpf_exporter_host_map_memory_bytes",
            "Memory of a BPF map of this host, as the kernel tells it: what it takes, before Linux 6.4 \
             what it may take; without buffers of events and without maps in it",
            ["id"],
        ),
        Kind::Gauge,
        maps.each(|map| map.memory.map(|bytes| bytes as f64))
            .chain(maps.others(maps.others_memory as f64)),
    );
    report.family(
        about(
            "ebpf_exporter_host_map_max_entries",
            "Entries that a BPF map of this host can hold",
            ["id"],
        ),
        Kind::Gauge,
        maps.each(|map| Some(f64::from(map.max_entries))),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escaping::Escaping;
    use crate::exposition::{Format, page};

    fn program(id: u32, nanos: u64) -> Program {
        let (name, kind) = (format!("p{id}"), "kprobe".to_owned());
        let cost = ProgramCost { run_time: Duration::from_nanos(nanos), run_count: nanos / 10 };
        Program { id, name, kind, cost, ..Program::default() }
    }

    fn take(host: &mut HostWide, programs: Vec<Program>, maps: Vec<Map>) {
        let ours = [Ours { id: 2, name: "p2_whole", config: "c" }];
        let inventory = Inventory { programs, maps, ownerless: None };
        host.take(inventory, ours.into_iter(), &System::at("/nowhere".as_ref()), true);
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
        let ours = Program { maps: vec![9], memory, map_memory: 4096, ..program(2, 2_000_000_000) };
        let map = Map { id: 9, name: "m".to_owned(), max_entries: 8, memory, ..Map::default() };
        take(&mut host, vec![program(1, 0), ours], vec![map]);
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
        take(&mut host, many(1), Vec::new());
        assert_eq!(host.programs.0.len(), MOST);
        let (most, least) = (MOST as u32 + 2, 1);
        assert!(host.programs.has(most) && !host.programs.has(least) && !host.programs.has(2));
        assert_eq!(value(&host, OTHERS).as_deref(), Some("3"));
        // One that is told is gone, and the busier of the two others takes its place.
        let mut fewer = many(2);
        fewer.pop();
        take(&mut host, fewer, Vec::new());
        assert!(host.programs.has(2) && !host.programs.has(least));
        assert_eq!(value(&host, "2").as_deref(), Some("4"));
        assert_eq!(value(&host, OTHERS).as_deref(), Some("4"), "what it has counted stays");
    }
}
