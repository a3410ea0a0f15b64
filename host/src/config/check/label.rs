//! Labels: names, sizes and chains of decoders.

use std::collections::HashMap;

use super::chain::Flow;
use super::one_of;
use super::plugin::Names;
use crate::config::error::quote;
use crate::config::faults::Faults;
use crate::config::name::{APART, LabelName, NameError, labels_that_meet};
use crate::config::plan::{DecoderStep, Label, Part, PluginStep};
use crate::config::raw::{self, Field, ON_ERROR};
use crate::decode::builtin::{self, Builtin, Settings, SettingsError, Sizes};
use crate::decode::{Chain, OnError, Step};
use crate::system::System;

/// What the kernel can allocate in one piece, in bytes: no key of a map is larger.
const LARGEST: i128 = 4 << 20;
/// What a step that is a plugin calls its decoder.
const WASM: &str = "wasm";

/// The labels of a metric, and the steps of their chains that are plugins. `has_bucket` says that one of them is a bucket and no label; `tools`
/// are what decoders are made of.
pub(super) fn all(
    raw: Field<Vec<raw::Label>>,
    path: &str,
    has_bucket: bool,
    tools: (&System, &Names),
    faults: &Faults<'_>,
) -> (Vec<Label>, Vec<DecoderStep>) {
    let raw = raw.given().unwrap_or_default();
    let bucket = if has_bucket { super::histogram::bucket(&raw) } else { None };
    let (mut first, mut exposed) = (HashMap::new(), Vec::new());
    let mut labels = Vec::with_capacity(raw.len());
    let mut steps = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = raw.path.clone();
        let Some((label, plugins)) = label(raw, tools, faults) else { continue };
        if Some(index) != bucket {
            named(&label.name, &at, has_bucket, faults);
            exposed.push((label.name.clone(), at.clone()));
            let earlier = *first.entry(label.name.clone()).or_insert(index);
            if earlier != index {
                faults.error(
                    &format!("{at}.name"),
                    format!(
                        "`{}` is the name of {path}.labels[{earlier}] too",
                        label.name.as_str()
                    ),
                    "give each label of a metric its own name",
                );
            }
        }
        let step = |(at, step)| DecoderStep { label: labels.len(), at, step };
        steps.extend(plugins.into_iter().map(step));
        labels.push(label);
    }
    if let Some(meeting) = labels_that_meet(exposed.iter().map(|(name, _)| name)) {
        let at = exposed.iter().find(|(name, _)| name == meeting.second);
        let at = at.map_or(path, |(_, at)| at);
        faults.error(&format!("{at}.name"), meeting.to_string(), APART);
    }
    (labels, steps)
}

/// What the labels take of the key, if all of it could be read.
pub(super) fn parts(raw: &Field<Vec<raw::Label>>) -> Option<Vec<Part>> {
    match raw {
        Field::Absent => Some(Vec::new()),
        Field::Faulty => None,
        Field::Given(labels) => labels.iter().map(part).collect(),
    }
}

fn part(raw: &raw::Label) -> Option<Part> {
    let (Field::Given(name), Field::Given(size)) = (&raw.name, &raw.size) else { return None };
    let padding = match &raw.padding {
        Field::Absent => 0,
        Field::Faulty => return None,
        Field::Given(padding) => *padding,
    };
    Some(Part { named_cpu: name == "cpu", size: sized(*size)?, padding: padded(padding)? })
}

/// A label's size in bytes, if a label can have it.
fn sized(size: i128) -> Option<usize> {
    usize::try_from(size).ok().filter(|_| (1..=LARGEST).contains(&size))
}

/// A label's padding in bytes, if a label can have it.
fn padded(padding: i128) -> Option<usize> {
    usize::try_from(padding).ok().filter(|_| (0..=LARGEST).contains(&padding))
}

/// Tells of a name that the exposition needs for itself.
fn named(name: &LabelName, at: &str, has_bucket: bool, faults: &Faults<'_>) {
    if has_bucket && name.as_str() == "le" {
        faults.error(
            &format!("{at}.name"),
            "`le` is what a histogram's bucket bounds are called",
            "choose another name",
        );
    }
}

/// A step and its place in the whole chain.
type Placed = (usize, PluginStep<OnError>);

/// A label, and the steps of its chain that are plugins, each with its place.
fn label(
    raw: raw::Label,
    (system, plugins): (&System, &Names),
    faults: &Faults<'_>,
) -> Option<(Label, Vec<Placed>)> {
    let path = raw.path;
    let name = name(raw.name, &path, faults);
    let size = size(raw.size, &path, faults);
    let padding = padding(raw.padding, &path, faults);
    let raw = raw.decoders.given().unwrap_or_default();
    let mut steps = Vec::with_capacity(raw.len());
    let mut plugin_steps = Vec::new();
    let mut flow = Flow::start();
    for (index, raw) in raw.into_iter().enumerate() {
        if matches!(&raw.name, Field::Given(name) if name == WASM) {
            misplaced(WASM, &raw, faults);
            let on_error = on_error(raw.on_error, &raw.path, faults);
            let step = plugins.step(raw.plugin, &raw.path, on_error, faults);
            let at = steps.len() + plugin_steps.len();
            plugin_steps.extend(step.map(|step| (at, step)));
            flow.pass_unknown();
            continue;
        }
        let Some(builtin) = builtin(&raw, faults) else {
            flow.pass_unknown();
            continue;
        };
        flow.pass(builtin, &raw.path, faults);
        misplaced(builtin.name, &raw, faults);
        if let (0, Some(size)) = (index, size) {
            fits(builtin, size, &path, faults);
        }
        steps.extend(step(builtin, raw, system, faults));
    }
    let (name, size, padding) = (name?, size?, padding?);
    Some((Label { name, size, padding, chain: Chain::new(steps) }, plugin_steps))
}

fn name(raw: Field<String>, path: &str, faults: &Faults<'_>) -> Option<LabelName> {
    if raw.is_absent() {
        faults.error(path, "the label has no name", "add `name:` with what to call it");
    }
    let text = raw.given()?;
    let refused = |error: NameError| {
        let problem = format!("{} cannot be a label's name: {error}", quote(&text));
        faults.error(&format!("{path}.name"), problem, error.remedy());
    };
    LabelName::new(&text).map_err(refused).ok()
}

fn size(raw: Field<i128>, path: &str, faults: &Faults<'_>) -> Option<usize> {
    let remedy = "how many bytes of the map's key this label takes";
    if raw.is_absent() {
        faults.error(path, "the label has no size", format!("add `size:` with {remedy}"));
    }
    let given = raw.given()?;
    let size = sized(given);
    if size.is_none() {
        let problem = format!("no label of a key has {given} bytes");
        faults.error(&format!("{path}.size"), problem, format!("write {remedy}"));
    }
    size
}

fn padding(raw: Field<i128>, path: &str, faults: &Faults<'_>) -> Option<usize> {
    let given = match raw {
        Field::Absent => 0,
        Field::Faulty => return None,
        Field::Given(padding) => padding,
    };
    let padding = padded(given);
    if padding.is_none() {
        faults.error(
            &format!("{path}.padding"),
            format!("no key has {given} bytes of padding"),
            "write how many bytes of the map's key to pass over behind this label",
        );
    }
    padding
}

/// The built-in decoder that is named.
fn builtin(raw: &raw::Decoder, faults: &Faults<'_>) -> Option<&'static Builtin> {
    let known: Vec<_> = builtin::ALL.iter().map(|builtin| builtin.name).chain([WASM]).collect();
    match &raw.name {
        Field::Given(name) => {
            let builtin = builtin::find(name);
            if builtin.is_none() {
                let problem = format!("no decoder is called {}", quote(name));
                faults.error(&format!("{}.name", raw.path), problem, one_of(name, &known));
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
fn fits(builtin: &Builtin, size: usize, path: &str, faults: &Faults<'_>) {
    let (fits, takes) = match builtin.sizes {
        Sizes::Any => return,
        Sizes::OneOf(sizes) => (sizes.contains(&size), either(sizes)),
        Sizes::AtLeast(least) => (size >= least, format!("{least} or more")),
        Sizes::MultipleOf(unit) => (size.is_multiple_of(unit), format!("a multiple of {unit}")),
    };
    if !fits {
        faults.error(
            &format!("{path}.size"),
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

fn step(
    builtin: &Builtin,
    raw: raw::Decoder,
    system: &System,
    faults: &Faults<'_>,
) -> Option<Step> {
    let path = raw.path;
    let on_error = on_error(raw.on_error, &path, faults);
    if raw.faulty {
        return None;
    }
    let settings = Settings {
        static_map: raw.static_map,
        regexps: raw.regexps,
        allow_unknown: raw.allow_unknown.given().unwrap_or_default(),
    };
    match (builtin.build)(&settings, system) {
        Ok(decoder) => Some(Step { name: builtin.name, decoder, on_error: on_error? }),
        Err(error) => {
            for error in all_errors(builtin, &settings, system, error) {
                faults.error(&format!("{path}.{}", error.path), error.problem, error.remedy);
            }
            None
        }
    }
}

/// Decoders stop at their first fault. That of one pattern may hide those of others, so each is
/// tried alone.
fn all_errors(
    builtin: &Builtin,
    settings: &Settings,
    system: &System,
    first: SettingsError,
) -> Vec<SettingsError> {
    if !first.path.starts_with("regexps[") {
        return vec![first];
    }
    let alone = |(index, pattern): (usize, &String)| {
        let settings = Settings { regexps: vec![pattern.clone()], ..settings.clone() };
        let error = (builtin.build)(&settings, system).err()?;
        let path = error.path.replace("regexps[0]", &format!("regexps[{index}]"));
        Some(SettingsError { path, ..error })
    };
    settings.regexps.iter().enumerate().filter_map(alone).collect()
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
