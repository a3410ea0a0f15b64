//! Labels: names, sizes and chains of decoders.

use std::collections::HashMap;

use super::chain::Flow;
use super::plugin::Names;
use crate::advice::{Advise as _, near, quote};
use crate::config::faults::Faults;
use crate::config::name::{APART, LabelName, NameError, labels_that_meet};
use crate::config::plan::{DecoderStep, KeyPart, Label, WASM};
use crate::config::ranges::{self, Count};
use crate::config::raw::{self, Field, ON_ERROR};
use crate::decode::OnError;
use crate::decode::builtin::{self, Builtin, DecoderSettings, Sizes};

/// What has labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Counter,
    /// One of them is a bucket and no label.
    Histogram,
    /// No client of Prometheus reads their names.
    Span,
}

/// The labels of a metric or a span.
pub(super) fn all(
    raw: Field<Vec<raw::Label>>,
    path: &str,
    of: Of,
    plugins: &Names,
    faults: &Faults<'_>,
) -> Vec<Label> {
    let raw = raw.given().unwrap_or_default();
    let bucket = if of == Of::Histogram { super::histogram::bucket(&raw) } else { None };
    let (mut first, mut exposed) = (HashMap::new(), Vec::new());
    let mut labels = Vec::with_capacity(raw.len());
    let mut before = Before::Nothing;
    for (index, raw) in raw.into_iter().enumerate() {
        let at = raw.path.clone();
        let served = of != Of::Span && Some(index) != bucket;
        let new = if served { LabelName::new } else { LabelName::unserved };
        let name = name(&raw.name, new, &at, faults);
        let bytes = bytes(&raw, before, faults);
        before = bytes.map_or(Before::Faulty, Before::Bytes);
        let known = name.zip(bytes);
        let Some(label) = label(raw, known, plugins, faults) else { continue };
        if Some(index) != bucket {
            named(&label.name, &at, of, faults);
            if served {
                exposed.push((label.name.clone(), at.clone()));
            }
            let earlier = *first.entry(label.name.clone()).or_insert(index);
            if earlier != index {
                faults.error(
                    &format!("{at}.name"),
                    format!(
                        "`{}` is the name of {path}.labels[{earlier}] too",
                        label.name.as_str()
                    ),
                    "give each label its own name",
                );
            }
        }
        labels.push(label);
    }
    if let Some(meeting) = labels_that_meet(exposed.iter().map(|(name, _)| name)) {
        let at = exposed.iter().find(|(name, _)| name == meeting.second);
        let at = at.map_or(path, |(_, at)| at);
        faults.error(&format!("{at}.name"), meeting.to_string(), APART);
    }
    labels
}

/// What the labels take of the key, if all of it could be read.
pub(super) fn parts(raw: &Field<Vec<raw::Label>>) -> Option<Vec<KeyPart>> {
    let labels = match raw {
        Field::Absent => &[][..],
        Field::Faulty => return None,
        Field::Given(labels) => labels,
    };
    let mut parts: Vec<KeyPart> = Vec::with_capacity(labels.len());
    for label in labels {
        parts.push(part(label, parts.last())?);
    }
    Some(parts)
}

fn part(raw: &raw::Label, before: Option<&KeyPart>) -> Option<KeyPart> {
    let Field::Given(name) = &raw.name else { return None };
    let named_cpu = name == "cpu";
    if raw.reuses() {
        return Some(KeyPart { named_cpu, size: before?.size, padding: 0, reuse: true });
    }
    let (Field::Given(size), Field::Absent | Field::Given(_)) = (&raw.size, &raw.reuse) else {
        return None;
    };
    let padding = match &raw.padding {
        Field::Absent => 0,
        Field::Faulty => return None,
        Field::Given(padding) => *padding,
    };
    Some(KeyPart { named_cpu, size: sized(*size)?, padding: padded(padding)?, reuse: false })
}

/// What stands before a label.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    /// A label whose bytes are not known, which has been told.
    Faulty,
    Bytes(Bytes),
}

/// The bytes of a key that a label decodes.
#[derive(Clone, Copy)]
struct Bytes {
    /// How many; never 0.
    size: usize,
    /// How many to pass over behind them.
    padding: usize,
    /// Whether they are those of the label before it.
    reused: bool,
}

/// The bytes that a label decodes: its own, or those of the label before it.
fn bytes(raw: &raw::Label, before: Before, faults: &Faults<'_>) -> Option<Bytes> {
    if matches!(raw.reuse, Field::Faulty) {
        return None;
    }
    if !raw.reuses() {
        let (size, padding) =
            (size(&raw.size, &raw.path, faults), padding(&raw.padding, &raw.path, faults));
        return Some(Bytes { size: size?, padding: padding?, reused: false });
    }
    match before {
        Before::Nothing => {
            let problem = "the first label has none before it whose bytes it could decode again";
            let remedy = "put it behind the label whose bytes it is to decode, or remove `reuse`";
            faults.error(&format!("{}.reuse", raw.path), problem, remedy);
            None
        }
        Before::Faulty => None,
        Before::Bytes(before) => {
            repeats(raw, before, faults).then_some(Bytes { reused: true, ..before })
        }
    }
}

/// Whether a label that reuses the bytes before it says nothing else of their size and padding.
fn repeats(raw: &raw::Label, before: Bytes, faults: &Faults<'_>) -> bool {
    let Bytes { size, padding, .. } = before;
    let differs = |field: &Field<i128>, allowed: &[usize]| match field {
        Field::Given(given) if !allowed.iter().any(|size| *size as i128 == *given) => Some(*given),
        _ => None,
    };
    let other_size = differs(&raw.size, &[size]);
    if let Some(given) = other_size {
        let problem = format!(
            "a label with `reuse: true` decodes the {size} bytes of the label before it, not {given}"
        );
        faults.error(&format!("{}.size", raw.path), problem, "remove `size`, or remove `reuse`");
    }
    let other_padding = differs(&raw.padding, &[0, padding]);
    if other_padding.is_some() {
        let problem = "a label with `reuse: true` takes no bytes, so none can follow them";
        let remedy = "write `padding` at the label whose bytes it decodes";
        faults.error(&format!("{}.padding", raw.path), problem, remedy);
    }
    let faulty = |field: &Field<i128>| matches!(field, Field::Faulty);
    other_size.is_none() && other_padding.is_none() && !faulty(&raw.size) && !faulty(&raw.padding)
}

/// A label's size in bytes, if a label can have it.
fn sized(size: i128) -> Option<usize> {
    in_range(size, ranges::LABEL_SIZE)
}

/// A label's padding in bytes, if a label can have it.
fn padded(padding: i128) -> Option<usize> {
    in_range(padding, ranges::PADDING)
}

fn in_range(bytes: i128, (least, most): Count) -> Option<usize> {
    let allowed = i128::from(least)..=i128::from(most);
    usize::try_from(bytes).ok().filter(|_| allowed.contains(&bytes))
}

/// Tells of a name that the exposition needs for itself.
fn named(name: &LabelName, at: &str, of: Of, faults: &Faults<'_>) {
    if of == Of::Histogram && name.as_str() == "le" {
        faults.error(
            &format!("{at}.name"),
            "`le` is what a histogram's bucket bounds are called",
            "choose another name",
        );
    }
}

/// A label: none unless its name and bytes are known.
fn label(
    raw: raw::Label,
    known: Option<(LabelName, Bytes)>,
    plugins: &Names,
    faults: &Faults<'_>,
) -> Option<Label> {
    let path = raw.path;
    let raw = raw.decoders.given().unwrap_or_default();
    let mut steps = Vec::with_capacity(raw.len());
    let mut flow = Flow::start();
    for (index, raw) in raw.into_iter().enumerate() {
        if matches!(&raw.name, Field::Given(name) if name == WASM) {
            misplaced(WASM, &raw, faults);
            let on_error = on_error(raw.on_error, &raw.path, faults);
            let step = plugins.step(raw.plugin, &raw.path, on_error, faults);
            steps.extend(step.map(DecoderStep::Plugin));
            flow.pass_unknown();
            continue;
        }
        let Some(builtin) = builtin(&raw, plugins, faults) else {
            flow.pass_unknown();
            continue;
        };
        flow.pass(builtin, &raw.path, faults);
        misplaced(builtin.name, &raw, faults);
        if let (0, Some((_, bytes))) = (index, &known) {
            fits(builtin, *bytes, &path, faults);
        }
        steps.extend(step(builtin, raw, faults));
    }
    let (name, Bytes { size, padding, reused: reuse }) = known?;
    let padding = if reuse { 0 } else { padding };
    Some(Label { name, size, padding, reuse, steps })
}

fn name(
    raw: &Field<String>,
    new: fn(&str) -> Result<LabelName, NameError>,
    path: &str,
    faults: &Faults<'_>,
) -> Option<LabelName> {
    if raw.is_absent() {
        faults.error(path, "the label has no name", "add `name:` with what to call it");
    }
    let Field::Given(text) = raw else { return None };
    let refused = |error: NameError| {
        let name = quote(text);
        let advice = error.advice().about(format_args!("{name} cannot be a label's name"));
        faults.refuse(&format!("{path}.name"), advice);
    };
    new(text).map_err(refused).ok()
}

fn size(raw: &Field<i128>, path: &str, faults: &Faults<'_>) -> Option<usize> {
    let remedy = "how many bytes this label takes";
    if raw.is_absent() {
        faults.error(path, "the label has no size", format!("add `size:` with {remedy}"));
    }
    let Field::Given(given) = raw else { return None };
    let size = sized(*given);
    if size.is_none() {
        let problem = format!("no label has {given} bytes");
        faults.error(&format!("{path}.size"), problem, format!("write {remedy}"));
    }
    size
}

fn padding(raw: &Field<i128>, path: &str, faults: &Faults<'_>) -> Option<usize> {
    let given = match raw {
        Field::Absent => 0,
        Field::Faulty => return None,
        Field::Given(padding) => *padding,
    };
    let padding = padded(given);
    if padding.is_none() {
        faults.error(
            &format!("{path}.padding"),
            format!("no label has {given} bytes of padding"),
            "write how many bytes to pass over behind this label",
        );
    }
    padding
}

/// The built-in decoder that is named.
fn builtin(raw: &raw::Decoder, plugins: &Names, faults: &Faults<'_>) -> Option<&'static Builtin> {
    let known: Vec<_> = builtin::ALL.iter().map(|builtin| builtin.name).chain([WASM]).collect();
    match &raw.name {
        Field::Given(name) => {
            let builtin = builtin::find(name);
            if builtin.is_none() {
                if faults.shows_errors() {
                    let problem = format!("no decoder is called {}", quote(name));
                    let remedy = unknown(name, &known, plugins);
                    faults.error(&format!("{}.name", raw.path), problem, remedy);
                }
            } else if !raw.plugin.is_absent() {
                let problem = format!("`{name}` is built in and takes no plugin");
                let remedy = "write `name: wasm` for the plugin, or remove `plugin`";
                faults.error(&format!("{}.plugin", raw.path), problem, remedy);
            }
            builtin
        }
        Field::Absent if !raw.plugin.is_absent() => {
            faults.error(&raw.path, "the decoder has a plugin and no name", "add `name: wasm`");
            None
        }
        Field::Absent => {
            let remedy = format!("add `name:`, one of {}", known.join(", "));
            faults.error(&raw.path, "the decoder has no name", remedy);
            None
        }
        Field::Faulty => None,
    }
}

/// What to do about a decoder that is not built in. Who gives it another name than those probably
/// has one of their own, of which a fork of the peer was made: here it is a plugin.
fn unknown(name: &str, known: &[&str], plugins: &Names) -> String {
    // More letters than that are no slip, but a word: `pod_cgroup`.
    const SLIP: usize = 2;
    let length = |text: &str| text.chars().count();
    match near::nearest(name, known.iter().copied().chain(plugins.known())) {
        Some(near) if known.contains(&near) && length(name) > length(near) + SLIP => format!(
            "did you mean `{near}`? a decoder of your own is a plugin: add its `file` to `plugins`, and \
             write `{{name: wasm, plugin: NAME}}` here"
        ),
        Some(near) if known.contains(&near) => format!("did you mean `{near}`?"),
        Some(plugin) => format!("did you mean the plugin, `{{name: wasm, plugin: {plugin}}}`?"),
        None => format!(
            "a decoder of your own is a plugin: add its `file` to `plugins`, and write \
             `{{name: wasm, plugin: NAME}}` here; built in are {}",
            known.join(", ")
        ),
    }
}

/// Warns of settings that belong to other decoders than `name`.
fn misplaced(name: &str, raw: &raw::Decoder, faults: &Faults<'_>) {
    for (key, owner, given) in [
        ("static_map", "static_map", !raw.static_map.is_empty()),
        ("allow_unknown", "static_map", !raw.allow_unknown.is_absent()),
        ("regexps", "regexp", !raw.regexps.is_empty()),
    ] {
        if given && name != owner {
            faults.warning(
                &format!("{}.{key}", raw.path),
                format!("`{name}` does nothing with `{key}`, which is for `{owner}`"),
                format!("remove it, or write `name: {owner}`"),
            );
        }
    }
}

/// Tells if the first decoder of a label cannot take so many bytes.
fn fits(builtin: &Builtin, bytes: Bytes, path: &str, faults: &Faults<'_>) {
    let Bytes { size, reused, .. } = bytes;
    let (fits, takes) = match builtin.sizes {
        Sizes::Any => return,
        Sizes::OneOf(sizes) => (sizes.contains(&size), either(sizes)),
        Sizes::AtLeast(least) => (size >= least, format!("{least} or more")),
        Sizes::MultipleOf(unit) => (size.is_multiple_of(unit), format!("a multiple of {unit}")),
    };
    if !fits {
        let key = if reused { "reuse" } else { "size" };
        faults.error(
            &format!("{path}.{key}"),
            format!("`{}` takes {takes} bytes, not {size}", builtin.name),
            "correct the size, or put a decoder first that takes it",
        );
    }
}

fn either(sizes: &[usize]) -> String {
    let texts: Vec<_> = sizes.iter().map(usize::to_string).collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => texts.concat(),
    }
}

fn step(builtin: &'static Builtin, raw: raw::Decoder, faults: &Faults<'_>) -> Option<DecoderStep> {
    let path = raw.path;
    let on_error = on_error(raw.on_error, &path, faults);
    if raw.faulty {
        return None;
    }
    let settings = DecoderSettings {
        static_map: raw.static_map,
        regexps: raw.regexps,
        allow_unknown: raw.allow_unknown.given().unwrap_or_default(),
        room: faults.bounds.patterns.clone(),
    };
    match builtin.with(&settings) {
        Ok(spec) => Some(DecoderStep::Builtin(spec, on_error?)),
        Err(errors) => {
            for error in errors {
                faults.refuse(&format!("{path}.{}", error.path), error.advice);
            }
            None
        }
    }
}

fn on_error(raw: Field<raw::OnError>, path: &str, faults: &Faults<'_>) -> Option<OnError> {
    match raw {
        Field::Absent => Some(OnError::default()),
        Field::Faulty => None,
        Field::Given(raw::OnError::Label(text)) => Some(OnError::Label(text)),
        Field::Given(raw::OnError::Word(word)) => match word.as_str() {
            "drop" => Some(OnError::Drop),
            "raw" => Some(OnError::Raw),
            _ => {
                let problem = format!("{} is nothing to do on an error", quote(&word));
                faults.error(&format!("{path}.on_error"), problem, ON_ERROR);
                None
            }
        },
    }
}
