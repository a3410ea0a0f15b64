//! What decoders answer, well and badly.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::*;
use crate::plugin::limits::FIRST_RETRY;
use crate::plugin::{
    BreakerState, Budget, Gauge, Limits, Loader, Remembered, Request, Stats, guests,
};

struct Plugin {
    decoder: Box<dyn Decoder>,
    /// The same for another label.
    other: Box<dyn Decoder>,
    gauge: Gauge,
}

/// One that has time enough on any machine, unless it is to run out of it.
fn plugin(guest: &str) -> Plugin {
    let default = Limits::default();
    let patient = Limits { deadline: Duration::from_secs(10), ..default };
    limited(guest, if guest == "loop" { default } else { patient })
}

fn limited(guest: &str, limits: Limits) -> Plugin {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("guest.wasm"), guests::component(guest)).unwrap();
    let request = Request {
        config: "config",
        name: "zone",
        file: Path::new("guest.wasm"),
        places: &[dir.path()],
        held: None,
        pin: None,
        settings: "{}",
        data: &[],
        limits,
    };
    let mut plugin = Loader::default().load(&request).unwrap();
    let (decoder, other) = (plugin.decoder().unwrap(), plugin.decoder().unwrap());
    Plugin { decoder, other, gauge: plugin.gauge() }
}

impl Plugin {
    fn answers(&mut self, inputs: &[&[u8]]) -> Answers {
        let mut batch = Batch::default();
        inputs.iter().for_each(|input| batch.push(input));
        let mut answers = Answers::default();
        self.decoder.decode_batch(&batch, &mut answers);
        assert_eq!(answers.len(), inputs.len());
        answers
    }

    /// The one error that all of three inputs have.
    fn error(&mut self) -> String {
        let answers = self.answers(&[b"a", b"b", b""]);
        let errors: Vec<_> = answers.iter().map(|(_, outcome)| outcome.clone()).collect();
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        errors[0].clone().unwrap_err().to_string()
    }

    fn failures(&self) -> Vec<(Cause, u64)> {
        failures(&self.gauge.read())
    }
}

fn failures(stats: &Stats) -> Vec<(Cause, u64)> {
    let all = Cause::ALL.into_iter().zip(stats.failures);
    all.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn every_outcome_is_what_it_is_at_home() {
    let mut echo = plugin("echo");
    let answers = echo.answers(&[b"", b"abc", b"drop", b"err\n\x1b[0m", b"for", b"gone"]);
    let answers: Vec<_> = answers.iter().map(|(text, outcome)| (text, outcome.clone())).collect();
    let error = guests_own(r"err\n\u{1b}[0m".to_owned()).of_plugin(&"zone".into());
    let error = error.again_in(FIRST_RETRY);
    assert_eq!(
        answers,
        [
            (&b""[..], Ok(Outcome::Label)),
            (b"abc", Ok(Outcome::Label)),
            (b"", Ok(Outcome::Drop)),
            (b"", Err(error)),
            (b"for", Ok(Outcome::LabelFor(Duration::from_secs(30)))),
            (b"", Ok(Outcome::DropFor(Duration::from_secs(30)))),
        ]
    );
    let stats = echo.gauge.read();
    assert_eq!((stats.calls, stats.inputs, stats.outcomes), (1, 6, [2, 1, 1, 1, 1, 0, 0]));
    assert_eq!((stats.memory_peak, failures(&stats)), (2 * 65536 + 1808, vec![]));
}

#[test]
fn what_is_known_is_not_asked_again() {
    let mut echo = plugin("echo");
    echo.answers(&[b"a", b"b", b"a", b"drop", b"error"]);
    let mut out = Vec::new();
    assert_eq!(echo.other.decode(b"b", &mut out), Ok(Outcome::Label));
    assert_eq!(echo.other.decode(b"drop", &mut Vec::new()), Ok(Outcome::Drop));
    assert!(echo.other.decode(b"error", &mut Vec::new()).is_err());
    assert_eq!(out, b"b");
    let stats = echo.gauge.read();
    assert_eq!((stats.calls, stats.inputs), (1, 4));
    let Remembered { hits, misses, entries, .. } = stats.remembered;
    assert_eq!((hits, misses, entries), (4, 4, 4));
    let mut forgetful = limited("echo", Limits { answers: 0, ..Limits::default() });
    forgetful.answers(&[b"a", b"a"]);
    assert_eq!(forgetful.gauge.read().inputs, 2);
}

#[test]
fn one_input_is_answered_as_in_a_batch() {
    let mut echo = plugin("echo");
    let mut out = Vec::new();
    assert_eq!(echo.decoder.decode(b"abc", &mut out), Ok(Outcome::Label));
    assert_eq!(out, b"abc");
    assert!(echo.decoder.decode(b"error", &mut out).is_err());
}

#[test]
fn batches_of_any_size_are_cut_into_calls() {
    let mut echo = plugin("echo");
    let texts: Vec<String> = (0..2500).map(|n| n.to_string()).collect();
    let inputs: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let answers = echo.answers(&inputs);
    assert!(answers.iter().map(|(text, _)| text).eq(inputs.iter().copied()));
    assert_eq!(echo.gauge.read().calls, 3);
    // Three of 600 kB are three calls; their labels are too long, one by one.
    let large = [b'a', b'b', b'c'].map(|byte| vec![byte; 600_000]);
    let answers = echo.answers(&[&large[0], b"b", &large[1], &large[2]]);
    let outcomes: Vec<_> = answers.iter().map(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(outcomes, [false, true, false, false]);
    assert_eq!(echo.gauge.read().calls, 6);
    // One that is longer than all of a call may be comes alone.
    let longer = vec![b'd'; 1_500_000];
    let answers = echo.answers(&[b"x", &longer, b"y"]);
    let outcomes: Vec<_> = answers.iter().map(|(_, outcome)| outcome.clone()).collect();
    assert_eq!(outcomes, [Ok(Outcome::Label), Ok(Outcome::Drop), Ok(Outcome::Label)]);
    assert_eq!(echo.gauge.read().calls, 9);
}

#[test]
fn no_input_is_no_call() {
    let mut echo = plugin("echo");
    assert!(echo.answers(&[]).is_empty());
    assert_eq!(echo.gauge.read().calls, 0);
}

#[test]
fn hostile_guests_cost_their_own_answers() {
    for (guest, cause, error) in [
        ("loop", Cause::Deadline, "it ran longer than `limits.deadline` allows"),
        ("grow", Cause::Memory, "it wanted more memory than `limits.memory` allows"),
        ("stack", Cause::Stack, "its stack overflowed"),
        (
            "panic",
            Cause::Trap,
            "it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system",
        ),
        ("few", Cause::Count, "it returned 0 outcomes for 3 inputs"),
        ("many", Cause::Count, "it returned 4 outcomes for 3 inputs"),
        ("flood", Cause::Memory, "it wanted more memory than `limits.memory` allows"),
        (
            "import",
            Cause::Import,
            "it called `wasi:random/random@0.2.0#get-random-u64`, which the contract does not give",
        ),
    ] {
        let mut guest = (guest, plugin(guest));
        let start = Instant::now();
        assert_eq!(guest.1.error(), format!("plugin `zone`: {error}"), "{}", guest.0);
        assert!(start.elapsed() < Duration::from_secs(2), "{}: {:?}", guest.0, start.elapsed());
        assert_eq!(guest.1.failures(), [(cause, 1)], "{}", guest.0);
        assert_eq!(guest.1.gauge.read().outcomes, [0, 0, 0, 0, 0, 3, 0], "{}", guest.0);
    }
}

#[test]
fn text_is_bounded_where_memory_is_not() {
    let limits = Limits { memory: 1 << 30, deadline: Duration::from_secs(5), ..Limits::default() };
    let mut flood = limited("flood", limits);
    assert_eq!(flood.error(), "plugin `zone`: it returned more than the host copies");
    assert_eq!(flood.failures(), [(Cause::Output, 1)]);
    let mut echo = limited("echo", Limits { output: 1024, ..Limits::default() });
    let text = [b'a'; 1025];
    let error = echo.answers(&[&text]).iter().next().unwrap().1.clone().unwrap_err();
    insta::assert_snapshot!(error, @"plugin `zone`: it returned 1025 bytes, more than limits.output, 1024");
}

#[test]
fn a_label_that_is_too_long_is_an_error_of_its_own() {
    let mut wordy = plugin("wordy");
    assert_eq!(wordy.error(), "plugin `zone`: its label has 20000 bytes, more than 16384");
    assert_eq!(wordy.failures(), []);
    assert_eq!(wordy.gauge.read().outcomes, [0, 0, 0, 0, 3, 0, 0]);
}

#[test]
fn what_cannot_be_read_is_told() {
    let mut wild = plugin("wild");
    let error = wild.error();
    // Of what an input is it says nothing, and nor does that it is not asked for a while.
    for _ in 0..4 {
        let answers = wild.answers(&[b"a"]);
        let (_, outcome) = answers.get(0);
        assert!(outcome.as_ref().is_err_and(|error| error.is_unanswered() && !error.is_deferred()));
    }
    assert!(error.starts_with("plugin `zone`: it returned what cannot be read: "), "{error}");
    let mut echo = plugin("echo");
    let answers = echo.answers(&[b"\xff"]);
    let error = answers.iter().next().unwrap().1.clone().unwrap_err().to_string();
    assert!(error.starts_with("plugin `zone`: it returned what cannot be read: "), "{error}");
}

#[test]
fn an_instance_is_replaced_after_a_trap() {
    let mut late = plugin("late");
    for round in 1..4_u8 {
        assert!(late.answers(&[&[round]]).iter().all(|(_, outcome)| outcome.is_ok()));
        assert!(late.answers(&[b"a"]).iter().all(|(_, outcome)| outcome.is_err()));
        assert_eq!(late.failures(), [(Cause::Trap, round.into())]);
    }
    assert_eq!(late.gauge.read().breaker, BreakerState::Closed);
}

#[test]
fn a_plugin_that_fails_again_and_again_is_not_asked() {
    let mut looping = plugin("loop");
    for _ in 0..3 {
        assert_eq!(looping.error(), "plugin `zone`: it ran longer than `limits.deadline` allows");
    }
    let texts: Vec<_> = (0..100_000_u32).map(u32::to_ne_bytes).collect();
    let inputs: Vec<&[u8]> = texts.iter().map(|text| &text[..]).collect();
    let answers = looping.answers(&inputs);
    let (_, error) = answers.iter().last().unwrap();
    insta::assert_snapshot!(error.clone().unwrap_err(), @"plugin `zone`: it is not asked for a while, after repeated failures");
    let stats = looping.gauge.read();
    assert_eq!((stats.breaker, stats.calls), (BreakerState::Open, 3));
    assert_eq!(stats.outcomes, [0, 0, 0, 0, 0, 9, 100_000]);
}

#[test]
fn guests_do_not_fill_the_log() {
    let mut chatter = plugin("chatter");
    assert_eq!(chatter.error(), "plugin `zone`: it returned 0 outcomes for 3 inputs");
    let stats = chatter.gauge.read();
    assert_eq!((stats.lines_written, stats.lines_dropped), (10, 990));
}

#[test]
fn a_call_that_all_of_a_scrape_cut_short_is_no_fault_of_its_own() {
    let budget = Arc::new(Budget::default());
    let mut looping = plugin("loop");
    looping.gauge.join(&budget);
    let whole = Duration::from_secs(60);
    for _ in 0..5 {
        budget.begin(whole, Duration::from_millis(20));
        assert_eq!(
            looping.error(),
            "plugin `zone`: the time of all plugins in a scrape was used up"
        );
        assert!(looping.answers(&[b"x"]).get(0).1.as_ref().is_err_and(DecodeError::is_deferred));
    }
    assert_eq!(looping.failures(), [(Cause::Budget, 5)]);
    let stats = looping.gauge.read();
    assert_eq!((stats.breaker, stats.calls), (BreakerState::Closed, 5));
    assert_eq!(stats.outcomes, [0, 0, 0, 0, 0, 15, 5], "failed, and not asked");
    // With time enough it is cut by its own deadline, and that is its own fault.
    for _ in 0..3 {
        budget.begin(whole, whole);
        assert_eq!(looping.error(), "plugin `zone`: it ran longer than `limits.deadline` allows");
    }
    assert_eq!(looping.gauge.read().breaker, BreakerState::Open);
}

#[test]
fn no_call_has_more_than_half_of_a_scrape() {
    let budget = Arc::new(Budget::default());
    let mut looping =
        limited("loop", Limits { deadline: Duration::from_secs(10), ..Limits::default() });
    looping.gauge.join(&budget);
    budget.begin(Duration::from_millis(200), Duration::from_millis(200));
    assert_eq!(
        looping.error(),
        "plugin `zone`: it ran longer than half of --plugins.scrape-budget"
    );
    assert_eq!(looping.failures(), [(Cause::Deadline, 1)]);
}

#[test]
fn a_guest_of_an_older_version_answers_as_one_of_the_newest() {
    let many: Vec<String> = (0..2500).map(|n| format!("{n}")).collect();
    let few: [&[u8]; 5] = [b"a", b"", b"drop", b"error", "\u{fc}".as_bytes()];
    let inputs: Vec<&[u8]> = few.into_iter().chain(many.iter().map(String::as_bytes)).collect();
    let [mut newest, mut older] = ["echo", "older-decoder"].map(plugin);
    let [expected, found] = [&mut newest, &mut older].map(|plugin| plugin.answers(&inputs));
    for (expected, found) in expected.iter().zip(found.iter()) {
        assert_eq!(found, expected);
    }
    // It says a line in each call.
    assert_eq!(older.gauge.read().lines_written, 3);
}
