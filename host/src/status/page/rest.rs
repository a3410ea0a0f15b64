//! What the log said, and how the exporter itself goes: a line or two for each of its parts.

use maud::{Markup, html};

use super::parts::{ago, pill};
use crate::status::words::{counted, grouped, size, spent};
use crate::status::{
    CgroupCount, Connections, LoggedWarning, ReloadState, Scraped, SpanCount, Status,
};

pub(super) fn log(status: &Status<'_>) -> Markup {
    let warnings = &status.log.warnings;
    html! {
        section aria-labelledby="log" {
            h2 id="log" { "Last warnings" }
            div.card {
                @if warnings.is_empty() {
                    p { "The log has none." }
                } @else {
                    ol.log { @for line in warnings { (warning(line, status)) } }
                }
                @if status.log.lost_lines > 0 {
                    p.dim { (counted(status.log.lost_lines, "line")) " of the log nobody got." }
                }
            }
        }
    }
}

fn warning(line: &LoggedWarning, status: &Status<'_>) -> Markup {
    let state = if line.level == "error" { "bad" } else { "warn" };
    html! {
        li {
            p.dim { (pill(state, line.level)) " " (ago(line.at, status.now)) }
            p { (line.text) }
        }
    }
}

pub(super) fn exporter(status: &Status<'_>) -> Markup {
    html! {
        section aria-labelledby="itself" {
            h2 id="itself" { "The exporter itself" }
            dl.card.facts {
                (scrapes(&status.scrapes))
                @if let Some(reloads) = &status.reloads { (self::reloads(reloads, status)) }
                (clients(&status.http))
                div {
                    dt { "Threads" }
                    dd.pills { @for worker in &status.workers {
                        (pill(if worker.up { "ok" } else { "bad" }, worker.name))
                    } }
                }
                @if let Some(cgroups) = &status.cgroups { (self::cgroups(cgroups)) }
                @if let Some(spans) = &status.spans { (self::spans(spans)) }
            }
        }
    }
}

fn scrapes(scrapes: &Scraped) -> Markup {
    html! {
        div {
            dt { "Readings" }
            dd {
                (grouped(scrapes.readings)) " since the start"
                @if scrapes.failed > 0 { ", and " (grouped(scrapes.failed)) " that failed by a bug" }
            }
            @if let Some(last) = &scrapes.last {
                dd.dim {
                    "All their time: "
                    @for (n, phase) in ["read", "match", "decode", "render", "compress"].iter().enumerate() {
                        @if n > 0 { ", " }
                        (phase) " " (spent(last.phases.get(phase).copied().unwrap_or_default()))
                    }
                }
            }
        }
    }
}

fn reloads(ReloadState { successes, failures, last }: &ReloadState, status: &Status<'_>) -> Markup {
    html! {
        div {
            dt { "Reloads" }
            dd { (grouped(*successes)) " that worked, " (grouped(*failures)) " that failed" }
            @if let Some(last) = last {
                dd.dim {
                    "The last one " (ago(last.at, status.now)) ": " (last.text)
                    @if let Some(remedy) = &last.remedy { "; to do: " (remedy) }
                }
            }
        }
    }
}

fn clients(http: &Connections) -> Markup {
    let causes = http.closed.iter().filter(|(_, count)| **count > 0);
    html! {
        div {
            dt { "Clients" }
            dd {
                (counted(http.open, "connection")) " open of " (grouped(http.accepted)) " accepted, "
                (size(http.unsent_bytes)) " not taken yet, "
                (counted(http.refused, "answer")) " cut off for want of room"
            }
            dd.dim {
                "Closed: "
                @for (n, (cause, count)) in causes.enumerate() {
                    @if n > 0 { ", " }
                    (cause.replace('_', " ")) " " (grouped(*count))
                }
            }
        }
    }
}

fn cgroups(CgroupCount { living, dead, watched, overflows }: &CgroupCount) -> Markup {
    html! {
        div {
            dt { "Cgroups" }
            dd {
                (grouped(*living as u64)) " live, " (grouped(*dead as u64)) " died not long ago; "
                @if *watched { "the kernel tells of those that come and go" } @else { "they are only looked for" }
                @if *overflows > 0 { ", and could not tell of all " (counted(*overflows, "time")) }
            }
        }
    }
}

fn spans(SpanCount { read, sent, dropped, waiting }: &SpanCount) -> Markup {
    html! {
        div {
            dt { "Spans" }
            dd {
                (grouped(*read)) " made, " (grouped(*sent)) " sent, " (grouped(*waiting)) " waiting, "
                (grouped(*dropped)) " that nobody got"
            }
        }
    }
}
