//! The configs: each with its programs, maps and plugins. Many of them are folded, but for those that want a look.

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::parts::{ago, bar, cell, fill, first, number, pill, table};
use super::when;
use crate::status::attention::is_nearly_full;
use crate::status::words::{counted, grouped, percent, size, spent};
use crate::status::{ConfigState, Links, MapState, Moment, PluginState, ProgramState, Status};

/// More configs than this are folded.
const OPEN: usize = 10;

pub(super) fn section(status: &Status<'_>, links: &Links) -> Markup {
    let measured = status.scrapes.last.as_ref().is_some_and(|last| last.measured);
    html! {
        section aria-labelledby="configs" {
            h2 id="configs" { "Configs" }
            @if status.configs.is_empty() {
                p.card.dim { "None was read yet." }
            }
            @for config in status.configs { (folded(config, status, links)) }
            @if !measured && !status.configs.is_empty() {
                p.dim { "The kernel does not measure how often programs run and how long: " code { "--bpf.stats" } " has it." }
            }
        }
    }
}

fn folded(config: &ConfigState, status: &Status<'_>, links: &Links) -> Markup {
    let wants_look = status.problems.iter().any(|problem| problem.config == config.name);
    html! {
        details.card open[wants_look || status.configs.len() <= OPEN] {
            summary {
                h3 { (config.name) }
                (state(config, wants_look))
                span.dim { (outline(config)) }
            }
            p.dim {
                "File " code { (config.file) }
                @if let Some(bundle) = &config.bundle {
                    ", of bundle " code { (bundle.digest) }
                    @if !bundle.version.is_empty() { ", version " (bundle.version) }
                }
                ". Read whole " (when(config.last_success, status)) ". "
                a href=(scrape_of(config, links)) { "Metrics of it alone" }
            }
            @if !config.programs.is_empty() { (programs(&config.programs)) }
            @if !config.maps.is_empty() { (maps(&config.maps, status.now)) }
            @if !config.plugins.is_empty() { (plugins(&config.plugins)) }
        }
    }
}

/// Where its metrics are without all others.
fn scrape_of(config: &ConfigState, links: &Links) -> String {
    let name = utf8_percent_encode(&config.raw_name, NON_ALPHANUMERIC);
    format!(".{}?collect[]={name}", links.metrics)
}

fn state(config: &ConfigState, wants_look: bool) -> Markup {
    match (config.success, wants_look) {
        (false, _) => pill("bad", "not read whole"),
        (true, true) => pill("warn", "wants a look"),
        (true, false) => pill("ok", "well"),
    }
}

/// What there is of it, in a line.
fn outline(config: &ConfigState) -> String {
    let attached = config.programs.iter().filter(|program| program.attached).count();
    let programs = counted(config.programs.len() as u64, "program");
    let series = counted_series(config.series);
    format!("{attached} of {programs} attached, {series}, {}", spent(config.seconds))
}

/// Series have no plural.
fn counted_series(count: u64) -> String {
    format!("{} series", grouped(count))
}

fn programs(programs: &[ProgramState]) -> Markup {
    let measured = programs.iter().any(|program| program.runs.is_some());
    let missed = programs.iter().any(|program| program.missed.is_some());
    let mut columns = vec!["Program", "Hook", "State"];
    columns.extend(["Runs", "Time", "A run"].iter().filter(|_| measured));
    columns.extend(["Missed"].iter().filter(|_| missed));
    table(
        "Programs",
        &columns,
        programs.iter().map(|program| {
            html! {
                (first(html! { (program.name) }))
                (cell("Hook", html! { code { (program.section) } }))
                (cell("State", attachment(program)))
                @if measured {
                    (number("Runs", program.runs.map(grouped)))
                    (number("Time", program.run_seconds.map(spent)))
                    (number("A run", mean(program.run_seconds, program.runs).map(spent)))
                }
                @if missed { (number("Missed", program.missed.map(grouped))) }
            }
        }),
    )
}

/// How long one took of so many.
fn mean(seconds: Option<f64>, count: Option<u64>) -> Option<f64> {
    let count = count.filter(|count| *count > 0)?;
    Some(seconds? / count as f64)
}

fn attachment(program: &ProgramState) -> Markup {
    html! {
        @if program.attached {
            (pill("ok", "attached"))
        } @else {
            (pill("bad", "not attached"))
            @if let Some(reason) = &program.reason { p { (reason) } }
            @if let Some(remedy) = &program.remedy { p.dim { "To do: " (remedy) } }
        }
    }
}

fn maps(maps: &[MapState], now: Moment) -> Markup {
    let columns = ["Map", "Type", "Entries", "Read by", "Rows → series", "Last read"];
    table(
        "Maps",
        &columns,
        maps.iter().map(|map| {
            html! {
                (first(html! { (map.name) @if map.metric != map.name { p.dim { (map.metric) } } }))
                (cell("Type", html! { code { (map.r#type) } }))
                (cell("Entries", entries(map)))
                (cell("Read by", html! { (map.way) p.dim { (because(map.why)) } }))
                (cell("Rows → series", html! {
                    (grouped(map.rows)) " → " (grouped(map.series))
                    @if map.waiting > 0 { p.dim { (grouped(map.waiting)) " wait for a plugin" } }
                }))
                (cell("Last read", last_read(map, now)))
            }
        }),
    )
}

fn entries(map: &MapState) -> Markup {
    html! {
        @if let Some(events) = &map.events {
            (counted(events.received, "record"))
            @let lost = events.lost.unwrap_or_default();
            @let uncounted = events.short + events.beyond;
            p.dim { (grouped(lost)) " lost" @if uncounted > 0 { ", " (grouped(uncounted)) " not counted" } }
        } @else if map.when_full == "none_come" {
            (grouped(map.max_entries)) p.dim { "always full" }
        } @else {
            (fill(map.entries, map.max_entries, if is_nearly_full(map) { "warn" } else { "" }))
            @if let Some(evicted) = map.evicted.filter(|evicted| *evicted > 0) {
                p.dim { "about " (grouped(evicted)) " evicted" }
            }
        }
    }
}

fn last_read(map: &MapState, now: Moment) -> Markup {
    html! {
        @match &map.error {
            Some(error) => {
                (pill("bad", "failed"))
                p { (error) }
                p.dim { "read whole " @match map.last_success { Some(at) => (ago(at, now)), None => "never" } }
            }
            None => {
                @match map.last_success { Some(at) => (ago(at, now)), None => "not yet" }
                p.dim { "in " (spent(map.seconds)) }
            }
        }
    }
}

/// Why a map is read the way it is, in words for people.
fn because(why: &str) -> &str {
    match why {
        "mappable" => "its memory can be mapped",
        "calm" => "hardly a key came or went",
        "dense" => "it is well filled, or was not read before",
        "churn" => "keys come and go, or it was not read before",
        "sparse" => "it had few entries for its size at the reading before",
        "type" => "its type gains nothing by quicker ways",
        "key_size" => "its keys do not suit quicker ways",
        "size" => "it may be too large for a walk in the kernel",
        "kernel" => "the kernel rules quicker ways out",
        "pinned" => "--maps.read says so",
        "streamed" => "programs stream it",
        "recorded" => "it is replayed",
        other => other,
    }
}

fn plugins(plugins: &[PluginState]) -> Markup {
    let columns = ["Plugin", "State", "Calls", "A call", "Failures", "Memory", "Limits"];
    table("Plugins", &columns, plugins.iter().map(|plugin| {
        let seconds = mean(Some(plugin.call_seconds), Some(plugin.calls));
        html! {
            (first(html! {
                (plugin.name)
                p.dim { (plugin.world) @if !plugin.says.is_empty() { ", " (plugin.says) " " (plugin.version) } }
                p.dim { code { (plugin.digest.chars().take(12).collect::<String>()) } }
            }))
            (cell("State", breaker(plugin)))
            (number("Calls", Some(grouped(plugin.calls))))
            (number("A call", seconds.map(spent)))
            (cell("Failures", failures(plugin)))
            (cell("Memory", memory(plugin)))
            (cell("Limits", limits(plugin)))
        }
    }))
}

fn breaker(plugin: &PluginState) -> Markup {
    html! {
        @match plugin.breaker {
            "open" => { (pill("bad", "not asked")) p { "it failed repeatedly" } }
            "half_open" => { (pill("warn", "on trial")) p { "its next call decides" } }
            _ => (pill("ok", "asked")),
        }
        @if plugin.deferred > 0 { p.dim { (grouped(plugin.deferred)) " keys had to wait" } }
    }
}

fn failures(plugin: &PluginState) -> Markup {
    html! {
        @if plugin.failures.is_empty() { "none" }
        @for (cause, count) in &plugin.failures { p { (grouped(*count)) " by " (cause) } }
    }
}

fn memory(plugin: &PluginState) -> Markup {
    let (peak, most) = (plugin.memory_peak_bytes, plugin.limits.memory_bytes);
    html! {
        span.fill { (size(peak)) " / " (size(most)) ", " (percent(peak, most)) }
        (bar(u128::from(peak.min(most)) * 100 / u128::from(most.max(1)), ""))
        p.dim { (counted(plugin.remembered, "answer")) " remembered" }
    }
}

fn limits(plugin: &PluginState) -> Markup {
    let limits = &plugin.limits;
    html! {
        p.dim {
            (spent(limits.deadline_seconds)) " and " (size(limits.output_bytes)) " a call, "
            (size(limits.answers_bytes)) " of answers, " (size(limits.text_bytes)) " of labels"
        }
    }
}
