//! A kubelet, asked which pods it runs, over TLS or by its port that only reads.
//!
//! ```text
//! error   why it gives no list, and what to do about it
//! list    what of its list is kept
//! ```
//!
//! Only the tool `pods` uses this room: an exporter that serves needs neither this network nor a token. What
//! is answered is hostile: size and time are bounded, nothing is redirected, and only what is known is kept.
//! A token goes over TLS or nowhere.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::Response;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::advice::{causes, plain};
use crate::files;
use crate::trust::{self, Identity, Trouble, Trusted};

mod error;
mod list;

pub use error::{Asker, KubeletError};
pub use list::{KeptPods, LARGEST_LIST};

/// Bytes of a file with a token.
const LARGEST_TOKEN: u64 = 64 << 10;
/// Bytes of a refusal that are read.
const LARGEST_REFUSAL: usize = 4 << 10;
/// Characters of a text of the kubelet's that are shown.
const LONGEST_TEXT: usize = 200;

/// A kubelet, and how it is asked. Files are read at each request: tokens and certificates are replaced
/// while they are in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// Where it listens.
    pub address: KubeletAddress,
    /// A file with a token that says who asks.
    pub token: Option<PathBuf>,
    /// A file with the authorities to trust; without it, those of this host.
    pub authorities: Option<PathBuf>,
    /// A certificate that says who asks.
    pub identity: Option<Identity>,
    /// Whether its certificate is taken whoever has signed it.
    pub unchecked: bool,
    /// How long an answer may take, all of it.
    pub timeout: Duration,
}

/// The address that a kubelet's paths begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeletAddress {
    /// Of its list of pods.
    pods: Uri,
}

impl FromStr for KubeletAddress {
    type Err = KubeletError;

    fn from_str(text: &str) -> Result<Self, KubeletError> {
        let none = || KubeletError::Address(text.to_owned());
        let base: Uri = text.parse().map_err(|_| none())?;
        let named = base.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !named || base.query().is_some() || !matches!(base.scheme_str(), Some("http" | "https"))
        {
            return Err(none());
        }
        let pods = format!("{}/pods", base.path().trim_end_matches('/'));
        let mut parts = base.into_parts();
        parts.path_and_query = Some(pods.parse().map_err(|_| none())?);
        Ok(Self { pods: Uri::from_parts(parts).map_err(|_| none())? })
    }
}

impl KubeletAddress {
    /// Whether it is reached over TLS.
    pub fn is_safe(&self) -> bool {
        self.pods.scheme_str() == Some("https")
    }

    /// Its host and port, as typed.
    pub fn host(&self) -> &str {
        self.pods.authority().map_or("", |authority| authority.as_str())
    }
}

impl Kubelet {
    /// What it runs now.
    ///
    /// # Errors
    ///
    /// When it does not answer in time, or with something else.
    pub async fn pods(&self) -> Result<KeptPods, KubeletError> {
        let host = || self.address.host().to_owned();
        let late = |_| KubeletError::TooLong { host: host(), time: self.timeout };
        let body = tokio::time::timeout(self.timeout, self.ask()).await.map_err(late)??;
        KeptPods::read(&body).map_err(|why| KubeletError::NoList {
            host: host(),
            why: plain(&why.to_string(), LONGEST_TEXT),
        })
    }

    /// The bytes that it answers with.
    async fn ask(&self) -> Result<Bytes, KubeletError> {
        let response = self.client()?.request(self.request()?).await;
        let mut response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            let begun = self.body(&mut response, LARGEST_REFUSAL).await.unwrap_or_default();
            return Err(self.refusal(status, &begun));
        }
        let body = self.body(&mut response, LARGEST_LIST).await?;
        match body.len() {
            length if length > LARGEST_LIST => {
                Err(KubeletError::TooLarge { host: self.address.host().to_owned() })
            }
            _ => Ok(body),
        }
    }

    fn client(&self) -> Result<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, KubeletError> {
        let trusted = match &self.authorities {
            _ if !self.address.is_safe() => Trusted::Nobody,
            _ if self.unchecked => Trusted::Anybody,
            Some(file) => Trusted::File(file),
            None => Trusted::Host,
        };
        let tls = trust::config(trusted, self.identity.as_ref())?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = connector.enable_http1().build();
        Ok(Client::builder(TokioExecutor::new()).build(connector))
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, KubeletError> {
        let mut request = Request::new(Empty::new());
        request.uri_mut().clone_from(&self.address.pods);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let name = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(name));
        if self.address.is_safe()
            && let Some(file) = &self.token
        {
            headers.insert(AUTHORIZATION, token(file)?);
        }
        Ok(request)
    }

    /// What has come of a body when it ends, or is more than `most` bytes.
    async fn body(
        &self,
        response: &mut Response<Incoming>,
        most: usize,
    ) -> Result<Bytes, KubeletError> {
        let mut body = BytesMut::new();
        while body.len() <= most
            && let Some(frame) = response.frame().await
        {
            let frame = frame.map_err(|error| self.unreachable(&error))?;
            if let Some(bytes) = frame.data_ref() {
                body.extend_from_slice(bytes);
            }
        }
        Ok(body.freeze())
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> KubeletError {
        let said = plain(String::from_utf8_lossy(body).trim(), LONGEST_TEXT);
        let said = if said.is_empty() { said } else { format!(": {said}") };
        let (host, asker) = (self.address.host().to_owned(), self.asker());
        match status {
            StatusCode::UNAUTHORIZED => KubeletError::Unknown { host, asker, said },
            StatusCode::FORBIDDEN => KubeletError::Forbidden { host, asker, said },
            _ => KubeletError::Status { host, status, said },
        }
    }

    fn asker(&self) -> Asker {
        match (&self.token, &self.identity) {
            _ if !self.address.is_safe() => Asker::Nobody,
            (Some(_), _) => Asker::Token,
            (None, Some(_)) => Asker::Certificate,
            (None, None) => Asker::Nobody,
        }
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> KubeletError {
        let (host, trouble) = (self.address.host().to_owned(), Trouble::of(error));
        KubeletError::Unreachable { host, trouble, why: plain(&causes(error), LONGEST_TEXT) }
    }
}

/// What lets in: the token of a file.
fn token(file: &std::path::Path) -> Result<HeaderValue, KubeletError> {
    let bad = |why: String| KubeletError::Token { file: file.to_owned(), why };
    let bytes = files::read(file, LARGEST_TOKEN).map_err(|unread| bad(unread.why()))?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    let value = HeaderValue::from_str(&format!("Bearer {text}")).ok();
    let mut value =
        value.filter(|_| !text.is_empty()).ok_or_else(|| bad("holds no token".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_a_kubelet() {
        let pods = |text: &str| {
            let address: Result<KubeletAddress, _> = text.parse();
            address.map_or_else(|_| "none".to_owned(), |address| address.pods.to_string())
        };
        for (text, expected) in [
            ("https://127.0.0.1:10250", "https://127.0.0.1:10250/pods"),
            ("http://[::1]:10255/", "http://[::1]:10255/pods"),
            ("https://api/api/v1/nodes/a/proxy", "https://api/api/v1/nodes/a/proxy/pods"),
            ("127.0.0.1:10250", "none"),
            ("ftp://a", "none"),
            ("https://me:secret@a", "none"),
            ("https://a/?x=1", "none"),
            ("https://", "none"),
            ("", "none"),
        ] {
            assert_eq!(pods(text), expected, "{text}");
        }
    }

    #[test]
    fn a_token_goes_over_tls_or_nowhere() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let sent = |address: &str| {
            let kubelet = Kubelet {
                address: address.parse().unwrap(),
                token: Some(file.path().to_owned()),
                authorities: None,
                identity: None,
                unchecked: false,
                timeout: Duration::from_secs(1),
            };
            let request = kubelet.request().unwrap();
            request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(sent("https://a").as_deref(), Some("Bearer secret"));
        assert_eq!(sent("http://a"), None);
    }
}
