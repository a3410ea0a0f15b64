//! Spans: which ring buffer, whose, and whether their labels can be what their names say.

use std::collections::HashMap;

use super::label::{self, Of};
use super::plugin::Names;
use crate::advice::{Advice, quote};
use crate::config::faults::Faults;
use crate::config::plan::{DecoderStep, Label, Metric, SpanPart, SpanPlan};
use crate::config::raw::{self, Field};
use crate::decode::builtin::{self, Form};

/// The spans of a file. What is faulty is told and left out.
pub(super) fn all(
    raw: Vec<raw::Span>,
    plugins: &Names,
    metrics: &[Metric],
    faults: &Faults<'_>,
) -> Vec<SpanPlan> {
    let counters = metrics.iter().filter(|metric| metric.events.is_some());
    let mut first: HashMap<String, String> =
        counters.map(|metric| (metric.name.as_str().to_owned(), metric.path.clone())).collect();
    for raw in &raw {
        let Field::Given(ringbuf) = &raw.ringbuf else { continue };
        let earlier = first.entry(ringbuf.clone()).or_insert_with(|| raw.path.clone());
        if *earlier != raw.path {
            let problem = format!("{} is read by {earlier} too", quote(ringbuf));
            let remedy = "give each its own ring buffer: a record is read once";
            faults.error(&format!("{}.ringbuf", raw.path), problem, remedy);
        }
    }
    raw.into_iter().filter_map(|raw| span(raw, plugins, faults)).collect()
}

/// Spans of one kind, if nothing is wrong with them.
fn span(raw: raw::Span, plugins: &Names, faults: &Faults<'_>) -> Option<SpanPlan> {
    let before = faults.errors();
    let path = raw.path;
    if raw.ringbuf.is_absent() {
        let remedy = "add `ringbuf:` with the name of its ring buffer in the object";
        faults.error(&path, "the span has no ringbuf", remedy);
    }
    let labels = label::all(raw.labels, &path, Of::Span, plugins, faults);
    if faults.errors() == before {
        for (n, label) in labels.iter().enumerate() {
            special(label, &format!("{path}.labels[{n}]"), faults);
        }
    }
    let ringbuf = raw.ringbuf.given()?;
    let name = raw.name.given().unwrap_or_else(|| ringbuf.clone());
    let span = SpanPlan { name, ringbuf, service: raw.service.given(), path, labels };
    (!raw.faulty && faults.errors() == before).then_some(span)
}

/// Tells if the text of a label cannot be what its name says of a span.
fn special(label: &Label, path: &str, faults: &Faults<'_>) {
    let name = label.name.as_str();
    let part = SpanPart::of(name);
    if let Some(digits) = part.digits() {
        id(label, digits, path, faults);
    } else if part.is_number() {
        let found = gives(label);
        if let Some(found) = found.filter(|found| !matches!(found.form, Form::Decimal | Form::Any))
        {
            let problem = format!("`{name}` is a decimal number{}", found.lacks());
            let remedy = "decode it by `uint`, from 8 bytes";
            faults.refuse(&format!("{path}.decoders"), Advice::new(problem, remedy));
        }
    }
}

fn id(label: &Label, digits: usize, path: &str, faults: &Faults<'_>) {
    let (name, bytes) = (label.name.as_str(), digits / 2);
    let Some(found) = gives(label) else { return };
    let hex = matches!(found.by, Some("hex"));
    let fits = match found.form {
        Form::Any => true,
        Form::Bytes => label.size == digits,
        Form::Text if hex && label.steps.len() == 1 => label.size == bytes,
        Form::Text => true,
        Form::Decimal => false,
    };
    if !fits && hex {
        let key = if label.reuse { "reuse" } else { "size" };
        let problem =
            format!("`{name}` is {digits} hex digits, which {} bytes are not", label.size);
        faults.refuse(
            &format!("{path}.{key}"),
            Advice::new(problem, format!("give it {bytes} bytes")),
        );
    } else if !fits {
        let problem = format!("`{name}` is {digits} hex digits{}", found.lacks());
        let remedy = format!("decode it by `hex`, from {bytes} bytes");
        faults.refuse(&format!("{path}.decoders"), Advice::new(problem, remedy));
    }
}

/// What the chain of a label makes of its bytes.
struct Given {
    form: Form,
    /// The decoder that gives it; none if there is no decoder.
    by: Option<&'static str>,
}

impl Given {
    /// Why it is not what it should be.
    fn lacks(&self) -> String {
        match self.by {
            Some(name) => format!(", which `{name}` does not give"),
            None => ", and its bytes are not decoded".to_owned(),
        }
    }
}

/// What the last step of a label's chain gives; nothing if a plugin gives it.
fn gives(label: &Label) -> Option<Given> {
    match label.steps.last() {
        None => Some(Given { form: Form::Bytes, by: None }),
        Some(DecoderStep::Plugin(_)) => None,
        Some(DecoderStep::Builtin(spec, _)) => {
            let builtin = builtin::find(spec.name())?;
            Some(Given { form: builtin.gives, by: Some(builtin.name) })
        }
    }
}
