//! `plugin run`: inputs and what becomes of them.

use std::fmt::Write as _;
use std::slice;

use serde_json::json;

use super::{Answer, Bench, Guest, ToolError, plain};
use crate::advice::Advice;
use crate::decode::Outcome;
use crate::logging::printable;
use crate::plugin::Loader;

pub(super) fn run(bench: &Bench<'_>, as_json: bool) -> Result<String, ToolError> {
    if bench.inputs.is_empty() {
        let advice = Advice::new("no input was given", "write some behind the file");
        return Err(ToolError::Usage(advice));
    }
    let mut loader = bench.loader();
    let mut guest = bench.start(&mut loader)?;
    let mut answers = guest.ask(&bench.inputs);
    if guest.failures() > 0 && answers.len() > 1 {
        answers = one_by_one(bench, &mut loader)?;
    }
    let rows = bench.subject.inputs.iter().zip(&answers);
    let mut out = String::new();
    if as_json {
        for (input, answer) in rows {
            let _ = writeln!(out, "{}", printable(&object(input, answer, &guest).to_string()));
        }
        return Ok(out);
    }
    let width = bench.subject.inputs.iter().map(|input| plain(input).len()).max().unwrap_or(0);
    let width = width.clamp(5, 48);
    let _ = writeln!(out, "{:width$}  {:10}  ANSWER", "INPUT", "OUTCOME");
    for (input, answer) in rows {
        let (word, text) = words(answer, &guest);
        let _ =
            writeln!(out, "{}", format!("{:width$}  {word:10}  {text}", plain(input)).trim_end());
    }
    Ok(out)
}

/// What becomes of each input alone. A call that fails costs the answers of all its inputs, and does not say which it was.
/// Each is asked of an instance of its own: one that fails again and again is not asked for a while.
fn one_by_one(bench: &Bench<'_>, loader: &mut Loader) -> Result<Vec<Answer>, ToolError> {
    let alone = |input| Ok(bench.start(loader)?.ask(slice::from_ref(input)));
    let answers = bench.inputs.iter().map(alone).collect::<Result<Vec<_>, ToolError>>()?;
    Ok(answers.into_iter().flatten().collect())
}

fn words(answer: &Answer, guest: &Guest) -> (&'static str, String) {
    let labels = |suffix: String| {
        let named = guest.labels.iter().zip(&answer.values);
        let named: Vec<_> =
            named.map(|(name, value)| format!("{}={value:?}", name.as_str())).collect();
        match guest.labels.len() {
            0 => format!(
                "{}{suffix}",
                answer.values.first().map(|text| plain(text)).unwrap_or_default()
            ),
            _ => format!("{}{suffix}", named.join(" ")),
        }
    };
    match &answer.outcome {
        Ok(Outcome::Drop) => ("drop", String::new()),
        Ok(Outcome::DropFor(time)) => ("drop-for", format!("(for {} s)", time.as_secs())),
        Ok(outcome) => match outcome.holds() {
            None => ("label", labels(String::new())),
            Some(time) => ("label-for", labels(format!(" (for {} s)", time.as_secs()))),
        },
        Err(text) => ("error", text.clone()),
    }
}

fn object(input: &str, answer: &Answer, guest: &Guest) -> serde_json::Value {
    let labels = || match guest.labels.len() {
        0 => json!(answer.values.first()),
        _ => guest
            .labels
            .iter()
            .zip(&answer.values)
            .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    };
    match &answer.outcome {
        Ok(Outcome::Drop) => json!({"input": input, "outcome": "drop"}),
        Ok(Outcome::DropFor(time)) => {
            json!({"input": input, "outcome": "drop-for", "seconds": time.as_secs()})
        }
        Ok(outcome) => match outcome.holds() {
            None => json!({"input": input, "outcome": "label", "label": labels()}),
            Some(time) => {
                let seconds = time.as_secs();
                json!({"input": input, "outcome": "label-for", "label": labels(), "seconds": seconds})
            }
        },
        Err(text) => json!({"input": input, "outcome": "error", "error": text}),
    }
}
