//! What of a status wants a look: said once, at the top of the page, and not to be looked for in tables.
//!
//! Knows no more than the status does.

use serde::Serialize;

use super::words::{counted, grouped};
use super::{ConfigState, MapState, PluginState, Status};

/// How many are told.
const MOST: usize = 50;
/// The share of its entries, in percent, from which on a map is nearly full.
const NEARLY_FULL: u64 = 95;

/// Something that wants a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The config that it is of; empty if it is of none.
    pub config: String,
    /// What it is about: `program NAME`, `map NAME`, `plugin NAME`, …
    pub subject: String,
    /// What is wrong.
    pub problem: String,
    /// What to do, if something is known.
    pub remedy: Option<String>,
}

/// The first of all problems, and how many more there are.
pub(super) fn wanted(status: &Status<'_>) -> (Vec<Problem>, usize) {
    let mut all = Found::default();
    of_exporter(status, &mut all);
    // All that costs whole metrics stands before what costs single labels.
    status.configs.iter().for_each(|config| of_programs(config, &mut all));
    status.configs.iter().for_each(|config| of_maps(config, &mut all));
    status.configs.iter().for_each(|config| of_plugins(config, &mut all));
    status.configs.iter().for_each(|config| of_labels(config, &mut all));
    (all.told, all.more)
}

#[derive(Default)]
struct Found {
    told: Vec<Problem>,
    more: usize,
}

impl Found {
    fn add(&mut self, config: &str, subject: String, problem: String, remedy: Option<&str>) {
        if self.told.len() == MOST {
            self.more += 1;
            return;
        }
        let (config, remedy) = (config.to_owned(), remedy.map(str::to_owned));
        self.told.push(Problem { config, subject, problem, remedy });
    }
}

fn of_exporter(status: &Status<'_>, all: &mut Found) {
    let mut add = |subject: &str, problem: String, remedy| {
        all.add("", subject.to_owned(), problem, remedy);
    };
    if let Some(reason) = &status.health.reason {
        let word = if status.health.healthy { "ready" } else { "healthy" };
        add("exporter", format!("not {word}: {reason}"), None);
    }
    for worker in status.workers.iter().filter(|worker| !worker.up) {
        let problem = format!("the thread {} has died", worker.name);
        add("exporter", problem, Some("restart the exporter, and report this bug with its log"));
    }
    if status.scrapes.failed > 0 {
        let problem = format!("{} failed by a bug", counted(status.scrapes.failed, "reading"));
        add("exporter", problem, Some("report it with the exporter's log"));
    }
    let last = status.reloads.as_ref().and_then(|reloads| reloads.last.as_ref());
    if let Some(failed) = last.filter(|last| !last.success) {
        add("reload", failed.text.clone(), failed.remedy.as_deref());
    }
    if status.http.refused > 0 {
        let problem =
            format!("{} cut off for want of room", counted(status.http.refused, "answer"));
        add("clients", problem, Some("raise --web.max-unsent, or have fewer clients"));
    }
    if let Some(spans) = status.spans.as_ref().filter(|spans| spans.dropped > 0) {
        add("spans", format!("{} reached no collector", counted(spans.dropped, "span")), None);
    }
    if status.log.lost_lines > 0 {
        let problem = format!("{} nobody got", counted(status.log.lost_lines, "line"));
        add("log", problem, None);
    }
}

fn of_programs(config: &ConfigState, all: &mut Found) {
    for program in config.programs.iter().filter(|program| !program.attached) {
        let reason = program.reason.clone();
        let problem =
            reason.map_or_else(|| "not attached".to_owned(), |why| format!("not attached: {why}"));
        let subject = format!("program {}", program.name);
        all.add(&config.name, subject, problem, program.remedy.as_deref());
    }
}

fn of_maps(config: &ConfigState, all: &mut Found) {
    for map in &config.maps {
        let mut add =
            |problem, remedy| all.add(&config.name, format!("map {}", map.name), problem, remedy);
        if let Some(error) = &map.error {
            add(format!("not read whole: {error}"), None);
        }
        if is_nearly_full(map) {
            let (taken, all) = (grouped(map.entries), grouped(map.max_entries));
            let problem = format!("{taken} of {all} entries are taken");
            add(problem, Some("raise its max_entries, or make it an LRU hash"));
        }
        if let Some(events) = &map.events {
            let lost = events.lost.unwrap_or_default() + events.beyond + events.short;
            if lost > 0 {
                add(format!("{} not counted", counted(lost, "record")), None);
            }
        }
    }
    if let Some(lost) = config.lost_events.filter(|lost| *lost > 0) {
        let problem = format!("{} found no room", counted(lost, "record"));
        all.add(&config.name, "ring buffers".to_owned(), problem, Some("make them larger"));
    }
    if let Some(failures) = config.insert_failures.filter(|failures| *failures > 0) {
        let problem = format!("{} found no room", counted(failures, "new entry"));
        all.add(&config.name, "maps".to_owned(), problem, Some("raise their max_entries"));
    }
}

/// Whether new entries soon find no room in it.
pub(super) fn is_nearly_full(map: &MapState) -> bool {
    map.when_full == "refuses"
        && u128::from(map.entries) * 100 > u128::from(map.max_entries) * u128::from(NEARLY_FULL)
}

fn of_plugins(config: &ConfigState, all: &mut Found) {
    for plugin in &config.plugins {
        let Some(problem) = left_alone(plugin) else { continue };
        let subject = format!("plugin {}", plugin.name);
        all.add(&config.name, subject, problem, Some("the log has its failures"));
    }
}

/// Why a plugin is not asked now, if it is not.
fn left_alone(plugin: &PluginState) -> Option<String> {
    match plugin.breaker {
        "open" => Some("it is not asked: it failed repeatedly".to_owned()),
        "half_open" => Some("it failed repeatedly: its next call decides".to_owned()),
        _ => None,
    }
}

fn of_labels(config: &ConfigState, all: &mut Found) {
    if config.decoder_errors > 0 {
        let problem = format!("{} not decoded", counted(config.decoder_errors, "label"));
        all.add(
            &config.name,
            "labels".to_owned(),
            problem,
            Some("the log has the first of each metric"),
        );
    }
}
