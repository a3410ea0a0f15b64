//! `plugin update`: newer plugins in the place of those that configs name by `oci:`.
//!
//! Only references are written anew: comments, order and anchors of a file stay. What a file would become is read as a
//! config first, and where anything but these references would be another, the file is left alone. One that cannot be
//! written keeps no other from it.

use std::fmt::Write as _;
use std::fs;
use std::io;

use semver::Version;

use super::ToolError;
use super::fetch::{named, selected};
use super::outdated::newest;
use super::remote::Way;
use crate::advice::{self, Advice, Advise as _};
use crate::cli::Update;
use crate::config::{self, Config, ConfigFile, Fault, PluginOrigin, PluginPlan};
use crate::files;
use crate::reference::{ArtifactReference, PinnedReference, Tag};
use crate::registry::{Purpose, RegistryError, Session};
use crate::scrape;

/// What there is beside what a config names.
struct Found {
    named: PinnedReference,
    /// What is to take its place.
    newer: Option<PinnedReference>,
    /// What is not to, and why.
    left: Option<String>,
}

/// `plugin update`.
pub(super) fn update(order: &Update) -> Result<String, ToolError> {
    let configs = selected(order.dir.as_deref(), &order.names)?;
    let (found, mut faults) = look(&configs, order)?;
    let mut report = String::new();
    // Writing to a string does not fail.
    for Found { named, newer, left } in &found {
        let _ = match (newer, left) {
            (Some(newer), _) => writeln!(report, "{named} → {newer}"),
            (None, Some(left)) => writeln!(report, "{named} stays: {left}"),
            (None, None) => writeln!(report, "{named} is the newest"),
        };
    }
    for config in &configs {
        match rewritten(config, &found) {
            Ok(Some(_)) if order.dry_run => {}
            Ok(Some(text)) => match write(config, &text) {
                Ok(()) => {
                    let _ = writeln!(report, "wrote {}", config.file.path.display());
                }
                Err(advice) => faults.push(config.refuse("", advice)),
            },
            Ok(None) => {}
            Err((path, advice)) => faults.push(config.refuse(&path, advice)),
        }
    }
    if found.is_empty() && faults.is_empty() {
        report.push_str("no config names a plugin of a registry\n");
    }
    if faults.is_empty() { Ok(report) } else { Err(ToolError::Unfetched { report, faults }) }
}

/// Asks for each reference of these configs once.
fn look(configs: &[Config], order: &Update) -> Result<(Vec<Found>, Vec<Fault>), ToolError> {
    let way = Way::of(&order.registry)?;
    let (mut found, mut faults, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for (config, plan, reference) in named(configs) {
        if asked.contains(&reference) {
            continue;
        }
        asked.push(reference);
        let repository = reference.reference().repository.clone();
        let look = async |session: &mut Session| newer(session, reference, order.latest).await;
        match way.with(repository, Purpose::Pull, look) {
            Ok(beside) => found.push(beside),
            Err(error) => faults.push(config.refuse(&key(plan), error.advice())),
        }
    }
    Ok((found, faults))
}

/// What takes the place of a reference: of a whole version the newest one that goes with it, or the `latest`; of
/// any other tag what it leads to now.
async fn newer(
    session: &mut Session,
    named: &PinnedReference,
    latest: bool,
) -> Result<Found, RegistryError> {
    let ArtifactReference { repository, tag, .. } = named.reference().clone();
    let tags = session.tags().await?;
    let any = newest(&tags, tag.as_ref(), &|_| true);
    let (wanted, why_not) = match (&tag, tag.as_ref().and_then(Tag::version)) {
        (Some(tag), None) if tags.contains(tag) => (Some(tag.clone()), ""),
        (None, None) => (any.clone(), ""),
        _ if latest => (any.clone(), ""),
        (Some(_), None) => (None, "there is no such tag any more"),
        (_, Some(own)) => {
            let compatible = |other: &Version| is_compatible(&own, other);
            (newest(&tags, tag.as_ref(), &compatible), "what is newer may need other settings")
        }
    };
    let found = |newer, left| Ok(Found { named: named.clone(), newer, left });
    let Some(wanted) = wanted else {
        let left = any.filter(|_| !latest);
        return found(None, left.map(|tag| format!("{why_not}; --latest takes {tag}")));
    };
    let wanted = ArtifactReference { repository, tag: Some(wanted), digest: None };
    let digest = session.find(&wanted).await?.digest;
    let newer = (digest != named.digest()).then(|| wanted.pinned(digest));
    found(newer.and_then(PinnedReference::new), None)
}

/// Whether a version promises what the other one does.
fn is_compatible(one: &Version, other: &Version) -> bool {
    one.major == other.major && (one.major > 0 || one.minor == other.minor)
}

fn key(plan: &PluginPlan) -> String {
    format!("{}.{}", plan.path, plan.origin.key())
}

/// What the file of a config becomes, if anything of it changes.
///
/// # Errors
///
/// When it would not become what it is to: where, and why.
fn rewritten(config: &Config, found: &[Found]) -> Result<Option<String>, (String, Advice)> {
    let (mut wanted, mut changed) = (config.clone(), None);
    // Everywhere, and where only the keys stand: a comment of settings may have it too, or an anchor stand elsewhere.
    let mut texts = [config.file.text.to_string(), config.file.text.to_string()];
    for plan in &mut wanted.plugins {
        let PluginOrigin::Registry(reference) = &plan.origin else { continue };
        let newer = found.iter().find(|found| found.named == *reference);
        let Some(newer) = newer.and_then(|found| found.newer.as_ref()) else { continue };
        if plan.sha256.is_some() {
            let problem = "`sha256` pins the file of the plugin that is named now";
            let remedy = format!("write {newer}, and the other plugin's `sha256` or none");
            return Err((format!("{}.sha256", plan.path), Advice::new(problem, remedy)));
        }
        let (old, new) = (reference.to_string(), newer.to_string());
        let line = config.line(&key(plan));
        let [everywhere, there] = &mut texts;
        *everywhere = in_place(everywhere, &old, &new);
        *there = in_line(there, line, &|line| in_place(line, &old, &new));
        changed.get_or_insert_with(|| key(plan));
        plan.origin = PluginOrigin::Registry(newer.clone());
    }
    let Some(changed) = changed else { return Ok(None) };
    for text in texts {
        wanted.file = ConfigFile { text: text.as_str().into(), ..config.file.clone() };
        let (configs, _) = config::load(vec![wanted.file.clone()], &scrape::own_series());
        if configs.as_slice() == [wanted.clone()] {
            return Ok(Some(text));
        }
    }
    let problem = "the reference cannot be changed here without changing anything else";
    let remedy = "write what stands behind the arrow by hand";
    Err((changed, Advice::new(problem, remedy)))
}

/// `text`, of which this line, counted from 1, has become something else.
fn in_line(text: &str, line: Option<usize>, change: &dyn Fn(&str) -> String) -> String {
    let lines = text.split_inclusive('\n').enumerate();
    let lines = lines.map(|(n, one)| match line {
        Some(line) if line == n + 1 => change(one),
        _ => one.to_owned(),
    });
    lines.collect()
}

/// `text` with `new` wherever `old` stands alone and in no comment.
fn in_place(text: &str, old: &str, new: &str) -> String {
    let belongs = |char: char| char.is_ascii_alphanumeric() || "./_-@".contains(char);
    let (mut out, mut from) = (String::new(), 0);
    for (at, _) in text.match_indices(old) {
        let end = at + old.len();
        let stands_alone = !text[..at].ends_with(belongs) && !text[end..].starts_with(belongs);
        let is_it = stands_alone && !is_comment(&text[..at]);
        out.push_str(&text[from..at]);
        out.push_str(if is_it { new } else { old });
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

/// Whether a comment has begun in the last line. One that a quoted text holds is taken for a comment too.
fn is_comment(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.starts_with('#') || line.contains(" #") || line.contains("\t#")
}

/// Writes a config's file, wherever it really lies, unless it is another one than was read.
fn write(config: &Config, text: &str) -> Result<(), Advice> {
    let failed = |error: io::Error| {
        let problem = format!("failed to write it: {}", advice::words(&error));
        Advice::new(problem, "see that you may write the file and into its directory")
    };
    let file = fs::canonicalize(&config.file.path).map_err(failed)?;
    if fs::read(&file).map_err(failed)? != config.file.text.as_bytes() {
        return Err(Advice::new("the file has changed meanwhile", "run this again"));
    }
    files::replace(&file, text.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_promises_the_same_is_taken() {
        let is = |one: &str, other: &str| {
            is_compatible(&Version::parse(one).unwrap(), &Version::parse(other).unwrap())
        };
        assert!(is("1.2.0", "1.10.3") && is("0.2.0", "0.2.9") && is("1.0.0-rc.1", "1.0.0"));
        assert!(!is("1.2.0", "2.0.0") && !is("0.2.0", "0.3.0"));
    }

    #[test]
    fn only_a_reference_that_stands_alone_is_another() {
        let text = "a: r.io/a:1@sha256:0 # r.io/a:1@sha256:0\nb: x.r.io/a:1@sha256:0\n# r.io/a:1@sha256:0\nc: r.io/a:1@sha256:00";
        let found = in_place(text, "r.io/a:1@sha256:0", "NEW");
        assert_eq!(
            found,
            "a: NEW # r.io/a:1@sha256:0\nb: x.r.io/a:1@sha256:0\n# r.io/a:1@sha256:0\nc: r.io/a:1@sha256:00"
        );
    }
}
