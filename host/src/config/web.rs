//! A web config, the file of `--web.config.file`, as plain data: TLS, HTTP, users and rate, as Prometheus'
//! exporter-toolkit has them.
//!
//! As strict as a policy of signatures: whatever nobody knows is an error, for somebody has relied on it. What
//! certificates and keys hold is looked at where they are used. No message shows a value: it may be a secret that was
//! written in the wrong place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;

use super::bounds::Bounds;
use super::error::{ConfigFile, Fault, Severity};
use super::faults::Faults;
use super::node::{self, Value};
use super::raw::Field;
use super::raw::web as raw;
use super::{duration, no_yaml, tell_unread};
use crate::advice::near;

mod password;
mod tls;

pub use password::UserPlan;
pub use tls::{ClientAuth, CurvePlan, PemPlan, SuitePlan, TlsPlan};

/// Bytes of a web config.
pub(crate) const LARGEST: u64 = 1 << 20;
/// A second between two requests is little, and a day is too long to be meant.
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// What the toolkit takes for a burst, which is a number of 64 bits there.
const MOST_BURST: i128 = i64::MAX as i128;

/// With what whom is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebPlan {
    /// None for plain HTTP.
    pub tls: Option<TlsPlan>,
    /// Whether clients get HTTP/2 that ask for it.
    pub http2: bool,
    /// Headers that each response has, and their values.
    pub headers: Vec<(&'static str, HeaderValue)>,
    /// Who is served; everybody if it is nobody.
    pub users: Vec<UserPlan>,
    /// How many requests are answered.
    pub rate: Option<RatePlan>,
}

/// How many requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePlan {
    /// The time between two; not zero.
    pub interval: Duration,
    /// How many at once behind a quiet time; 1 or more.
    pub burst: u32,
}

/// The web config that a text is.
///
/// # Errors
///
/// Every fault that it has.
pub fn parse(file: &ConfigFile) -> Result<WebPlan, Vec<Fault>> {
    let bounds = Bounds::default();
    let document = node::parse(&file.text, &bounds)
        .map_err(|error| vec![no_yaml(file, &error.of_secrets())])?;
    let faults = Faults::new(file, &document, &bounds).of_secrets();
    tell_unread(&document, &faults);
    // An empty one says nothing, as in the toolkit.
    let plan = match document.root.value {
        Value::Null => Some(WebPlan::default()),
        _ => raw::web(&document.root, &faults).map(|raw| {
            let folder = file.path.parent().unwrap_or(Path::new(""));
            Check { folder, faults: &faults }.web(raw)
        }),
    };
    let mut found = faults.into_found();
    for fault in &mut found {
        fault.severity = Severity::Error;
        hide(&mut fault.path);
    }
    found.sort_by_key(|fault| fault.line);
    plan.filter(|_| found.is_empty()).ok_or(found)
}

/// Leaves out of a path what may be a secret: `USER:HASH` without a space is a key as a whole.
fn hide(path: &mut String) {
    if let Some(secret) = path.find([':', '$']) {
        path.truncate(secret);
        path.push('…');
    }
}

impl Default for WebPlan {
    fn default() -> Self {
        let (headers, users) = (Vec::new(), Vec::new());
        Self { tls: None, http2: true, headers, users, rate: None }
    }
}

/// What is checked, and where faults are told. What is made of a file with faults is not used.
struct Check<'a> {
    folder: &'a Path,
    faults: &'a Faults<'a>,
}

impl Check<'_> {
    fn web(&self, raw: raw::Web) -> WebPlan {
        let tls = raw.tls.filter(|tls| tls.says).map(|tls| self.tls(tls));
        let headers = raw.headers.into_iter().filter_map(|header| self.header(header)).collect();
        let users = raw.users.into_iter().filter_map(|user| self.user(user)).collect();
        let rate = self.rate(raw.interval, raw.burst);
        WebPlan { tls, http2: raw.http2.given().unwrap_or(true), headers, users, rate }
    }

    fn header(&self, header: raw::Header) -> Option<(&'static str, HeaderValue)> {
        let raw::Header { name, path, value } = header;
        let known: &[&str] = match name {
            "X-Content-Type-Options" => &["nosniff"],
            "X-Frame-Options" => &["deny", "sameorigin"],
            _ => &[],
        };
        if !known.is_empty() && !known.contains(&&*value) {
            let remedy = near::suggest(&value, known, "write");
            self.faults.error(&path, "the header has no such value", remedy);
            return None;
        }
        let Ok(value) = HeaderValue::from_str(&value) else {
            let remedy = "write one line of plain text";
            self.faults.error(&path, "a header cannot hold that text", remedy);
            return None;
        };
        Some((name, value))
    }

    fn rate(&self, interval: Field<String>, burst: Field<i128>) -> Option<RatePlan> {
        const INTERVAL: &str = "rate_limit.interval";
        let (text, burst) = match (interval, burst) {
            (Field::Faulty, _) | (_, Field::Faulty) => return None,
            (interval, burst) => (interval.given()?, burst.given().unwrap_or(0)),
        };
        let interval = duration::parse(&text).filter(|interval| *interval <= LONGEST_INTERVAL);
        let Some(interval) = interval else {
            let remedy = "write one up to 24h, such as 100ms; 0 for none";
            self.faults.error(INTERVAL, "it is no time between two requests", remedy);
            return None;
        };
        if interval.is_zero() {
            return None;
        }
        if (1..=MOST_BURST).contains(&burst) {
            // Nobody counts further than that.
            let burst = u32::try_from(burst).unwrap_or(u32::MAX);
            return Some(RatePlan { interval, burst });
        }
        let remedy = "write a `burst` of 1 or more, or leave `rate_limit` out";
        let (path, problem) = match burst {
            0 => ("rate_limit", "no request would be answered without a burst"),
            ..0 => ("rate_limit.burst", "no request would be answered with a burst below 0"),
            _ => ("rate_limit.burst", "a burst of that many is more than can be counted"),
        };
        self.faults.error(path, problem, remedy);
        None
    }

    /// Where a file is that is named.
    fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[cfg(test)]
mod tests;
