//! Artifacts into a registry, and the tags that lead to them.
//!
//! What is there already is not sent again. A version that is there is never another one afterwards, unless
//! somebody insists.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode, Uri};
use semver::Version;

use super::artifact::{Artifact, Blob};
use super::error::{RegistryError, Wanted};
use super::http::{Ask, answer, resolve};
use super::session::{Session, told_digest};
use crate::digest::Digest;
use crate::manifest::MANIFEST;
use crate::reference::{ArtifactReference, Tag};

/// How an artifact is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushRules {
    /// Whether a version may become another one.
    pub force: bool,
    /// Whether `1.2` and `1` lead to it too, where no newer version is.
    pub moves_tags: bool,
}

/// What came of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Whether it was there before, the same under the same tag.
    pub was_there: bool,
    /// The other tags that lead to it now.
    pub moved: Vec<Tag>,
}

impl Session {
    /// Puts an artifact into the repository, by this tag.
    ///
    /// # Errors
    ///
    /// When the registry does not take it, or has another version by this tag.
    pub async fn push(
        &mut self,
        artifact: &Artifact,
        tag: &Tag,
        rules: PushRules,
    ) -> Result<Pushed, RegistryError> {
        let there = self.manifest(tag.text()).await?.map(|(digest, _)| digest);
        let was_there = there == Some(artifact.digest());
        if let Some(found) = there.filter(|_| !was_there && !rules.force && tag.version().is_some())
        {
            let (repository, tag) = (self.repository.clone(), Some(tag.clone()));
            let name = ArtifactReference { repository, tag, digest: None }.to_string();
            return Err(RegistryError::Taken { name, found });
        }
        if !was_there {
            for blob in &artifact.blobs {
                self.upload(blob).await?;
            }
            self.tag(artifact, tag).await?;
        }
        let moved = match tag.version() {
            Some(version) if rules.moves_tags => moved_tags(&version, &self.tags().await?),
            _ => Vec::new(),
        };
        for tag in &moved {
            self.tag(artifact, tag).await?;
        }
        Ok(Pushed { was_there, moved })
    }

    async fn upload(&mut self, blob: &Blob) -> Result<(), RegistryError> {
        let digest = blob.digest.tagged();
        let ask = self.ask(Method::HEAD, &format!("blobs/{digest}"))?;
        let answered = self.send(&ask).await?;
        match answered.status {
            StatusCode::OK => return Ok(()),
            StatusCode::NOT_FOUND => {}
            _ => return Err(self.refusal(answered, Wanted::Blob(blob.digest)).await),
        }
        let ask = self.ask(Method::POST, "blobs/uploads/")?;
        let answered = self.send(&ask).await?;
        if answered.status != StatusCode::ACCEPTED {
            return Err(self.refusal(answered, Wanted::Upload).await);
        }
        let to = closing(&answered.location()?, &digest);
        let to = to.ok_or_else(|| answer(&answered.host, "it leads to no address".to_owned()))?;
        self.put(to, "application/octet-stream", &blob.bytes).await.map(drop)
    }

    async fn tag(&mut self, artifact: &Artifact, tag: &Tag) -> Result<(), RegistryError> {
        let ask = self.ask(Method::PUT, &format!("manifests/{tag}"))?;
        let told = self.put(ask.to, MANIFEST, &artifact.manifest.bytes).await?;
        match told {
            Some(found) if found != artifact.digest() => {
                let (host, kept) = (self.repository.host(), found.tagged());
                Err(answer(host, format!("it has kept another manifest than the one sent, {kept}")))
            }
            _ => Ok(()),
        }
    }

    /// Puts bytes at an address. Says what digest the registry says they have, if it does.
    async fn put(
        &mut self,
        to: Uri,
        kind: &'static str,
        bytes: &Bytes,
    ) -> Result<Option<Digest>, RegistryError> {
        let mut ask = Ask::new(Method::PUT, to);
        ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        ask.body = bytes.clone();
        let answered = self.send(&ask).await?;
        match answered.status {
            StatusCode::CREATED => Ok(told_digest(&answered.headers)),
            _ => Err(self.refusal(answered, Wanted::Upload).await),
        }
    }
}

/// The address that ends an upload.
fn closing(to: &Uri, digest: &str) -> Option<Uri> {
    let path = to.path_and_query()?.as_str();
    let joint = if path.contains('?') { '&' } else { '?' };
    resolve(to, &format!("{path}{joint}digest={digest}"))
}

/// The tags `1.2` and `1` of a version `1.2.3`, each unless a newer version is there that it is for.
fn moved_tags(version: &Version, there: &[Tag]) -> Vec<Tag> {
    let known: Vec<Version> = there.iter().filter_map(Tag::version).collect();
    let newest = |is_of: &dyn Fn(&Version) -> bool| {
        let rivals = known.iter().filter(|other| other.pre.is_empty() && is_of(other));
        version.pre.is_empty() && rivals.max().is_none_or(|other| other <= version)
    };
    let of_major = |other: &Version| other.major == version.major;
    let of_minor = |other: &Version| of_major(other) && other.minor == version.minor;
    let minor = newest(&of_minor).then(|| format!("{}.{}", version.major, version.minor));
    let major = newest(&of_major).then(|| version.major.to_string());
    minor.iter().chain(&major).filter_map(|text| Tag::parse(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_move_to_the_newest_version_only() {
        let moved = |version: &str, there: &[&str]| {
            let there: Vec<_> = there.iter().filter_map(|tag| Tag::parse(tag)).collect();
            let moved = moved_tags(&version.parse().unwrap(), &there);
            moved.iter().map(Tag::text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(moved("1.2.3", &[]), "1.2 1");
        assert_eq!(moved("1.2.3", &["1.2.3", "1.2.2", "1.1.9", "0.9.0", "latest"]), "1.2 1");
        assert_eq!(moved("1.2.3", &["1.2.10"]), "");
        assert_eq!(moved("1.2.3", &["1.3.0"]), "1.2");
        assert_eq!(moved("1.2.3", &["2.0.0", "1.3.0-rc.1"]), "1.2 1");
        assert_eq!(moved("1.2.3-rc.1", &[]), "");
    }

    #[test]
    fn an_upload_ends_at_its_address() {
        let to = |text: &str| closing(&text.parse().unwrap(), "sha256:00").unwrap().to_string();
        assert_eq!(to("https://a/v2/u/1"), "https://a/v2/u/1?digest=sha256:00");
        assert_eq!(to("https://a/v2/u/1?s=x"), "https://a/v2/u/1?s=x&digest=sha256:00");
    }
}
