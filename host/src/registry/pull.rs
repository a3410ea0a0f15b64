//! Components, and files of bundles, out of a registry: into memory, or into a file that appears when it is whole.
//!
//! No byte of a component is used before all of them have the digest that the manifest says.

use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use http::{Method, StatusCode};

use super::artifact::ArtifactError;
use super::error::{RegistryError, Wanted};
use super::http::Answer;
use super::partial::Partial;
use super::session::Session;
use crate::digest::Digest;
use crate::manifest::FoundArtifact;

impl Session {
    /// The bytes of a component.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or are others.
    pub async fn component(&mut self, found: &FoundArtifact) -> Result<Bytes, RegistryError> {
        self.bytes("component", found.component, found.size).await
    }

    /// All bytes of a blob that a manifest names.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or are others.
    pub async fn bytes(
        &mut self,
        what: &'static str,
        wanted: Digest,
        size: u64,
    ) -> Result<Bytes, RegistryError> {
        let answered = self.blob(wanted, 0).await?;
        let body = answered.whole(size).await?;
        let long = ArtifactError::Long { what, wanted: size };
        let body = body.ok_or_else(|| self.faulty(&self.repository, long))?;
        let found = (body.len() as u64, || Digest::of(&body));
        self.check(what, (size, wanted), found)?;
        Ok(body)
    }

    /// Writes a component to a file, in place of what may be there. Goes on behind what an earlier pull of
    /// the same component has left.
    ///
    /// # Errors
    ///
    /// When it cannot be had, is another one, or cannot be written.
    pub async fn pull(&mut self, found: &FoundArtifact, goal: &Path) -> Result<(), RegistryError> {
        let mut partial = Partial::open(goal, found.component, found.size)?;
        let begun = partial.length();
        self.receive(found, &mut partial).await?;
        if begun > 0 && partial.length() == found.size && partial.digest() != found.component {
            // What was left was no part of it.
            partial.restart()?;
            self.receive(found, &mut partial).await?;
        }
        let checked = self.check(
            "component",
            (found.size, found.component),
            (partial.length(), || partial.digest()),
        );
        match checked {
            Ok(()) => partial.finish(),
            // Of what is too short the rest may still come.
            Err(error) if partial.length() < found.size => Err(error),
            Err(error) => partial.restart().and(Err(error)),
        }
    }

    /// Receives what is missing.
    async fn receive(
        &mut self,
        found: &FoundArtifact,
        partial: &mut Partial,
    ) -> Result<(), RegistryError> {
        if partial.length() == found.size {
            return Ok(());
        }
        let mut answered = self.blob(found.component, partial.length()).await?;
        if partial.length() > 0 && !goes_on(&answered, partial.length()) {
            partial.restart()?;
            if answered.status != StatusCode::OK {
                answered = self.blob(found.component, 0).await?;
            }
        }
        while let Some(bytes) = answered.next().await? {
            if partial.length() + bytes.len() as u64 > found.size {
                partial.restart()?;
                return Err(self.faulty(&self.repository, too_long(found)));
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
        what: &'static str,
        (size, wanted): (u64, Digest),
        (length, digest): (u64, impl FnOnce() -> Digest),
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

/// Whether an answer begins where it was asked to.
fn goes_on(answered: &Answer, from: u64) -> bool {
    let range =
        answered.header(CONTENT_RANGE.as_str()).and_then(|text| text.strip_prefix("bytes "));
    let first = range.and_then(|range| range.split('-').next()?.parse::<u64>().ok());
    answered.status == StatusCode::PARTIAL_CONTENT && first == Some(from)
}

fn too_long(found: &FoundArtifact) -> ArtifactError {
    ArtifactError::Long { what: "component", wanted: found.size }
}
