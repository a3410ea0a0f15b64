//! The status as a page: one document without a script or anything from elsewhere, which reads well in light and
//! dark, on a phone, by keyboard and aloud.
//!
//! Names and messages in it are strangers': `maud` escapes each text that stands in it.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::words::{age, counted, grouped, percent, spent};
use super::{Moment, Problem, Status};

mod configs;
mod parts;
mod rest;

use parts::{ago, pill};

/// How the page looks.
const STYLE: &str = include_str!("page.css");
/// What a tab of a browser shows.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
                    %3Crect width='16' height='16' rx='4' fill='%230b62c4'/%3E\
                    %3Cpath d='M3 12V9h2v3zm4 0V6h2v6zm4 0V3h2v9z' fill='%23fff'/%3E%3C/svg%3E";
/// What a browser may do with the page: show it in this style, and nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// Where else one may go.
#[derive(Clone, Debug)]
pub struct Links {
    /// The path of the metrics.
    pub metrics: String,
    /// Whether there are pages of maps.
    pub maps: bool,
}

/// The value of the header `Content-Security-Policy` that goes with the page.
pub fn content_security_policy() -> &'static str {
    &POLICY
}

/// The page. Its links are relative, so that they work behind a proxy that serves it elsewhere.
pub fn page(status: &Status<'_>, links: &Links) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(status)) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to what is going on" }
                (head(status, links))
                main id="main" {
                    (problems(status))
                    (configs::section(status, links))
                    (rest::log(status))
                    (rest::exporter(status))
                }
                footer {
                    p { "As of " (moment(status.now)) ". Reload the page to see it anew. It has no key and no label of any metric." }
                }
            }
        }
    };
    page.into_string()
}

/// What the tab says: first what is wrong.
fn title(status: &Status<'_>) -> String {
    let problems = (status.problems.len() + status.more_problems) as u64;
    match problems {
        0 => "ebpf_wasm_exporter".to_owned(),
        _ => format!("({}) ebpf_wasm_exporter", grouped(problems)),
    }
}

fn moment(at: Moment) -> Markup {
    html! { time datetime=(at) { (at) } }
}

fn head(status: &Status<'_>, links: &Links) -> Markup {
    let build = &status.exporter;
    html! {
        header {
            div.title {
                h1 { "ebpf_wasm_exporter" }
                (health(status))
            }
            p.dim {
                "Version " (build.version) ", branch " (build.branch) ", revision " code { (build.revision) }
                " on " (build.system)
                @if let Some(started) = build.started {
                    ", up " (age(started.age(status.now)))
                }
            }
            nav aria-label="Pages" {
                a href={ "." (links.metrics) } { "Metrics" }
                @if links.maps {
                    a href="./maps" { "Maps" }
                }
                a href="./api/v1/status" { "This as JSON" }
            }
            (tiles(status))
        }
    }
}

fn health(status: &Status<'_>) -> Markup {
    let health = &status.health;
    match (health.healthy, health.ready) {
        (true, true) => pill("ok", "ready"),
        (true, false) => pill("warn", "not ready"),
        (false, _) => pill("bad", "not healthy"),
    }
}

/// The numbers that one looks for first.
fn tiles(status: &Status<'_>) -> Markup {
    let programs = || status.configs.iter().flat_map(|config| &config.programs);
    let attached = programs().filter(|program| program.attached).count() as u64;
    let maps = || status.configs.iter().flat_map(|config| &config.maps);
    let fullest = maps().filter(|map| map.when_full != "none_come");
    let fullest = fullest
        .max_by_key(|map| u128::from(map.entries) * 1000 / u128::from(map.max_entries.max(1)));
    let last = status.scrapes.last.as_ref();
    let all = programs().count() as u64;
    html! {
        dl.tiles {
            (tile("Configs", &grouped(status.configs.len() as u64), &counted(maps().count() as u64, "map")))
            (tile("Programs attached", &format!("{} of {}", grouped(attached), grouped(all)), match all - attached {
                0 => "all of them",
                _ => "see what wants a look",
            }))
            (tile("Series", &last.map_or("–".to_owned(), |last| grouped(last.series)), &match last {
                Some(last) => format!("of {}", counted(last.entries, "entry")),
                None => "not read yet".to_owned(),
            }))
            (tile("Last reading", &last.map_or("–".to_owned(), |last| spent(last.seconds)), &match last {
                Some(last) => format!("{} ago", age(last.at.age(status.now))),
                None => "none yet".to_owned(),
            }))
            (tile("Fullest map", &fullest.map_or("–".to_owned(), |map| percent(map.entries, map.max_entries)), match fullest {
                Some(map) => &map.name,
                None => "none that fills",
            }))
            (tile("Connections", &grouped(status.http.open), &format!("{} cut off", grouped(status.http.cut_off()))))
        }
    }
}

fn tile(what: &str, number: &str, more: &str) -> Markup {
    html! {
        div {
            dt { (what) }
            dd.big { (number) }
            dd.dim { (more) }
        }
    }
}

fn problems(status: &Status<'_>) -> Markup {
    html! {
        section aria-labelledby="look" {
            h2 id="look" { "What wants a look" }
            @if status.problems.is_empty() {
                p.card.well { "Nothing: all programs are attached, and all maps could be read." }
            } @else {
                ul.card.problems {
                    @for problem in &status.problems { (entry(problem)) }
                    @if status.more_problems > 0 {
                        li { p { "And " (counted(status.more_problems as u64, "other")) "." } }
                    }
                }
            }
            @if let Some(busy) = status.scrapes.busy_seconds.filter(|busy| *busy >= 1.0) {
                p.note { "A reading or a page has been under way for " (spent(busy)) ". What is below is of the reading before." }
            }
        }
    }
}

fn entry(Problem { config, subject, problem, remedy }: &Problem) -> Markup {
    html! {
        li {
            p { @if config.is_empty() { b { (subject) } } @else { b { (config) } " " (subject) } }
            div {
                p { (problem) }
                @if let Some(remedy) = remedy { p.dim { "To do: " (remedy) } }
            }
        }
    }
}

/// When it was, seen from now.
fn when(at: Option<Moment>, status: &Status<'_>) -> Markup {
    match at {
        Some(at) => ago(at, status.now),
        None => html! { "never" },
    }
}
