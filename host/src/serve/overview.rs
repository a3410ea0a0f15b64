//! `/` and `/api/v1/status`: the state of the exporter, for people and for programs.
//!
//! Never asks the thread that scrapes. What is shown is made at most once a second for all who ask, so that asking
//! costs little whoever does it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::board::Notes;
use super::parts::Parts;
use super::reloads::Reloads;
use super::responses::{failure, typed};
use super::room::Handle;
use super::scrapes::{ScrapeError, Scrapes};
use super::traffic::Traffic;
use crate::logging::{self, Level, RecentLine};
use crate::process;
use crate::status::{
    self, Build, Connections, Health, Links, Live, LogTail, LoggedWarning, Moment, Status,
    WorkerState,
};
use crate::{exposition, version, workers};

/// Where programs find it.
pub(super) const JSON: &str = "/api/v1/status";
/// How long what was made is shown again.
const FRESH: Duration = Duration::from_secs(1);

/// What is shown to all, and made anew now and then. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Overview(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    links: Links,
    /// None if configs are not read again.
    reloads: Option<Reloads>,
    page: Mutex<Option<Made>>,
    json: Mutex<Option<Made>>,
}

#[derive(Clone, Debug)]
struct Made {
    at: Instant,
    bytes: Bytes,
}

impl Overview {
    /// With links to these. It tells what has become of those reloads.
    pub(super) fn new(links: Links, reloads: Option<Reloads>) -> Self {
        let (page, json) = Default::default();
        Self(Arc::new(Inner { links, reloads, page, json }))
    }

    /// The page. Who asks whether the exporter is well is not told so once nothing can be scraped any more.
    pub(super) async fn page(
        self,
        State(scrapes): State<Scrapes>,
        Extension(seat): Extension<Handle>,
    ) -> Response {
        if !scrapes.is_alive() {
            return failure(&ScrapeError::Stopping);
        }
        let Inner { links, page, .. } = &*self.0;
        let bytes =
            shown(page, || self.render(&scrapes, &seat, |status| status::page(status, links)));
        let mut response = answer("text/html; charset=utf-8", &seat, bytes);
        response.headers_mut().extend(guards());
        response
    }

    /// The same as JSON.
    pub(super) async fn json(
        self,
        State(scrapes): State<Scrapes>,
        Extension(seat): Extension<Handle>,
    ) -> Response {
        let bytes = shown(&self.0.json, || self.render(&scrapes, &seat, |status| status.json()));
        answer("application/json", &seat, bytes)
    }

    /// The state now, as `write` has it.
    fn render(
        &self,
        scrapes: &Scrapes,
        seat: &Handle,
        write: impl FnOnce(&Status<'_>) -> String,
    ) -> Bytes {
        let notes = scrapes.notes();
        let known = Live {
            now: Moment::now(),
            exporter: build(),
            health: health(scrapes),
            readings: (notes.readings, notes.failed),
            busy: notes.busy.map(|since| since.elapsed()),
            reloads: self.0.reloads.as_ref().map(Reloads::state),
            http: connections(seat.room().traffic()),
            workers: workers::all().map(|(name, up)| WorkerState { name, up }).collect(),
            log: LogTail {
                lost_lines: logging::lost(),
                warnings: logging::recent().iter().map(warning).collect(),
            },
        };
        let Notes { findings, .. } = &notes;
        write(&Status::new(known, findings.as_deref())).into()
    }
}

/// What was made a moment ago, else what is made now.
fn shown(kept: &Mutex<Option<Made>>, make: impl FnOnce() -> Bytes) -> Bytes {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let at = Instant::now();
    if let Some(made) = kept.as_ref().filter(|made| at.duration_since(made.at) < FRESH) {
        return made.bytes.clone();
    }
    let bytes = make();
    *kept = Some(Made { at, bytes: bytes.clone() });
    bytes
}

fn answer(content_type: &str, seat: &Handle, bytes: Bytes) -> Response {
    let body = exposition::Body::from(bytes);
    let mut response =
        typed(content_type.to_owned(), Body::new(Parts::new(seat, &body))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What keeps a browser from doing anything with the page but show it.
fn guards() -> [(HeaderName, HeaderValue); 3] {
    let policy = HeaderValue::try_from(status::content_security_policy());
    [
        (
            header::CONTENT_SECURITY_POLICY,
            policy.unwrap_or(HeaderValue::from_static("default-src 'none'")),
        ),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ]
}

fn build() -> Build<'static> {
    Build {
        version: version::VERSION,
        branch: version::BRANCH,
        revision: version::REVISION,
        system: process::system(),
        started: process::started().and_then(Moment::of_seconds),
    }
}

fn health(scrapes: &Scrapes) -> Health {
    let (ailment, unready) = (scrapes.ailment(), scrapes.unready());
    let reason = ailment.or(unready).map(|why| why.to_string());
    Health { healthy: ailment.is_none(), ready: unready.is_none(), reason }
}

fn connections(traffic: &Traffic) -> Connections {
    let closed = traffic.closed().into_iter();
    let closed: BTreeMap<_, _> = closed.map(|(cause, count)| (cause.as_str(), count)).collect();
    Connections {
        open: traffic.open(),
        accepted: traffic.accepted(),
        closed,
        refused: traffic.refused(),
        unsent_bytes: traffic.unsent(),
    }
}

fn warning(line: &RecentLine) -> LoggedWarning {
    let level = match line.level {
        Level::Error => "error",
        _ => "warning",
    };
    LoggedWarning { at: Moment(line.time), level, text: line.text.clone() }
}
