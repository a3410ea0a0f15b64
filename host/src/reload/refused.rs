//! Why configs were not read again, and what runs since.
//!
//! Never says that all goes on if it does not.

use crate::advice::{self, Advice, Advise as _};
use crate::bpf::{Anew, AttachError};

/// How many programs an answer names.
const MOST: usize = 8;

/// Why configs were not read again.
#[derive(Debug)]
pub(super) struct NotReloaded {
    why: Advice,
    /// Programs that ran before and could not be attached again.
    lost: Vec<String>,
    /// What whoever asked for it has to know besides.
    notes: Vec<String>,
}

impl From<Advice> for NotReloaded {
    fn from(why: Advice) -> Self {
        Self { why, lost: Vec::new(), notes: Vec::new() }
    }
}

impl NotReloaded {
    /// Programs of a config run no more.
    pub(super) fn lose(&mut self, config: &str, lost: &[AttachError]) {
        let name = |error: &AttachError| format!("`{}` of `{config}`", error.program);
        self.lost.extend(lost.iter().map(name));
        self.note(lost.iter().map(|error| format!("config `{config}`: {}", error.advice())));
    }

    /// Somebody has to know this.
    pub(super) fn note(&mut self, notes: impl Iterator<Item = String>) {
        self.notes.extend(notes);
    }

    /// As a person is told of it.
    pub(super) fn advice(self) -> Advice {
        let Self { why, lost, notes } = self;
        let evidence: Vec<_> = why.evidence.clone().into_iter().chain(notes).collect();
        let evidence = (!evidence.is_empty()).then(|| evidence.join("\n"));
        if lost.is_empty() {
            let why = why.about("failed to reload, the old configs go on");
            return Advice { evidence, ..why };
        }
        let lost = advice::few(lost, MOST);
        let problem = format!(
            "failed to reload, and these programs of the old configs run no more: {lost}; all else goes on: {}",
            why.problem
        );
        let remedy = "restart the exporter to have them attached, or say why they are not";
        Advice { problem, remedy: Some(remedy.to_owned()), evidence }
    }
}

/// Why totals that begin anew are a fault.
pub(super) fn anew(config: &str, maps: &[Anew]) -> Advice {
    let maps = maps.iter().map(|Anew { map, why }| format!("`{map}` ({why})"));
    Advice::new(
        format!(
            "config `{config}`: maps begin anew, and their totals with them: {}",
            advice::few(maps, MOST)
        ),
        "restart the exporter to have it so, or leave out --config.strict",
    )
}

/// What to do about what only a start can change.
pub(super) const RESTART: &str = "restart the exporter to have it";

/// Why a config cannot have spans.
pub(super) fn untraced(config: &str) -> Advice {
    Advice::new(
        format!(
            "config `{config}` has spans, and the sandbox of this exporter lets it send none, since there were none when it began"
        ),
        format!("{RESTART}; with OTEL_TRACES_EXPORTER=otlp they may come later too"),
    )
}

/// Why records of a ring buffer cannot be counted that became spans, or become spans if they were counted.
pub(super) fn two_readers(config: &str, ring: &str) -> Advice {
    Advice::new(
        format!(
            "in config `{config}` the ring buffer `{ring}` goes from spans to a metric, or back, and two threads would read it at once"
        ),
        RESTART,
    )
}

/// Why records of a ring buffer cannot be counted yet that were spans until a reload before this one.
pub(super) fn still_read(config: &str, ring: &str) -> Advice {
    Advice::new(
        format!(
            "in config `{config}` a metric is to count the records of the ring buffer `{ring}`, and spans are still made of what stands in it"
        ),
        "reload again in a moment",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_not_said_to_go_on() {
        let why = || Advice::new("config `b`: it does not attach", "mend it");
        let plain = NotReloaded::from(why()).advice();
        insta::assert_snapshot!(plain, @"failed to reload, the old configs go on: config `b`: it does not attach; mend it");
        let mut refused = NotReloaded::from(why());
        refused.note(std::iter::once(
            "config `a`: program `p` missed what came within 3ms".to_owned(),
        ));
        let lost = ["q", "r"].map(|program| AttachError {
            program: program.to_owned(),
            section: "xdp/lo".to_owned(),
            advice: Advice::new("device or resource busy", "make room"),
        });
        refused.lose("a", &lost);
        insta::assert_snapshot!(refused.advice(), @"
        failed to reload, and these programs of the old configs run no more: `q` of `a`, `r` of `a`; all else goes on: config `b`: it does not attach; restart the exporter to have them attached, or say why they are not; config `a`: program `p` missed what came within 3ms
        config `a`: failed to attach program `q` (xdp/lo): device or resource busy; make room
        config `a`: failed to attach program `r` (xdp/lo): device or resource busy; make room
        ");
    }

    #[test]
    fn totals_that_begin_anew_are_named() {
        let map = |map: &str, why: &str| Anew { map: map.to_owned(), why: why.to_owned() };
        let maps = [map("a", "max_entries 1024, was 512"), map("b", "key_size 8, was 4")];
        insta::assert_snapshot!(anew("work", &maps), @"config `work`: maps begin anew, and their totals with them: `a` (max_entries 1024, was 512), `b` (key_size 8, was 4); restart the exporter to have it so, or leave out --config.strict");
    }

    #[test]
    fn the_first_spans_want_a_restart() {
        insta::assert_snapshot!(untraced("a"), @"config `a` has spans, and the sandbox of this exporter lets it send none, since there were none when it began; restart the exporter to have it; with OTEL_TRACES_EXPORTER=otlp they may come later too");
        insta::assert_snapshot!(two_readers("a", "r"), @"in config `a` the ring buffer `r` goes from spans to a metric, or back, and two threads would read it at once; restart the exporter to have it");
        insta::assert_snapshot!(still_read("a", "r"), @"in config `a` a metric is to count the records of the ring buffer `r`, and spans are still made of what stands in it; reload again in a moment");
    }
}
