//! How a registry lets somebody in: what it asks for when it refuses, and what is sent then.
//!
//! A token is asked for what is to be done and for no more, whatever the registry proposes. Credentials go
//! to the registry and to the token service that it names, never without TLS if the registry has it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_auth::{ChallengeRef, parse_challenges};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::credentials::{Credentials, Secret};
use super::error::{RegistryError, Wanted};
use super::http::{Answer, Ask, Http, answer, host, resolve};
use super::limits::LARGEST_TOKEN;
use crate::reference::Repository;

/// What is to be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only read.
    Pull,
    /// Read and write.
    Push,
}

impl Purpose {
    /// As token services write it.
    pub(super) fn scope(self, repository: &Repository) -> String {
        let actions = match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        };
        format!("repository:{}:{actions}", repository.path())
    }
}

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Challenge {
    /// A token of this service.
    Bearer { realm: Uri, service: Option<String> },
    /// A name and a password.
    Basic,
}

/// What is sent to a registry that refused so, if anything helps: the value of `Authorization`.
///
/// # Errors
///
/// When the token service gives none.
pub(super) async fn authorization(
    http: &Http,
    refused: &Answer,
    scope: &str,
    known: Option<Credentials>,
) -> Result<Option<HeaderValue>, RegistryError> {
    let secret = |text: String| {
        let value = HeaderValue::from_str(&text).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let bad =
            || answer(&refused.host, "its token has characters that none may have".to_owned());
        value.ok_or_else(bad).map(Some)
    };
    match (challenge(refused)?, known) {
        (Some(Challenge::Bearer { .. }), Some(Credentials::Token(token))) => {
            secret(format!("Bearer {}", token.0))
        }
        (Some(Challenge::Bearer { realm, service }), known) => {
            let ask = token_request(&realm, service.as_deref(), scope, known.as_ref());
            let bad = || answer(&refused.host, "it asks for a token of no address".to_owned());
            let token = token(http, &ask.ok_or_else(bad)?, known.is_some()).await?;
            secret(format!("Bearer {}", token.0))
        }
        (Some(Challenge::Basic), Some(Credentials::Password { user, secret: password })) => {
            secret(basic(&user, &password))
        }
        _ => Ok(None),
    }
}

/// The first thing asked for that can be given; tokens before passwords.
fn challenge(refused: &Answer) -> Result<Option<Challenge>, RegistryError> {
    let mut basic = None;
    for value in asked_for(&refused.headers) {
        for asked in parse_challenges(value).unwrap_or_default() {
            if asked.scheme.eq_ignore_ascii_case("bearer") {
                let realm = refused.leads_to(&parameter(&asked, "realm").unwrap_or_default())?;
                return Ok(Some(Challenge::Bearer {
                    realm,
                    service: parameter(&asked, "service"),
                }));
            }
            if asked.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    Ok(basic)
}

fn asked_for(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok())
}

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_unescaped())
}

/// The request for a token: by whom one is known as, if one is.
fn token_request(
    realm: &Uri,
    service: Option<&str>,
    scope: &str,
    known: Option<&Credentials>,
) -> Option<Ask> {
    let mut pairs = vec![("scope", scope)];
    pairs.extend(service.map(|service| ("service", service)));
    if let Some(Credentials::Identity(Secret(token))) = known {
        let identity = [
            ("client_id", env!("CARGO_PKG_NAME")),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        pairs.extend(identity);
        let ask = Ask::new(Method::POST, realm.clone());
        let mut ask = ask.with(CONTENT_TYPE, "application/x-www-form-urlencoded");
        ask.body = form(&pairs).into();
        return Some(ask);
    }
    let path = realm.path_and_query().map_or("/", |path| path.as_str());
    let joint = if path.contains('?') { '&' } else { '?' };
    let to = resolve(realm, &format!("{path}{joint}{}", form(&pairs)))?;
    let mut ask = Ask::new(Method::GET, to);
    if let Some(Credentials::Password { user, secret }) = known {
        let mut value = HeaderValue::from_str(&basic(user, secret)).ok()?;
        value.set_sensitive(true);
        ask.headers.insert(AUTHORIZATION, value);
    }
    Some(ask)
}

/// A token that a service gives.
async fn token(http: &Http, ask: &Ask, known: bool) -> Result<Secret, RegistryError> {
    #[derive(Deserialize)]
    struct Told {
        token: Option<Secret>,
        access_token: Option<Secret>,
    }
    let service = host(&ask.to);
    let answered = http.send(ask).await?;
    if answered.status != StatusCode::OK {
        return Err(answered.refusal(Wanted::Token, known).await);
    }
    let bad = || answer(&service, "it was asked for a token, and gave none".to_owned());
    let body = answered.whole(LARGEST_TOKEN).await?.ok_or_else(bad)?;
    // What the reader says may repeat what it read.
    let told: Told = serde_json::from_slice(&body).map_err(|_| bad())?;
    told.token.or(told.access_token).filter(|token| !token.0.is_empty()).ok_or_else(bad)
}

fn basic(user: &str, password: &Secret) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.0)))
}

/// Names and values, as forms and queries have them.
fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_by_whom_one_is_known_as() {
        let asked = |realm: &str, known: Option<Credentials>| {
            let realm = realm.parse().unwrap();
            let ask = token_request(&realm, Some("a b"), "repository:x:pull", known.as_ref());
            let Ask { method, to, headers, body } = ask.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            format!("{method} {to} {} {body}", headers.contains_key(AUTHORIZATION))
        };
        let secret = || Secret("x&y".to_owned());
        let me = Credentials::Password { user: "me".to_owned(), secret: secret() };
        insta::assert_snapshot!(asked("https://a/t", None), @"GET https://a/t?scope=repository%3Ax%3Apull&service=a%20b false ");
        insta::assert_snapshot!(asked("https://a/t?x=1", Some(me)), @"GET https://a/t?x=1&scope=repository%3Ax%3Apull&service=a%20b true ");
        insta::assert_snapshot!(asked("https://a/t", Some(Credentials::Identity(secret()))), @"POST https://a/t false scope=repository%3Ax%3Apull&service=a%20b&client_id=ebpf%5Fwasm%5Fexporter&grant_type=refresh%5Ftoken&refresh_token=x%26y");
    }

    #[test]
    fn passwords_are_sent_as_basic_authentication_has_them() {
        assert_eq!(basic("me", &Secret("secret".to_owned())), "Basic bWU6c2VjcmV0");
    }
}
