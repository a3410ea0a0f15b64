//! One repository of a registry, asked again and again: who asks is found out once, when the registry wants
//! to know.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::Deserialize;

use super::access::{self, Purpose};
use super::artifact::ArtifactError;
use super::credentials::Keychain;
use super::error::{RegistryError, Wanted};
use super::http::{Answer, Ask, Http, Reach, answer, origin, resolve};
use super::limits::{LARGEST_PAGE, MOST_PAGES, MOST_TAGS, PAGE};
use crate::digest::Digest;
use crate::manifest::{
    DOCKER_INDEX, DOCKER_MANIFEST, FoundArtifact, INDEX, LARGEST_MANIFEST, MANIFEST,
};
use crate::reference::{ArtifactReference, Repository, Tag};

/// One repository of a registry, and what it is asked with.
pub struct Session {
    http: Http,
    pub(super) repository: Repository,
    /// The address that those of all its parts begin with.
    home: Uri,
    /// What is to be done, as token services write it.
    scope: String,
    keychain: Keychain,
    /// What lets in, once it was asked for.
    authorization: Option<HeaderValue>,
    /// Whether somebody is known who asks.
    known: bool,
}

impl Session {
    /// Nothing has been asked yet.
    ///
    /// # Errors
    ///
    /// When TLS cannot be had.
    pub fn new(
        repository: Repository,
        purpose: Purpose,
        reach: &Reach,
        keychain: Keychain,
    ) -> Result<Self, RegistryError> {
        let http = Http::new(reach)?;
        let host = match repository.host() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let home = http.address(host, &format!("/v2/{}/", repository.path()))?;
        let scope = purpose.scope(&repository);
        Ok(Self { http, repository, home, scope, keychain, authorization: None, known: false })
    }

    /// A request of a part of this repository.
    pub(super) fn ask(&self, method: Method, part: &str) -> Result<Ask, RegistryError> {
        let path = format!("{}{part}", self.home.path());
        let bad = || answer(self.repository.host(), format!("{path} is no address"));
        Ok(Ask::new(method, resolve(&self.home, &path).ok_or_else(bad)?))
    }

    /// What is answered to who may ask.
    pub(super) async fn send(&mut self, ask: &Ask) -> Result<Answer, RegistryError> {
        let answered = self.http.send(&self.allowed(ask)).await?;
        // What somebody else asks for, where this one led to, is none of this registry's concern.
        if answered.status != StatusCode::UNAUTHORIZED || !self.is_home(&answered.from) {
            return Ok(answered);
        }
        let known = self.keychain.look_up(&self.repository).await?;
        self.known = known.is_some();
        let found = access::authorization(&self.http, &answered, &self.scope, known).await?;
        if found.is_none() || found == self.authorization {
            return Ok(answered);
        }
        self.authorization = found;
        self.http.send(&self.allowed(ask)).await
    }

    /// The request with what lets in, if it goes to the registry.
    fn allowed(&self, ask: &Ask) -> Ask {
        let mut allowed = ask.clone();
        if let Some(value) = self.authorization.as_ref().filter(|_| self.is_home(&ask.to)) {
            allowed.headers.insert(AUTHORIZATION, value.clone());
        }
        allowed
    }

    fn is_home(&self, address: &Uri) -> bool {
        origin(address) == origin(&self.home)
    }

    /// Why `what` was not done.
    pub(super) async fn refusal(&self, answered: Answer, what: Wanted) -> RegistryError {
        answered.refusal(what, self.known).await
    }

    fn wanted(&self, manifest: &str) -> Wanted {
        Wanted::Manifest(self.repository.clone(), manifest.to_owned())
    }

    /// A fault of what was asked for.
    pub(super) fn faulty(
        &self,
        name: &dyn std::fmt::Display,
        fault: ArtifactError,
    ) -> RegistryError {
        RegistryError::Artifact { name: name.to_string(), fault }
    }

    /// The plugin that a reference means: its manifest was checked, its component was not asked for yet.
    ///
    /// # Errors
    ///
    /// When there is none, or it is something else.
    pub async fn find(
        &mut self,
        reference: &ArtifactReference,
    ) -> Result<FoundArtifact, RegistryError> {
        let (digest, bytes) = self.find_any(reference).await?;
        FoundArtifact::read(digest, bytes).map_err(|fault| self.faulty(reference, fault.into()))
    }

    /// The manifest that a reference means, whatever it is of, with its digest.
    ///
    /// # Errors
    ///
    /// When there is none, or it has another digest.
    pub async fn find_any(
        &mut self,
        reference: &ArtifactReference,
    ) -> Result<(Digest, Bytes), RegistryError> {
        let name = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => digest.tagged(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => return Err(RegistryError::Unnamed(self.repository.clone())),
        };
        let Some((digest, bytes)) = self.manifest(&name).await? else {
            let what = Box::new(self.wanted(&name));
            return Err(RegistryError::NotThere { host: self.repository.host().to_owned(), what });
        };
        if let Some(wanted) = reference.digest
            && wanted != digest
        {
            let fault = ArtifactError::Digest { what: "manifest", wanted, found: digest };
            return Err(self.faulty(reference, fault));
        }
        Ok((digest, bytes))
    }

    /// A manifest by its tag or digest, with its digest; none if there is none.
    pub(super) async fn manifest(
        &mut self,
        name: &str,
    ) -> Result<Option<(Digest, Bytes)>, RegistryError> {
        let mut ask = self.ask(Method::GET, &format!("manifests/{name}"))?;
        // The others so that it can be said what they are.
        for kind in [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX] {
            ask.headers.append(ACCEPT, HeaderValue::from_static(kind));
        }
        let answered = self.send(&ask).await?;
        match answered.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refusal(answered, self.wanted(name)).await),
        }
        let told = told_digest(&answered.headers);
        let fault = |fault| self.faulty(&format_args!("{}:{name}", self.repository), fault);
        let too_large = ArtifactError::TooLarge { what: "manifest", most: LARGEST_MANIFEST };
        let body = answered.whole(LARGEST_MANIFEST).await?.ok_or_else(|| fault(too_large))?;
        let found = Digest::of(&body);
        match told {
            Some(wanted) if wanted != found => {
                Err(fault(ArtifactError::Digest { what: "manifest", wanted, found }))
            }
            _ => Ok(Some((found, body))),
        }
    }

    /// All tags, in no order.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or are too many.
    pub async fn tags(&mut self) -> Result<Vec<Tag>, RegistryError> {
        let host = self.repository.host().to_owned();
        let mut tags = Vec::new();
        let mut ask = self.ask(Method::GET, &format!("tags/list?n={PAGE}"))?;
        for _ in 0..MOST_PAGES {
            let answered = self.send(&ask).await?;
            if answered.status != StatusCode::OK {
                let what = Wanted::Repository(self.repository.clone());
                return Err(self.refusal(answered, what).await);
            }
            let next = next_page(&answered)?;
            let page = answered.whole(LARGEST_PAGE).await?;
            let page =
                page.ok_or_else(|| answer(&host, "a page of tags is too large".to_owned()))?;
            tags.extend(page_of(&page).map_err(|why| answer(&host, why.to_owned()))?);
            match next {
                _ if tags.len() > MOST_TAGS => break,
                None => return Ok(tags),
                Some(to) => ask.to = to,
            }
        }
        Err(answer(
            &host,
            format!("there are more than {MOST_TAGS} tags, or {MOST_PAGES} pages of them"),
        ))
    }
}

/// The tags of a page.
fn page_of(body: &[u8]) -> Result<Vec<Tag>, &'static str> {
    #[derive(Deserialize)]
    struct Page {
        /// Null if all have gone.
        tags: Option<Vec<String>>,
    }
    let page: Page = serde_json::from_slice(body).map_err(|_| "a page of tags is damaged")?;
    let tags = page.tags.unwrap_or_default();
    let tags: Option<Vec<_>> = tags.iter().map(|tag| Tag::parse(tag)).collect();
    tags.ok_or("a tag has characters that none may have")
}

/// The address of the page behind this one: of this registry, or it is none.
pub(super) fn next_page(answered: &Answer) -> Result<Option<Uri>, RegistryError> {
    let Some(link) = answered.header("link") else { return Ok(None) };
    let bad = || answer(&answered.host, "it has no good address of the next page".to_owned());
    let (address, relation) =
        link.strip_prefix('<').and_then(|link| link.split_once('>')).ok_or_else(bad)?;
    if !relation.contains("next") {
        return Ok(None);
    }
    let to = answered.leads_to(address)?;
    if origin(&to) == origin(&answered.from) { Ok(Some(to)) } else { Err(bad()) }
}

/// The digest that a registry says an answer has.
pub(super) fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse_tagged(headers.get("docker-content-digest")?.to_str().ok()?)
}
