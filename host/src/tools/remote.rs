//! `plugin push`, `pull` and `list`, and `plugin inspect oci:…`: the verbs that ask a registry.
//!
//! Each asks within one time, and ends. Nothing of a component is compiled or run. What is no plugin is neither pushed
//! nor put where a pull was to put it.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::ToolError;
use super::plugin::{self, CompileLimits, Compiler};
use crate::advice::{Advice, cut, plain};
use crate::cli::{Push, RegistryFlags};
use crate::config;
use crate::manifest::{Annotations, FoundArtifact};
use crate::reference::{ArtifactReference, Repository, SCHEME, Tag};
use crate::registry::{
    self, Artifact, Description, Keychain, OURS, Partial, Purpose, PushRules, Pushed, Reach,
    RegistryError, Session,
};
use crate::signature::{Policy, SignatureError, SignedAs, Signer};

/// Characters of an annotation that a message shows.
const LONGEST_ANNOTATION: usize = 200;
/// Characters of a plugin's version that a message shows.
const LONGEST_VERSION: usize = 64;

/// How registries are asked, as typed and as the environment has it.
pub(super) struct Way {
    reach: Reach,
    keychain: Keychain,
    timeout: Duration,
}

impl Way {
    pub(super) fn of(flags: &RegistryFlags) -> Result<Self, ToolError> {
        let time = time_of(flags)?;
        let RegistryFlags { plain_http, ca_file, .. } = flags.clone();
        let keychain = Keychain::of(&|name| env::var_os(name));
        let reach = Reach { plain_http, authorities: ca_file };
        Ok(Self { reach, keychain, timeout: time })
    }

    /// Does something in a repository.
    pub(super) fn with<T>(
        &self,
        repository: Repository,
        purpose: Purpose,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, RegistryError>,
    ) -> Result<T, ToolError> {
        let mut session = Session::new(repository, purpose, &self.reach, self.keychain.clone())?;
        Ok(registry::run(self.timeout, work(&mut session))?)
    }
}

/// What `--timeout` says.
pub(super) fn time_of(
    RegistryFlags { timeout, .. }: &RegistryFlags,
) -> Result<Duration, ToolError> {
    config::time(timeout).filter(|time| !time.is_zero()).ok_or_else(|| {
        usage(format!("--timeout={timeout} is no time to wait"), "write one such as 30s or 5m")
    })
}

/// What stands behind [`SCHEME`], if that is what an argument begins with. Anything else is a file.
pub(super) fn reference(argument: &Path) -> Option<&str> {
    argument.to_str()?.strip_prefix(SCHEME)
}

/// An artifact by its digest, and what is said of it there.
pub(super) struct Pinned {
    pub(super) reference: ArtifactReference,
    pub(super) annotations: Annotations,
    /// Who has signed it, if that was asked.
    pub(super) signer: Option<Signer>,
}

/// Who has signed an artifact, if there is a policy that may trust them.
pub(super) async fn signer(
    session: &mut Session,
    repository: &Repository,
    found: &FoundArtifact,
    policy: Option<&Policy>,
) -> Result<Option<Result<Signer, SignatureError>>, RegistryError> {
    let Some(policy) = policy else { return Ok(None) };
    let bundles = session.signatures(found.digest).await?;
    Ok(Some(policy.check(SignedAs::Repository(repository), &found.manifest, &bundles)))
}

/// What `plugin inspect oci:…` looks at: an artifact, and the bytes of its component.
pub(super) fn fetch(
    reference: &str,
    policy: Option<&Policy>,
    flags: &RegistryFlags,
) -> Result<(Pinned, Bytes), ToolError> {
    let reference: ArtifactReference = reference.parse()?;
    let repository = &reference.repository;
    let way = Way::of(flags)?;
    let (found, signer, bytes) = way.with(repository.clone(), Purpose::Pull, async |session| {
        let found = session.find(&reference).await?;
        let signer = signer(session, repository, &found, policy).await?;
        let bytes = match signer {
            Some(Err(_)) => Bytes::new(),
            _ => session.component(&found).await?,
        };
        Ok((found, signer, bytes))
    })?;
    let signer = signer.transpose()?;
    let FoundArtifact { digest, annotations, .. } = found;
    Ok((Pinned { reference: reference.pinned(digest), annotations, signer }, bytes))
}

/// What a plugin is pulled by: whom it has to be signed by, and what looks at it.
pub(super) struct Pulling<'a> {
    pub(super) policy: Option<&'a Policy>,
    pub(super) compiler: &'a Compiler,
}

impl Pulling<'_> {
    /// `plugin pull`.
    pub(super) fn pull(
        &self,
        reference: &str,
        output: Option<&Path>,
        flags: &RegistryFlags,
    ) -> Result<String, ToolError> {
        let reference: ArtifactReference = reference.parse()?;
        let name = format!("{}.wasm", reference.repository.name());
        let goal = match output {
            None => PathBuf::from(name),
            Some(dir) if dir.is_dir() => dir.join(name),
            Some(file) => file.to_owned(),
        };
        let repository = &reference.repository;
        let way = Way::of(flags)?;
        let (found, signer, pulled) =
            way.with(repository.clone(), Purpose::Pull, async |session| {
                let found = session.find(&reference).await?;
                let signer = signer(session, repository, &found, self.policy).await?;
                let pulled = match signer {
                    Some(Err(_)) => None,
                    _ => Some(session.beside(&found, &goal).await?),
                };
                Ok((found, signer, pulled))
            })?;
        let (signer, pinned) = (signer.transpose()?, reference.pinned(found.digest));
        pulled.map_or(Ok(()), |pulled| self.settle(pulled, &pinned))?;
        let mut out = format!("pulled {pinned} to {}\n", goal.display());
        out.extend(signer.map(|signer| format!("signed by {signer}{}\n", of_what(&signer))));
        Ok(out)
    }

    /// Puts what was pulled where it belongs, if it is a plugin.
    fn settle(&self, mut pulled: Partial, pinned: &ArtifactReference) -> Result<(), ToolError> {
        let bytes = pulled.bytes()?;
        match plugin::inspect_bytes(&bytes, self.compiler, CompileLimits::default()) {
            Ok(_) => Ok(pulled.finish()?),
            Err(error) => {
                pulled.remove();
                let reference = Box::new(pinned.clone());
                Err(ToolError::Foreign { reference, error: Box::new(error) })
            }
        }
    }
}

/// What is to be said of a signature that a plugin has in its registry alone.
fn of_what(signer: &Signer) -> &'static str {
    match signer {
        Signer::Nobody => "",
        _ => ", which `plugin fetch` keeps; the file alone has no signature",
    }
}

/// `plugin list`.
pub(super) fn list(repository: &str, flags: &RegistryFlags) -> Result<String, ToolError> {
    let (way, repository) = (Way::of(flags)?, repository.parse()?);
    let tags = way.with(repository, Purpose::Pull, async |session| session.tags().await)?;
    Ok(sorted(tags).iter().map(|tag| format!("{tag}\n")).collect())
}

/// Versions, the newest first, then all others by their letters.
fn sorted(mut tags: Vec<Tag>) -> Vec<Tag> {
    tags.sort_by_cached_key(|tag| (std::cmp::Reverse(tag.version()), tag.clone()));
    tags
}

/// `plugin push`.
pub(super) fn push(push: &Push, compiler: &Compiler) -> Result<String, ToolError> {
    let reference: ArtifactReference = push.reference.parse()?;
    let tag = tag_of(&reference)?;
    let rules = rules(tag, push.force, push.move_tags)?;
    let way = Way::of(&push.registry)?;
    let (artifact, said) = artifact(push, tag, compiler)?;
    let mut out = put(&reference, &artifact, rules, &way)?;
    if let Some(otherwise) = said.and_then(|said| said_otherwise(tag, "plugin", &said)) {
        let _ = writeln!(out, "{otherwise}: build it with its version");
    }
    Ok(out)
}

/// How something is pushed by this tag.
pub(super) fn rules(tag: &Tag, force: bool, moves_tags: bool) -> Result<PushRules, ToolError> {
    if moves_tags && tag.version().is_none_or(|version| !version.pre.is_empty()) {
        let problem = format!("--move-tags: `{tag}` is no version that others could lead to");
        return Err(usage(problem, "write a whole version such as 1.2.0, or leave the flag out"));
    }
    Ok(PushRules { force, moves_tags })
}

/// Puts an artifact into a registry, and says so.
pub(super) fn put(
    reference: &ArtifactReference,
    artifact: &Artifact,
    rules: PushRules,
    way: &Way,
) -> Result<String, ToolError> {
    let (tag, repository) = (tag_of(reference)?, reference.repository.clone());
    let put = async |session: &mut Session| session.push(artifact, tag, rules).await;
    let Pushed { was_there, moved } = way.with(repository, Purpose::Push, put)?;
    let pinned = reference.pinned(artifact.digest());
    let mut out = match was_there {
        true => format!("{pinned} was there already\n"),
        false => format!("pushed {pinned}\n"),
    };
    if !moved.is_empty() {
        let tags: Vec<_> = moved.iter().map(Tag::text).collect();
        let _ = writeln!(out, "moved {}", tags.join(", "));
    }
    Ok(out)
}

/// What is to be said of something whose tag is a version, and that says of itself that it is another one.
pub(super) fn said_otherwise(tag: &Tag, what: &str, said: &str) -> Option<String> {
    let version = tag.version()?.to_string();
    let shown = plain(said, LONGEST_VERSION);
    (version != said).then(|| format!("the tag is {tag}, but the {what} says that it is {shown}"))
}

/// The tag to push to. The digest follows from what is pushed.
pub(super) fn tag_of(reference: &ArtifactReference) -> Result<&Tag, ToolError> {
    match reference {
        ArtifactReference { tag: Some(tag), digest: None, .. } => Ok(tag),
        ArtifactReference { digest: Some(_), .. } => {
            let problem = format!("{reference} has a digest, which follows from what is pushed");
            Err(usage(problem, "leave it out"))
        }
        _ => {
            let problem = format!("{reference} has no tag to push to");
            Err(usage(problem, "write a version behind it, such as :1.2.0"))
        }
    }
}

pub(super) fn usage(problem: String, remedy: &str) -> ToolError {
    ToolError::Usage(Advice::new(problem, remedy))
}

/// The file as an artifact, once it was found to be a plugin, and the version that it says of itself.
fn artifact(
    push: &Push,
    tag: &Tag,
    compiler: &Compiler,
) -> Result<(Artifact, Option<String>), ToolError> {
    let bytes = Bytes::from(plugin::read_file(&push.file)?);
    let found = plugin::inspect_bytes(&bytes, compiler, CompileLimits::default())?;
    let title = push.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let version = tag.version().map(|_| tag.text().to_owned());
    let (created, annotations) = (created()?, typed(&push.annotations)?);
    let description = Description { title, version, created, annotations };
    let artifact = Artifact::new(bytes, &found, &description);
    Ok((artifact, found.metadata.version))
}

/// Annotations as typed.
pub(super) fn typed(texts: &[String]) -> Result<Annotations, ToolError> {
    let one = |text: &String| {
        let bad = |problem: &str, remedy: &str| {
            let about =
                format!("--annotation={}: {problem}", cut(text.clone(), LONGEST_ANNOTATION));
            usage(about, remedy)
        };
        match text.split_once('=') {
            None | Some(("", _)) => Err(bad("it has no key", "write KEY=VALUE")),
            Some((key, _)) if key.starts_with(OURS) => {
                Err(bad("the exporter sets it itself", "choose another key"))
            }
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        }
    };
    texts.iter().map(one).collect()
}

/// When what is pushed was made, as far as builds that can be repeated say: seconds after 1970.
pub(super) fn created() -> Result<u64, ToolError> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    /// The last second of the year 9999, which is the last that RFC 3339 has.
    const LAST: u64 = 253_402_300_799;
    let Some(value) = env::var_os(NAME).filter(|value| !value.is_empty()) else { return Ok(0) };
    let seconds = value.to_str().and_then(|text| text.parse().ok()).filter(|time| *time <= LAST);
    seconds.ok_or_else(|| {
        let problem = format!("{NAME}={} is no time", value.display());
        usage(problem, "write seconds after 1970, or unset it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advise as _;

    #[test]
    fn only_what_begins_so_is_no_file() {
        let found = |text: &'static str| reference(Path::new(text));
        assert_eq!(found("oci:a.b/c:1"), Some("a.b/c:1"));
        for file in ["./oci:a", "a.b/c:1", "zone.wasm", "OCI:a.b/c"] {
            assert_eq!(found(file), None, "{file}");
        }
    }

    #[test]
    fn the_newest_version_is_the_first() {
        let tags = ["latest", "1.2", "1.9.0", "1.10.0", "1.10.0-rc.1", "1", "edge"];
        let tags = sorted(tags.iter().filter_map(|tag| Tag::parse(tag)).collect());
        let tags: Vec<_> = tags.iter().map(Tag::text).collect();
        assert_eq!(tags, ["1.10.0", "1.10.0-rc.1", "1.9.0", "1", "1.2", "edge", "latest"]);
    }

    #[test]
    fn a_tag_of_another_version_is_remarked_on() {
        let said =
            |tag: &str, version| said_otherwise(&Tag::parse(tag).unwrap(), "plugin", version);
        insta::assert_snapshot!(said("1.2.0", "0.1.0\n").unwrap(), @r"the tag is 1.2.0, but the plugin says that it is 0.1.0\n");
        for (tag, version) in
            [("1.2.0", "1.2.0"), ("1.2.0_a", "1.2.0+a"), ("edge", "1.2.0"), ("1.2", "1.2.0")]
        {
            assert_eq!(said(tag, version), None, "{tag}");
        }
    }

    #[test]
    fn annotations_are_typed_as_pairs() {
        let said = |text: &str| typed(&[text.to_owned()]).unwrap_err().advice().to_string();
        insta::assert_snapshot!(said("x"), @"--annotation=x: it has no key; write KEY=VALUE");
        insta::assert_snapshot!(said("=x"), @"--annotation==x: it has no key; write KEY=VALUE");
        insta::assert_snapshot!(said("io.github.ebpf-wasm-exporter.world=x"), @"--annotation=io.github.ebpf-wasm-exporter.world=x: the exporter sets it itself; choose another key");
        assert_eq!(typed(&["a=b=c".to_owned()]).unwrap()["a"], "b=c");
    }
}
