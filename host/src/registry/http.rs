//! Requests and their answers: over TLS unless somebody wants none, redirected a few times at the most,
//! and never read beyond a bound.
//!
//! What would let somebody in (`Authorization`) goes to the host that it is for and to no other, whatever
//! answers say. Nothing that began with TLS goes on without.

use std::error::Error;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::uri::Authority;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::error::{RegistryError, Wanted};
use super::limits::{CONNECT, LARGEST_REFUSAL, LONGEST_TEXT, MOST_REDIRECTS};
use crate::advice::{causes, plain};
use crate::trust::{self, Trouble, Trusted};

/// How a registry is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Without TLS.
    pub plain_http: bool,
    /// A file of authorities to trust beside those of this host.
    pub authorities: Option<PathBuf>,
}

impl Reach {
    /// Without TLS, somebody may still be led to where there is some.
    fn trusted(&self) -> Trusted<'_> {
        match (&self.authorities, self.plain_http) {
            (Some(file), true) => Trusted::File(file),
            (Some(file), false) => Trusted::HostAnd(file),
            (None, true) => Trusted::Nobody,
            (None, false) => Trusted::Host,
        }
    }
}

/// Sends requests.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    scheme: &'static str,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) to: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer, whose body has not come yet.
pub(super) struct Answer {
    /// Who gave it.
    pub(super) host: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where it came from.
    pub(super) from: Uri,
    body: Incoming,
}

impl Ask {
    pub(super) fn new(method: Method, to: Uri) -> Self {
        Self { method, to, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.to.clone();
        request.headers_mut().clone_from(&self.headers);
        let name = HeaderValue::from_static(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ));
        request.headers_mut().insert(USER_AGENT, name);
        request
    }

    /// The same to somewhere else: without what is for the first host alone.
    fn moved(&self, to: Uri) -> Self {
        let mut moved = Self { to, ..self.clone() };
        if origin(&moved.to) != origin(&self.to) {
            moved.headers.remove(AUTHORIZATION);
        }
        moved
    }
}

impl Http {
    /// # Errors
    ///
    /// When nobody can be trusted by TLS.
    pub(super) fn new(reach: &Reach) -> Result<Self, RegistryError> {
        let config = trust::config(reach.trusted(), None)?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let (builder, scheme) = match reach.plain_http {
            true => (builder.https_or_http(), "http"),
            false => (builder.https_only(), "https"),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        let connector = builder.enable_http1().wrap_connector(connector);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), scheme })
    }

    /// The address of a path on a host, by the scheme that is wanted.
    ///
    /// # Errors
    ///
    /// When the two are no address.
    pub(super) fn address(&self, host: &str, path: &str) -> Result<Uri, RegistryError> {
        let parts = Uri::builder().scheme(self.scheme).authority(host).path_and_query(path);
        parts.build().map_err(|error| answer(host, format!("{path} is no address: {error}")))
    }

    /// What is answered in the end. Only what reads is redirected.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it leads nowhere.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Answer, RegistryError> {
        let mut ask = ask.clone();
        let first = host(&ask.to);
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.send_once(&ask).await?;
            let reads = ask.method == Method::GET || ask.method == Method::HEAD;
            match answer.status.as_u16() {
                301 | 302 | 303 | 307 | 308 if reads => ask = ask.moved(answer.location()?),
                _ => return Ok(answer),
            }
        }
        Err(RegistryError::Redirects { host: first })
    }

    async fn send_once(&self, ask: &Ask) -> Result<Answer, RegistryError> {
        let host = host(&ask.to);
        let response = self.client.request(ask.request()).await;
        let (parts, body) = response.map_err(|error| unreachable(&host, &error))?.into_parts();
        let (status, headers, from) = (parts.status, parts.headers, ask.to.clone());
        Ok(Answer { host, status, headers, from, body })
    }
}

impl Answer {
    /// Where it leads to.
    ///
    /// # Errors
    ///
    /// When that is nowhere, or without TLS.
    pub(super) fn location(&self) -> Result<Uri, RegistryError> {
        self.leads_to(self.header(LOCATION.as_str()).unwrap_or_default())
    }

    /// The address that a text of this answer means.
    ///
    /// # Errors
    ///
    /// When that is nowhere, or without TLS.
    pub(super) fn leads_to(&self, text: &str) -> Result<Uri, RegistryError> {
        lead(&self.from, text)
    }

    /// The text of a header, if it is one.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    ///
    /// When the connection ends before the body does.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| unreachable(&self.host, &error))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// All of the body; none if that is more than `most` bytes.
    ///
    /// # Errors
    ///
    /// When the connection ends before the body does.
    pub(super) async fn whole(mut self, most: u64) -> Result<Option<Bytes>, RegistryError> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.next().await? {
            if (all.len() + bytes.len()) as u64 > most {
                return Ok(None);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(Some(all.freeze()))
    }

    /// Why `what` was not done, as far as the answer says.
    pub(super) async fn refusal(mut self, what: Wanted, known: bool) -> RegistryError {
        let mut body = Vec::new();
        while body.len() < LARGEST_REFUSAL
            && let Ok(Some(bytes)) = self.next().await
        {
            body.extend_from_slice(&bytes[..bytes.len().min(LARGEST_REFUSAL - body.len())]);
        }
        let (host, status, what) = (self.host, self.status, Box::new(what));
        let said = said(&body).map(|text| format!(": {text}")).unwrap_or_default();
        match status {
            StatusCode::NOT_FOUND => RegistryError::NotThere { host, what },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                RegistryError::Denied { host, what, known, said }
            }
            _ => RegistryError::Status { host, what, status, said },
        }
    }
}

/// What a registry says of a refusal, if it says it as registries do.
fn said(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let first = refusal.errors.into_iter().find(|reason| !reason.message.is_empty())?;
    Some(plain(&first.message, LONGEST_TEXT))
}

/// An answer that is none.
pub(super) fn answer(host: &str, why: String) -> RegistryError {
    RegistryError::Answer { host: host.to_owned(), why }
}

/// A host with its port, as typed.
pub(super) fn host(uri: &Uri) -> String {
    uri.authority().map_or_else(String::new, ToString::to_string)
}

/// Scheme, host and port.
pub(super) fn origin(uri: &Uri) -> (Option<&str>, Option<String>, u16) {
    let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let port = uri.port_u16().unwrap_or(default);
    (uri.scheme_str(), uri.host().map(str::to_ascii_lowercase), port)
}

/// The address that a text means on a page at `from`: a whole one, or a path.
pub(super) fn resolve(from: &Uri, text: &str) -> Option<Uri> {
    let to: Uri = match text {
        text if text.starts_with('/') && !text.starts_with("//") => {
            let mut parts = from.clone().into_parts();
            parts.path_and_query = Some(text.parse().ok()?);
            Uri::from_parts(parts).ok()?
        }
        text => text.parse().ok()?,
    };
    let named =
        to.authority().is_some_and(|authority: &Authority| !authority.as_str().contains('@'));
    (named && matches!(to.scheme_str(), Some("http" | "https"))).then_some(to)
}

/// The address that a text means on a page at `from`, which is had as safely as that page.
fn lead(from: &Uri, text: &str) -> Result<Uri, RegistryError> {
    let nowhere = || answer(&host(from), "it leads to no address".to_owned());
    let to = resolve(from, text).ok_or_else(nowhere)?;
    if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
        return Err(RegistryError::Insecure { host: host(from), to: host(&to) });
    }
    Ok(to)
}

fn unreachable(host: &str, error: &(dyn Error + 'static)) -> RegistryError {
    let (host, why) = (host.to_owned(), plain(&causes(error), LONGEST_TEXT));
    RegistryError::Unreachable { host, trouble: Trouble::of(error), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advise as _;

    #[test]
    fn addresses_lead_only_where_a_registry_may() {
        let from: Uri = "https://a:5000/v2/x?y=1".parse().unwrap();
        let to = |text| resolve(&from, text).map(|uri| uri.to_string());
        assert_eq!(to("/v2/z?q").as_deref(), Some("https://a:5000/v2/z?q"));
        assert_eq!(to("http://b/c").as_deref(), Some("http://b/c"));
        for text in
            ["", "x", "?x", "//b/c", "ftp://b/c", "https://u:p@b/c", "https:///c", "http://b c/"]
        {
            assert_eq!(to(text), None, "{text}");
        }
    }

    #[test]
    fn what_began_with_tls_goes_on_with_it() {
        let to = |from: &str, text| lead(&from.parse().unwrap(), text).map(|to| to.to_string());
        let said = |text| to("https://a/x", text).unwrap_err().advice().to_string();
        assert_eq!(to("http://a/x", "http://b/y").unwrap(), "http://b/y");
        assert_eq!(to("http://a/x", "https://b/y").unwrap(), "https://b/y");
        insta::assert_snapshot!(said("http://b/y"), @"a redirects to b without TLS; tell who runs the registry");
        insta::assert_snapshot!(said(""), @"a gives no good answer: it leads to no address; see whether the host is a registry");
    }

    #[test]
    fn what_lets_in_stays_with_its_host() {
        let mut ask = Ask::new(Method::GET, "https://a/x".parse().unwrap());
        ask.headers.insert(AUTHORIZATION, HeaderValue::from_static("secret"));
        for (to, expected) in [
            ("https://a/y", true),
            ("https://A:443/y", true),
            ("https://a:444/y", false),
            ("https://b/y", false),
            ("https://a.b/y", false),
            ("http://a/y", false),
        ] {
            let moved = ask.moved(to.parse().unwrap());
            assert_eq!(moved.headers.contains_key(AUTHORIZATION), expected, "{to}");
        }
    }

    #[test]
    fn words_of_a_refusal_are_shown_as_they_may() {
        let text =
            br#"{"errors":[{"code":"X","message":""},{"code":"Y","message":"no\u001b[2J"}]}"#;
        assert_eq!(said(text).as_deref(), Some("no\\u{1b}[2J"));
        assert_eq!(said(b"<html>"), None);
    }
}
