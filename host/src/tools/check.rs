//! `plugin check`: whether a plugin keeps to the contract, whatever it is asked.

use std::slice;

use super::plugin::{Inspection, Metadata};
use super::points::{Broken, Points};
use super::{Answer, Bench, Guest, ToolError, plain};
use crate::advice::quote;
use crate::plugin::Loader;

/// Calls between two looks at an instance's memory.
const ROUND: usize = 64;
/// Rounds in one of which its memory has to stay: what a guest keeps of its inputs may fill up first.
const ROUNDS: usize = 16;
/// Bytes of the largest input: the longest text that a step before may give.
const LARGE: usize = 16_384;
/// Inputs that are asked one by one.
const ALONE: usize = 64;
/// Calls that a deadline may end before it is the guest's fault: it goes on while a busy machine does something else.
const TRIES: usize = 3;

pub(super) fn check(bench: &Bench<'_>) -> Result<String, ToolError> {
    let mut loader = bench.loader();
    let plugin = bench.plugin(&mut loader, bench.limits)?;
    bench.start(&mut loader)?;
    let mut report = Points::default();
    let Inspection { world, version, metadata, notes, .. } = plugin.inspection();
    if let Some(signer) = &bench.signer {
        report.note("is signed as the policy wants", Ok(signer.to_string()));
    }
    report.note("is a plugin", Ok(format!("a {world} for {version}")));
    report.note("starts and takes its settings", Ok(String::new()));
    said(metadata, notes, &mut report);
    for (what, inputs) in batches(bench) {
        // Each in a new one, so that none is refused for what another did.
        let mut guest = bench.start(&mut loader)?;
        report
            .note(&format!("answers {what}"), answers(&mut guest, &inputs).map(|_| String::new()));
    }
    if report.faults() == 0 {
        repeat(bench, &mut loader, &mut report)?;
    }
    report.finish().map_err(|Broken { report, faults, points }| ToolError::Contract {
        report,
        faults,
        points,
    })
}

/// Looks at what the plugin says of itself. Nobody has to say anything, but what is said has to be sound.
fn said(metadata: &Metadata, notes: &[String], report: &mut Points) {
    let missing = ["name", "version", "licenses"];
    let texts = metadata.texts();
    let texts = texts.iter().filter(|(name, _)| missing.contains(name));
    let (told, untold): (Vec<_>, Vec<_>) = texts.partition(|(_, text)| text.is_some());
    let told: Vec<_> = told.iter().filter_map(|(_, text)| text.map(plain)).collect();
    let untold: Vec<_> = untold.iter().map(|(name, _)| *name).collect();
    match untold.is_empty() {
        true => report.note("says what it is", Ok(told.join(", "))),
        false => report.hint(
            "says what it is",
            format!("no {}; `plugin componentize` adds them", untold.join(", ")),
        ),
    }
    match &metadata.settings {
        Some(_) => report.note("says which settings it takes", Ok(String::new())),
        None => report.hint(
            "says which settings it takes",
            "no JSON Schema; `plugin componentize --settings-schema` adds one".to_owned(),
        ),
    }
    if !notes.is_empty() {
        report.note("says it in a sound way", Err(plain(&notes.join(", "))));
    }
}

/// Asks the same in several ways, of a plugin that answers.
fn repeat(bench: &Bench<'_>, loader: &mut Loader, report: &mut Points) -> Result<(), ToolError> {
    let (mut guest, mut other) = (bench.start(loader)?, bench.start(loader)?);
    let (_, inputs) = random(bench);
    let first = match answers(&mut guest, &inputs) {
        Ok(first) => first,
        Err(error) => {
            report.note("answers the same again", Err(error));
            return Ok(());
        }
    };
    let compared =
        |answers: Result<Vec<_>, String>| same(&inputs, &first, &answers?).map(|()| String::new());
    report.note("answers the same again", compared(answers(&mut guest, &inputs)));
    report.note("answers the same one by one", compared(alone(&mut guest, &inputs[..ALONE])));
    report.note("answers the same in another instance", compared(answers(&mut other, &inputs)));
    report.note("keeps its memory", memory(&mut other, &inputs));
    Ok(())
}

/// What is asked, by what it is.
fn batches(bench: &Bench<'_>) -> Vec<(String, Vec<Vec<u8>>)> {
    let bytes = |byte: u8, count: usize| vec![byte; count];
    let mut batches = vec![
        ("an empty input".to_owned(), vec![Vec::new()]),
        ("bytes that are not UTF-8".to_owned(), vec![bytes(0xff, 24), bytes(0, 24)]),
        ("16 KiB in one input".to_owned(), vec![bytes(b'a', LARGE)]),
        random(bench),
    ];
    if !bench.inputs.is_empty() {
        batches.push(("the inputs given".to_owned(), bench.inputs.clone()));
    }
    batches
}

/// 1,024 inputs of 0 to 63 bytes, the same at every run.
fn random(bench: &Bench<'_>) -> (String, Vec<Vec<u8>>) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut input = |n: usize| match bench.inputs.get(n) {
        Some(input) => input.clone(),
        None => (0..next() % 64).map(|_| next().to_le_bytes()[0]).collect(),
    };
    ("1,024 random inputs".to_owned(), (0..1024).map(&mut input).collect())
}

/// The answers, or how the call failed.
fn answers(guest: &mut Guest, inputs: &[Vec<u8>]) -> Result<Vec<Answer>, String> {
    let mut tries = 0;
    loop {
        let (failed, late) = (guest.failures(), guest.late());
        let answers = guest.ask(inputs);
        if guest.failures() == failed {
            return Ok(answers);
        }
        tries += 1;
        if guest.late() == late || tries == TRIES {
            let error = answers.into_iter().find_map(|answer| answer.outcome.err());
            return Err(error.unwrap_or_default());
        }
    }
}

/// The same of each input in a call of its own.
fn alone(guest: &mut Guest, inputs: &[Vec<u8>]) -> Result<Vec<Answer>, String> {
    let asked = inputs.iter().map(|input| answers(guest, slice::from_ref(input)));
    Ok(asked.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Whether the first of these inputs were answered the same once more. Two errors are the same, whatever they say: nothing
/// is made of it.
fn same(inputs: &[Vec<u8>], once: &[Answer], again: &[Answer]) -> Result<(), String> {
    let differ = |(one, other): (&Answer, &Answer)| {
        one != other && (one.outcome.is_ok() || other.outcome.is_ok())
    };
    let Some(n) = once.iter().zip(again).position(differ) else { return Ok(()) };
    Err(format!(
        "input {}: {}, then {}\nan answer may depend on its input alone, not on those before it or beside it",
        shown(&inputs[n]),
        once[n],
        again[n]
    ))
}

/// An input as a message may show it: a text, or hex as `plugin run --hex` takes it.
fn shown(input: &[u8]) -> String {
    const LONGEST: usize = 64;
    match std::str::from_utf8(input) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') => quote(text),
        _ => {
            let hex: String =
                input.iter().take(LONGEST).map(|byte| format!("{byte:02x}")).collect();
            let more = if input.len() > LONGEST { "…" } else { "" };
            format!("--hex {hex}{more}")
        }
    }
}

/// Whether an instance that is asked the same on and on stops taking more memory.
fn memory(guest: &mut Guest, inputs: &[Vec<u8>]) -> Result<String, String> {
    let mut peak = || {
        for _ in 0..ROUND {
            answers(guest, inputs)
                .map_err(|error| format!("it fails when it is asked on and on: {error}"))?;
        }
        Ok::<_, String>(guest.gauge.read().memory_peak)
    };
    let first = peak()?;
    let mut last = first;
    for _ in 1..ROUNDS {
        let before = std::mem::replace(&mut last, peak()?);
        if last == before {
            return Ok(format!("{last} bytes"));
        }
    }
    let calls = ROUND * ROUNDS;
    Err(format!("it grows on and on: {first} bytes after {ROUND} calls, {last} after {calls}"))
}

#[cfg(test)]
mod tests;
