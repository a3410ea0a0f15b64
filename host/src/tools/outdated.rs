//! `plugin outdated`: what newer plugins there are than those that configs name by `oci:`.
//!
//! Nothing is fetched, and no config is rewritten: `plugin update` does that.

use std::fmt::Write as _;

use semver::Version;

use super::ToolError;
use super::fetch::{named, selected};
use super::remote::Way;
use crate::advice::Advise as _;
use crate::cli::Outdated;
use crate::reference::{ArtifactReference, PinnedReference, Tag};
use crate::registry::{Purpose, RegistryError, Session};

/// `plugin outdated`.
pub(super) fn outdated(order: &Outdated) -> Result<String, ToolError> {
    let configs = selected(order.dir.as_deref(), &order.names)?;
    let way = Way::of(&order.registry)?;
    let (mut report, mut faults, mut asked) = (String::new(), Vec::new(), Vec::new());
    for (config, plan, reference) in named(&configs) {
        if asked.contains(&reference) {
            continue;
        }
        asked.push(reference);
        let repository = reference.reference().repository.clone();
        let look = async |session: &mut Session| newer(session, reference).await;
        // Writing to a string does not fail.
        let _ = match way.with(repository, Purpose::Pull, look) {
            Ok(found) if found.is_empty() => writeln!(report, "{reference} is the newest"),
            Ok(found) => {
                found.iter().try_for_each(|newer| writeln!(report, "{reference} → {newer}"))
            }
            Err(error) => {
                let path = format!("{}.{}", plan.path, plan.origin.key());
                faults.push(config.refuse(&path, error.advice()));
                Ok(())
            }
        };
    }
    if asked.is_empty() {
        report.push_str("no config names a plugin of a registry\n");
    }
    if faults.is_empty() { Ok(report) } else { Err(ToolError::Unfetched { report, faults }) }
}

/// What its tag leads to now, if that is another one, and what the newest version is, if it is newer.
async fn newer(
    session: &mut Session,
    reference: &PinnedReference,
) -> Result<Vec<ArtifactReference>, RegistryError> {
    let ArtifactReference { repository, tag, .. } = reference.reference().clone();
    let tags = session.tags().await?;
    let own = tag.filter(|tag| tags.contains(tag));
    let newest = newest(&tags, own.as_ref(), &|_| true);
    let mut found = Vec::new();
    for tag in own.into_iter().chain(newest) {
        let named =
            ArtifactReference { repository: repository.clone(), tag: Some(tag), digest: None };
        let digest = session.find(&named).await?.digest;
        if digest != reference.digest() {
            found.push(named.pinned(digest));
        }
    }
    Ok(found)
}

/// The newest version of those that it `may` be, if it is newer than this one or this one is none. What comes
/// before a version is left out, unless this one is such.
pub(super) fn newest(
    tags: &[Tag],
    own: Option<&Tag>,
    may: &dyn Fn(&Version) -> bool,
) -> Option<Tag> {
    let own = own.and_then(Tag::version);
    let before = own.as_ref().is_some_and(|version| !version.pre.is_empty());
    let versions = tags.iter().filter_map(|tag| Some((tag.version()?, tag)));
    let versions = versions.filter(|(version, _)| before || version.pre.is_empty());
    let newest = versions.filter(|(version, _)| may(version)).max();
    let (version, tag) = newest?;
    own.is_none_or(|own| version > own).then(|| tag.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_found() {
        let tag = |text: &str| Tag::parse(text).unwrap();
        let tags = ["1.9.0", "1.10.0", "2.0.0-rc.1", "1", "edge"].map(tag);
        let found = |own: Option<&str>| {
            newest(&tags, own.map(tag).as_ref(), &|_| true).map(|tag| tag.to_string())
        };
        for (own, expected) in [
            (Some("1.9.0"), Some("1.10.0")),
            (Some("1.10.0"), None),
            (Some("2.0.0-rc.1"), None),
            (Some("1.10.0-rc.1"), Some("2.0.0-rc.1")),
            (Some("edge"), Some("1.10.0")),
            (None, Some("1.10.0")),
        ] {
            assert_eq!(found(own).as_deref(), expected, "{own:?}");
        }
        assert_eq!(newest(&[tag("edge")], None, &|_| true), None);
        let of_1 = newest(&tags, Some(&tag("1.0.0")), &|version| version.minor < 10);
        assert_eq!(of_1, Some(tag("1.9.0")));
    }
}
