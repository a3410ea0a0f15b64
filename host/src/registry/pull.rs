//! Components, and files of bundles, out of a registry: into memory, or into a file that appears when it is whole.
//!
//! No byte of any is used before all of them have the digest that the manifest says. What goes into a file goes on where
//! an earlier pull has ended.

use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use http::{Method, StatusCode};

use super::artifact::ArtifactError;
use super::error::{RegistryError, Wanted};
use super::http::Answer;
use super::partial::{Partial, Parts};
use super::session::Session;
use crate::digest::Digest;
use crate::manifest::FoundArtifact;

/// What a manifest names.
#[derive(Clone, Copy, Debug)]
pub struct Blob {
    /// What messages call it.
    pub what: &'static str,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes of it.
    pub size: u64,
}

impl Session {
    /// The bytes of a component.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or are others.
    pub async fn component(&mut self, found: &FoundArtifact) -> Result<Bytes, RegistryError> {
        self.bytes(Blob::component(found)).await
    }

    /// All bytes of a blob that a manifest names.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or are others.
    pub async fn bytes(&mut self, blob: Blob) -> Result<Bytes, RegistryError> {
        let answered = self.blob(blob.digest, 0).await?;
        let body = answered.whole(blob.size).await?;
        let body = body.ok_or_else(|| self.faulty(&self.repository, blob.too_long()))?;
        self.check(blob, body.len() as u64, || Digest::of(&body))?;
        Ok(body)
    }

    /// The same, by a file beside `goal` that is among `parts` then. Goes on behind what an earlier pull of the same
    /// blob to this goal has left there.
    ///
    /// # Errors
    ///
    /// When they cannot be had, are others, or cannot be written.
    pub async fn part(
        &mut self,
        blob: Blob,
        goal: &Path,
        parts: &mut Parts,
    ) -> Result<Bytes, RegistryError> {
        let mut partial = self.gather(blob, goal).await?;
        let bytes = partial.bytes()?;
        parts.add(partial);
        Ok(bytes)
    }

    /// Writes a component to a file, in place of what may be there. Goes on behind what an earlier pull of
    /// the same component has left.
    ///
    /// # Errors
    ///
    /// When it cannot be had, is another one, or cannot be written.
    pub async fn pull(&mut self, found: &FoundArtifact, goal: &Path) -> Result<(), RegistryError> {
        self.beside(found, goal).await?.finish()
    }

    /// The same, but leaves it beside the goal: who asks may want to look at it first.
    ///
    /// # Errors
    ///
    /// As [`Session::pull`].
    pub async fn beside(
        &mut self,
        found: &FoundArtifact,
        goal: &Path,
    ) -> Result<Partial, RegistryError> {
        self.gather(Blob::component(found), goal).await
    }

    /// All of a blob, beside `goal`.
    async fn gather(&mut self, blob: Blob, goal: &Path) -> Result<Partial, RegistryError> {
        let mut partial = Partial::open(goal, blob.digest, blob.size)?;
        let begun = partial.length();
        self.receive(blob, &mut partial).await?;
        if begun > 0 && partial.length() == blob.size && partial.digest() != blob.digest {
            // What was left was no part of it.
            partial.restart()?;
            self.receive(blob, &mut partial).await?;
        }
        match self.check(blob, partial.length(), || partial.digest()) {
            Ok(()) => Ok(partial),
            // Of what is too short the rest may still come.
            Err(error) if partial.length() < blob.size => Err(error),
            Err(error) => partial.restart().and(Err(error)),
        }
    }

    /// Receives what is missing.
    async fn receive(&mut self, blob: Blob, partial: &mut Partial) -> Result<(), RegistryError> {
        if partial.length() == blob.size {
            return Ok(());
        }
        let mut answered = self.blob(blob.digest, partial.length()).await?;
        if partial.length() > 0 && !goes_on(&answered, partial.length()) {
            partial.restart()?;
            if answered.status != StatusCode::OK {
                answered = self.blob(blob.digest, 0).await?;
            }
        }
        while let Some(bytes) = answered.next().await? {
            if partial.length() + bytes.len() as u64 > blob.size {
                partial.restart()?;
                return Err(self.faulty(&self.repository, blob.too_long()));
            }
            partial.write(&bytes)?;
        }
        Ok(())
    }

    /// The answer that has a blob's bytes from here on, or all of them.
    async fn blob(&mut self, wanted: Digest, from: u64) -> Result<Answer, RegistryError> {
        let mut ask = self.ask(Method::GET, &format!("blobs/{}", wanted.tagged()))?;
        if from > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-"))
        {
            ask.headers.insert(RANGE, range);
        }
        let answered = self.send(&ask).await?;
        match answered.status {
            StatusCode::OK => Ok(answered),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                Ok(answered)
            }
            _ => Err(self.refusal(answered, Wanted::Blob(wanted)).await),
        }
    }

    fn check(
        &self,
        Blob { what, digest: wanted, size }: Blob,
        length: u64,
        digest: impl FnOnce() -> Digest,
    ) -> Result<(), RegistryError> {
        if length != size {
            let fault = ArtifactError::Short { what, wanted: size, found: length };
            return Err(self.faulty(&self.repository, fault));
        }
        let found = digest();
        if found != wanted {
            let fault = ArtifactError::Digest { what, wanted, found };
            return Err(self.faulty(&self.repository, fault));
        }
        Ok(())
    }
}

impl Blob {
    fn component(found: &FoundArtifact) -> Self {
        Self { what: "component", digest: found.component, size: found.size }
    }

    fn too_long(self) -> ArtifactError {
        ArtifactError::Long { what: self.what, wanted: self.size }
    }
}

/// Whether an answer begins where it was asked to.
fn goes_on(answered: &Answer, from: u64) -> bool {
    let range =
        answered.header(CONTENT_RANGE.as_str()).and_then(|text| text.strip_prefix("bytes "));
    let first = range.and_then(|range| range.split('-').next()?.parse::<u64>().ok());
    answered.status == StatusCode::PARTIAL_CONTENT && first == Some(from)
}
