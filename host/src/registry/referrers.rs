//! Signatures out of a registry: the bundles of Sigstore that refer to a manifest, as `cosign sign` puts them there.
//!
//! Anybody who may push there can add others, so none that is damaged or too large keeps the others away, and no
//! number of them takes more than a bound. Whether any is good is not known here.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::error::{RegistryError, Wanted};
use super::http::answer;
use super::limits::{LARGEST_SIGNATURE, MOST_REFERRER_PAGES, MOST_SIGNATURES};
use super::session::{Session, next_page};
use crate::digest::Digest;
use crate::manifest::{LARGEST_MANIFEST, Manifest};

/// The media type of a bundle, and the kind of the artifact that holds one.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What refers to a manifest, as JSON.
#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Referrer>,
}

/// One that does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    digest: String,
    #[serde(default)]
    artifact_type: String,
}

impl Session {
    /// The bundles that the registry has of a manifest, up to a number: empty where one is said to be, and is not. None
    /// is believed.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    pub async fn signatures(&mut self, of: Digest) -> Result<Vec<Bytes>, RegistryError> {
        let listed = match self.referrers(of).await? {
            Some(listed) => listed,
            None => self.tagged_referrers(of).await?,
        };
        let mut found = Vec::new();
        for digest in listed.into_iter().take(MOST_SIGNATURES) {
            found.push(self.signature(digest).await?.unwrap_or_default());
        }
        Ok(found)
    }

    /// What refers to a manifest and says that it is a bundle; none if the registry does not keep such lists.
    async fn referrers(&mut self, of: Digest) -> Result<Option<Vec<Digest>>, RegistryError> {
        let of = of.tagged();
        // `/` and `+` of the kind as addresses write them.
        let kind = BUNDLE.replace('/', "%2F").replace('+', "%2B");
        let mut ask = self.ask(Method::GET, &format!("referrers/{of}?artifactType={kind}"))?;
        let mut all = Vec::new();
        for _ in 0..MOST_REFERRER_PAGES {
            let answered = self.send(&ask).await?;
            match answered.status {
                StatusCode::OK => {}
                // Registries older than such lists have no such address, each in its own words.
                StatusCode::NOT_FOUND
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED => {
                    return Ok(None);
                }
                _ => {
                    let what = Wanted::Manifest(self.repository.clone(), of);
                    return Err(self.refusal(answered, what).await);
                }
            }
            let next = next_page(&answered)?;
            let body = answered.whole(LARGEST_MANIFEST).await?;
            all.extend(self.bundles(body.as_deref())?);
            match next {
                Some(to) if all.len() < MOST_SIGNATURES => ask.to = to,
                _ => break,
            }
        }
        Ok(Some(all))
    }

    /// The same, of registries that keep no such lists: whoever signs keeps one by a tag.
    async fn tagged_referrers(&mut self, of: Digest) -> Result<Vec<Digest>, RegistryError> {
        match self.manifest(&format!("sha256-{of}")).await? {
            Some((_, body)) => self.bundles(Some(&*body)),
            None => Ok(Vec::new()),
        }
    }

    /// The bundles of a list, which none is if it is too large.
    fn bundles(&self, body: Option<&[u8]>) -> Result<Vec<Digest>, RegistryError> {
        let bad = |why: &str| answer(self.repository.host(), why.to_owned());
        let body = body.ok_or_else(|| bad("a list of signatures is too large"))?;
        let index: Index =
            serde_json::from_slice(body).map_err(|_| bad("a list of signatures is damaged"))?;
        let bundles = index.manifests.iter().filter(|one| one.artifact_type == BUNDLE);
        Ok(bundles.filter_map(|one| Digest::parse_tagged(&one.digest)).collect())
    }

    /// The bundle of an artifact that holds one; none if it holds something else.
    async fn signature(&mut self, of: Digest) -> Result<Option<Bytes>, RegistryError> {
        let found = match self.manifest(&of.tagged()).await {
            Err(RegistryError::Artifact { .. }) => None,
            found => found?,
        };
        let found = found.filter(|(digest, _)| *digest == of);
        let read = found.and_then(|(_, body)| serde_json::from_slice::<Manifest>(&body).ok());
        let layer = read.and_then(|read| <[_; 1]>::try_from(read.layers).ok());
        let layer = layer
            .map(|[layer]| layer)
            .filter(|layer| layer.media_type == BUNDLE && layer.size <= LARGEST_SIGNATURE);
        let Some((size, digest)) =
            layer.and_then(|layer| Some((layer.size, Digest::parse_tagged(&layer.digest)?)))
        else {
            return Ok(None);
        };
        let ask = self.ask(Method::GET, &format!("blobs/{}", digest.tagged()))?;
        let answered = self.send(&ask).await?;
        if answered.status != StatusCode::OK {
            return Ok(None);
        }
        let body = answered.whole(size).await?;
        Ok(body.filter(|body| Digest::of(body) == digest))
    }
}
