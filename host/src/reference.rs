//! Names of artifacts in registries: `REGISTRY/REPOSITORY[:TAG][@sha256:HEX]`, with `oci:` in front where
//! a file may stand too.
//!
//! Neither configs nor registries are known here: both use these names.
//!
//! The grammar is that of the OCI distribution specification. No registry is assumed where none is
//! named, so that a name means the same on every host.

use std::fmt;
use std::str::FromStr;

use semver::Version;

use crate::advice::{Advise, quote};
use crate::digest::Digest;

/// What stands in front of a reference where a file may stand too.
pub const SCHEME: &str = "oci:";

/// Characters of a repository's path, and of a tag.
const LONGEST_PATH: usize = 255;
const LONGEST_TAG: usize = 128;

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    host: String,
    path: String,
}

/// An artifact of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactReference {
    /// Where it is.
    pub repository: Repository,
    /// What it is called there now.
    pub tag: Option<Tag>,
    /// Of its manifest: what it is, whatever it is called.
    pub digest: Option<Digest>,
}

/// An artifact that is always the same one: a reference with its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedReference {
    reference: ArtifactReference,
    digest: Digest,
}

/// The name of an artifact in its repository, which may be moved to another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

/// Why a text names nothing in a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} names nothing in a registry: {fault}", quote(text))]
pub struct ReferenceError {
    text: String,
    fault: ReferenceFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum ReferenceFault {
    #[error("it is an address of the web")]
    Web,
    #[error("it begins with no registry's host")]
    NoHost,
    #[error("it has no repository behind the registry")]
    NoPath,
    #[error("its repository has characters that none may have")]
    Path,
    #[error("its tag has characters that none may have")]
    Tag,
    #[error("its digest is not `sha256:` and 64 digits")]
    Digest,
    #[error("it has a tag or a digest where a repository is wanted")]
    NotAlone,
}

impl Advise for ReferenceError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self.fault {
            ReferenceFault::Web => {
                "leave out what stands before the host: `https://`, or the `//` of `oci://`"
            }
            ReferenceFault::NoHost | ReferenceFault::NoPath => {
                "write REGISTRY/REPOSITORY:TAG, such as ghcr.io/acme/plugins/zone:1.2.0"
            }
            ReferenceFault::Path => {
                "write words of lowercase letters and digits, with single `.`, `_` or `-` within and `/` between"
            }
            ReferenceFault::Tag => {
                "write up to 128 letters, digits, `_`, `.` and `-`; in a version, `_` for `+`"
            }
            ReferenceFault::Digest => "write @sha256: and 64 hexadecimal digits in lowercase",
            ReferenceFault::NotAlone => "leave it out: all tags of the repository are listed",
        };
        Some(remedy.to_owned())
    }
}

impl Repository {
    /// The registry: a host, with a port if it has one of its own.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository's name in its registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last word of its name: lowercase letters, digits, `.`, `_` and `-`, of which none is the first.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn parse(text: &str) -> Result<Self, ReferenceFault> {
        if text.starts_with("//") || text.contains("://") {
            return Err(ReferenceFault::Web);
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        if !is_host(host) {
            return Err(ReferenceFault::NoHost);
        }
        match path {
            "" => Err(ReferenceFault::NoPath),
            path if path.len() > LONGEST_PATH || !path.split('/').all(is_word) => {
                Err(ReferenceFault::Path)
            }
            path => Ok(Self { host: one_spelling(host), path: path.to_owned() }),
        }
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let reference: ArtifactReference = text.parse()?;
        match reference {
            ArtifactReference { repository, tag: None, digest: None } => Ok(repository),
            _ => Err(ReferenceError { text: text.to_owned(), fault: ReferenceFault::NotAlone }),
        }
    }
}

impl ArtifactReference {
    fn read(text: &str) -> Result<Self, ReferenceFault> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(Digest::parse_tagged(digest).ok_or(ReferenceFault::Digest)?))
            }
            None => (text, None),
        };
        // Behind the last `/`: before it there may be a port.
        let slash = rest.rfind('/').unwrap_or(0);
        let (rest, tag) = match rest[slash..].find(':').filter(|_| slash > 0) {
            Some(colon) => {
                let (rest, tag) = rest.split_at(slash + colon);
                (rest, Some(Tag::parse(&tag[1..]).ok_or(ReferenceFault::Tag)?))
            }
            None => (rest, None),
        };
        Ok(Self { repository: Repository::parse(rest)?, tag, digest })
    }

    /// The same artifact by its digest, whatever becomes of its tag.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }
}

impl PinnedReference {
    /// None without a digest.
    pub fn new(reference: ArtifactReference) -> Option<Self> {
        let digest = reference.digest?;
        Some(Self { reference, digest })
    }

    /// Of the manifest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The whole of it.
    pub fn reference(&self) -> &ArtifactReference {
        &self.reference
    }
}

impl FromStr for ArtifactReference {
    type Err = ReferenceError;

    /// As typed, with or without [`SCHEME`].
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let fault = |fault| ReferenceError { text: text.to_owned(), fault };
        let text = text.strip_prefix(SCHEME).unwrap_or(text);
        if text.starts_with("//") || text.contains("://") {
            return Err(fault(ReferenceFault::Web));
        }
        Self::read(text).map_err(fault)
    }
}

impl Tag {
    /// One of these characters.
    pub fn parse(text: &str) -> Option<Self> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let is_tag = text.len() <= LONGEST_TAG
            && text.bytes().all(inner)
            && !text.is_empty()
            && !text.starts_with(['.', '-']);
        is_tag.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The version that it is, if it is a whole one, such as `1.2.0` or `1.2.0-rc.1`. A tag cannot have a `+`,
    /// so `_` stands for it.
    pub fn version(&self) -> Option<Version> {
        Version::parse(&self.0.replacen('_', "+", 1)).ok()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for ArtifactReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{}", digest.tagged()))
    }
}

impl fmt::Display for PinnedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}

/// A host in the one way in which policies compare it, whichever way it was typed.
pub(crate) fn one_spelling(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    match host.strip_suffix(":443") {
        Some(name) if is_host(name) => name.to_owned(),
        _ => host,
    }
}

/// Whether a word can only be a host: it has a dot or a port, or is `localhost`.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.split('.').all(is_label),
    };
    let is_port = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    is_name && is_port && (port.is_some() || name.contains(['.', '[']) || name == "localhost")
}

/// A part of a host's name.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A part of a repository's path: letters and digits, with `.`, `_`, `__` or any number of `-` between.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_between = |gap: &str| {
        matches!(gap, "." | "_" | "__") || (!gap.is_empty() && gap.bytes().all(|byte| byte == b'-'))
    };
    let gaps = text.split(|char: char| u8::try_from(char).is_ok_and(is_plain));
    let ends = |at: Option<u8>| at.is_some_and(is_plain);
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && gaps.filter(|gap| !gap.is_empty()).all(is_between)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn parts_are_found() {
        let parts = |text: &str| {
            let ArtifactReference { repository, tag, digest } = text.parse().unwrap();
            let (host, path) = (repository.host().to_owned(), repository.path().to_owned());
            (host, path, tag.map(|tag| tag.to_string()), digest.is_some())
        };
        for (text, (host, path, tag, pinned)) in [
            ("ghcr.io/a/b", ("ghcr.io", "a/b", None, false)),
            ("ghcr.io/a/b:1.2.0", ("ghcr.io", "a/b", Some("1.2.0"), false)),
            ("localhost/a", ("localhost", "a", None, false)),
            ("localhost:5000/a:x", ("localhost:5000", "a", Some("x"), false)),
            ("host:5000/a", ("host:5000", "a", None, false)),
            ("GHCR.io:443/a/b", ("ghcr.io", "a/b", None, false)),
            ("host:443/a", ("host:443", "a", None, false)),
            ("[::1]:5000/a__b/c--d.e:T_", ("[::1]:5000", "a__b/c--d.e", Some("T_"), false)),
            ("oci:a.b/c:1", ("a.b", "c", Some("1"), false)),
            (&format!("a.b/c@sha256:{HEX}"), ("a.b", "c", None, true)),
            (&format!("a.b/c:1@sha256:{HEX}"), ("a.b", "c", Some("1"), true)),
        ] {
            let expected = (host.to_owned(), path.to_owned(), tag.map(str::to_owned), pinned);
            assert_eq!(parts(text), expected, "{text}");
            let reference: ArtifactReference = text.parse().unwrap();
            assert_eq!(format!("oci:{reference}").parse(), Ok(reference), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_told() {
        let said = |text: &str| text.parse::<ArtifactReference>().unwrap_err().advice().to_string();
        insta::assert_snapshot!(said("zone:1.2"), @"`zone:1.2` names nothing in a registry: it begins with no registry's host; write REGISTRY/REPOSITORY:TAG, such as ghcr.io/acme/plugins/zone:1.2.0");
        insta::assert_snapshot!(said("acme/zone"), @"`acme/zone` names nothing in a registry: it begins with no registry's host; write REGISTRY/REPOSITORY:TAG, such as ghcr.io/acme/plugins/zone:1.2.0");
        insta::assert_snapshot!(said("https://ghcr.io/a"), @"`https://ghcr.io/a` names nothing in a registry: it is an address of the web; leave out what stands before the host: `https://`, or the `//` of `oci://`");
        insta::assert_snapshot!(said("ghcr.io/Acme"), @"`ghcr.io/Acme` names nothing in a registry: its repository has characters that none may have; write words of lowercase letters and digits, with single `.`, `_` or `-` within and `/` between");
        insta::assert_snapshot!(said("ghcr.io/a:1.0+x"), @"`ghcr.io/a:1.0+x` names nothing in a registry: its tag has characters that none may have; write up to 128 letters, digits, `_`, `.` and `-`; in a version, `_` for `+`");
        insta::assert_snapshot!(said("ghcr.io/a@sha512:00"), @"`ghcr.io/a@sha512:00` names nothing in a registry: its digest is not `sha256:` and 64 digits; write @sha256: and 64 hexadecimal digits in lowercase");
        let said = "ghcr.io/a:1".parse::<Repository>().unwrap_err().advice().to_string();
        insta::assert_snapshot!(said, @"`ghcr.io/a:1` names nothing in a registry: it has a tag or a digest where a repository is wanted; leave it out: all tags of the repository are listed");
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for text in [
            "",
            "/",
            "a.b",
            "a.b/",
            "a.b//c",
            "a.b/c/",
            "a.b/../c",
            "a.b/.c",
            "a.b/c_",
            "a.b/c..d",
            "a.b/c___d",
            "a.b/ü",
            "a.b/c:",
            "a.b/c:.x",
            "a.b/c d",
            "a.b/c?x",
            "a.b/c#x",
            "a.b/%2e",
            "u@a.b/c",
            "a.b:/c",
            "a.b:x/c",
            "a.b:99999/c",
            "[::x]:1/c",
            "-a.b/c",
            "a..b/c",
            "a.b/c@",
            "a.b/c:1:2",
            "a.b\\c/d",
            "oci:oci:a.b/c",
            "oci://a.b/c",
        ] {
            assert!(text.parse::<ArtifactReference>().is_err(), "{text:?}");
        }
        let long = "x".repeat(256);
        assert!(format!("a.b/{long}").parse::<ArtifactReference>().is_err());
        assert!(format!("a.b/c:{}", &long[..129]).parse::<ArtifactReference>().is_err());
        assert!(
            format!("a.b/c@sha256:{}", HEX.to_uppercase()).parse::<ArtifactReference>().is_err()
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_is_written_as_it_was_read(text in "\\PC{0,40}|[a-z0-9.:/@_-]{0,40}") {
            if let Ok(reference) = text.parse::<ArtifactReference>() {
                assert_eq!(reference.to_string().parse(), Ok(reference));
            }
        }
    }

    #[test]
    fn only_whole_versions_are_versions() {
        let is_version = |text: &str| Tag::parse(text).unwrap().version().is_some();
        for (text, expected) in [
            ("1.2.0", true),
            ("1.2.0-rc.1", true),
            ("1.2.0_x", true),
            ("1.2", false),
            ("v1.2.0", false),
            ("latest", false),
        ] {
            assert_eq!(is_version(text), expected, "{text}");
        }
    }
}
