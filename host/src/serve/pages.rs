//! The pages: metrics, landing page, maps, and what is said to those who ask for anything else.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::accept::preferred;
use super::choice::Choice;
use super::encoding::wants_gzip;
use super::health::{self, HEALTHY, READY};
use super::maps;
use super::overview::{self, Overview};
use super::parts::Parts;
use super::paths::{self, Meant};
use super::reloads::{ReloadNews, Reloads};
use super::responses::{TEXT_TYPE, failure, refusal, typed};
use super::room::Handle;
use super::scrapes::{Answer, Page, ScrapeError, Scrapes};
use crate::advice::Advise;
use crate::status::Links;

const MAPS: &str = "/maps";
/// Where configs are had read again.
const RELOAD: &str = "/-/reload";
/// What the paths of the maps begin with.
const BELOW_MAPS: &str = "/maps/";
/// Who waits for less is taken to wait for this: a reading is shared, and one client is not to leave no
/// time for the plugins of all.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct Site {
    /// The path of the metrics.
    pub telemetry_path: TelemetryPath,
    /// Whether there are `/maps` and the pages below.
    pub maps: bool,
    /// Whether clients that ask for OpenMetrics get it.
    pub openmetrics: bool,
    /// Whether whoever can connect may have configs read again.
    pub lifecycle: bool,
    /// Who reads them again, if anybody does.
    pub reloads: Option<Reloads>,
}

/// The value of `--web.telemetry-path`: an absolute path of characters that stand for themselves
/// in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPath(String);

/// What is wrong with the value of `--web.telemetry-path`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("--web.telemetry-path={0} does not begin with a slash")]
    Relative(String),
    /// It has a character that a path in a URL cannot have.
    #[error("--web.telemetry-path={path} has {character:?}, which a path in a URL cannot have")]
    Character {
        /// The path.
        path: String,
        /// The first such character.
        character: char,
    },
    /// It has a percent sign that stands for nothing.
    #[error("--web.telemetry-path={0} has a % without two hexadecimal digits behind it")]
    Escape(String),
    /// It is where the maps are.
    #[error("--web.telemetry-path={0} is where --web.enable-maps or --debug shows the maps")]
    Maps(String),
}

impl Advise for PathError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Relative(_) => "write /metrics",
            Self::Character { .. } => "leave it out or write it as %XX",
            Self::Escape(_) => "write %25 for a percent sign",
            Self::Maps(_) => "write another path",
        };
        Some(remedy.to_owned())
    }
}

impl Site {
    /// The same, if no page stands where another is.
    ///
    /// # Errors
    ///
    /// When the metrics would hide the maps: [`PathError::Maps`].
    pub fn checked(self) -> Result<Self, PathError> {
        let path = self.telemetry_path.canonical();
        let below = path.strip_prefix(MAPS);
        if self.maps && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Err(PathError::Maps(self.telemetry_path.as_str().to_owned()));
        }
        Ok(self)
    }
}

impl TelemetryPath {
    /// Checks the text of the flag.
    ///
    /// # Errors
    ///
    /// See [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if !text.starts_with('/') {
            return Err(PathError::Relative(text.to_owned()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(c);
        match text.chars().find(|&character| !allowed(character)) {
            Some(character) => Err(PathError::Character { path: text.to_owned(), character }),
            None if paths::canonical(text).is_none() => Err(PathError::Escape(text.to_owned())),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The path, as requests for it are compared.
    fn canonical(&self) -> String {
        paths::canonical(&self.0).unwrap_or_else(|| self.0.clone())
    }

    /// The path, beginning with a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All routes. Where two would stand at one path, the metrics win. A path that only means that of a
/// page is answered like it, or led to it: see `paths`.
pub fn router(site: &Site, scrapes: Scrapes) -> Router {
    let path = site.telemetry_path.canonical();
    let elsewhere = format!("no such page; the metrics are at {}\n", site.telemetry_path.as_str());
    let mut pages = vec![path.clone()];
    // A path that begins with a colon or a star is meant as it is.
    let mut router = Router::new().without_v07_checks().route(&path, metrics(site.openmetrics));
    let has_maps = site.maps && path != MAPS;
    let metrics_path = site.telemetry_path.as_str().to_owned();
    let links = Links { metrics: metrics_path, maps: has_maps };
    let overview = Overview::new(links, site.reloads.clone());
    let page = overview.clone();
    let others = [
        ("/", get(async |scrapes, seat| page.page(scrapes, seat).await)),
        (overview::JSON, get(async |scrapes, seat| overview.json(scrapes, seat).await)),
        (HEALTHY, get(health::healthy)),
        (READY, get(health::ready)),
    ];
    for (at, page) in others.into_iter().filter(|(at, _)| *at != path) {
        router = router.route(at, page);
        pages.push(at.to_owned());
    }
    if has_maps {
        router = router.route(MAPS, get(maps::index));
        router = router.route(&format!("{BELOW_MAPS}{{*map}}"), get(maps::entries));
        pages.push(MAPS.to_owned());
    }
    if path != RELOAD {
        let (reloads, lifecycle) = (site.reloads.clone(), site.lifecycle);
        let answer = async move || reload(reloads, lifecycle).await;
        router = router.route(RELOAD, post(answer.clone()).put(answer));
        pages.push(RELOAD.to_owned());
    }
    let below = has_maps.then_some(BELOW_MAPS);
    let router = router
        .method_not_allowed_fallback(async |uri: Uri| {
            let methods = if uri.path() == RELOAD { "POST and PUT" } else { "GET and HEAD" };
            let text = format!("only {methods} are served at {}\n", uri.path());
            refusal(StatusCode::METHOD_NOT_ALLOWED, text)
        })
        .with_state(scrapes);
    let exact = TowerToHyperService::new(router.clone());
    router.fallback(async move |mut request: Request| {
        match paths::meant(request.uri(), &pages, below) {
            Meant::Page(uri) => {
                *request.uri_mut() = uri;
                exact.call(request).await.into_response()
            }
            Meant::Elsewhere(place) => {
                (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, place)]).into_response()
            }
            Meant::Nothing => refusal(StatusCode::NOT_FOUND, elsewhere),
            Meant::Nonsense => refusal(
                StatusCode::BAD_REQUEST,
                "the path has a % without two hexadecimal digits behind it; \
                 write %25 for a percent sign\n"
                    .to_owned(),
            ),
        }
    })
}

fn metrics(openmetrics: bool) -> MethodRouter<Scrapes> {
    get(
        async move |State(scrapes): State<Scrapes>,
                    Extension(seat),
                    uri: Uri,
                    headers: HeaderMap| {
            let choice = match Choice::of(uri.query()) {
                Ok(choice) => choice,
                Err(both) => return refusal(StatusCode::BAD_REQUEST, format!("{both}\n")),
            };
            let accepted = preferred(&headers, openmetrics);
            let wanted = Page::Metrics(accepted.format, accepted.escaping);
            let answer =
                scrapes.get_of(choice, wanted, wants_gzip(&headers), patience(&headers)).await;
            let mut response = page(answer, accepted.content_type(), &seat);
            let vary = HeaderValue::from_static("Accept, Accept-Encoding");
            response.headers_mut().insert(header::VARY, vary);
            response
        },
    )
}

/// Has configs read again, if that may be asked for here.
async fn reload(reloads: Option<Reloads>, lifecycle: bool) -> Response {
    if !lifecycle {
        let text = "reloading by HTTP is off; start with --web.enable-lifecycle, or send SIGHUP\n";
        return refusal(StatusCode::FORBIDDEN, text.to_owned());
    }
    let Some(reloads) = reloads else {
        let text = "configs are not read again here; start without --no-config.reload; what is replayed never is\n";
        return refusal(StatusCode::FORBIDDEN, text.to_owned());
    };
    match reloads.ask().await {
        Ok(ReloadNews { changed, notes }) => {
            let lines = [format!("reloaded: {changed}")].into_iter().chain(notes);
            let text: String = lines.map(|line| line + "\n").collect();
            typed(TEXT_TYPE.to_owned(), text).into_response()
        }
        Err(advice) => refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{advice}\n")),
    }
}

/// How long the client says it waits, if what it says makes sense: Prometheus' own timeout for the
/// scrape, in seconds.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("x-prometheus-scrape-timeout-seconds")?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    let patience = Duration::try_from_secs_f64(seconds).ok();
    patience.filter(|patience| !patience.is_zero()).map(|patience| patience.max(LEAST_PATIENCE))
}

fn page(answer: Result<Answer, ScrapeError>, content_type: String, seat: &Handle) -> Response {
    match answer {
        Ok(Answer { body, gzipped }) => {
            let mut response =
                typed(content_type, Body::new(Parts::new(seat, &body))).into_response();
            if gzipped {
                let gzip = HeaderValue::from_static("gzip");
                response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            }
            response
        }
        Err(error) => failure(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(path: &str, maps: bool) -> Site {
        let telemetry_path = TelemetryPath::parse(path).unwrap();
        Site { telemetry_path, maps, openmetrics: false, lifecycle: false, reloads: None }
    }

    #[test]
    fn says_what_is_wrong_with_a_path() {
        let refusal = |text| TelemetryPath::parse(text).unwrap_err().advice().to_string();
        insta::assert_snapshot!(
            refusal("metrics"),
            @"--web.telemetry-path=metrics does not begin with a slash; write /metrics"
        );
        insta::assert_snapshot!(
            refusal("/a?b"),
            @"--web.telemetry-path=/a?b has '?', which a path in a URL cannot have; leave it out or write it as %XX"
        );
        insta::assert_snapshot!(
            refusal("/50%"),
            @"--web.telemetry-path=/50% has a % without two hexadecimal digits behind it; write %25 for a percent sign"
        );
        assert!(site("/%6daps", true).checked().is_err());
        let maps = site("/maps", true).checked().unwrap_err();
        insta::assert_snapshot!(
            maps.advice(),
            @"--web.telemetry-path=/maps is where --web.enable-maps or --debug shows the maps; write another path"
        );
        assert!(site("/maps/x", true).checked().is_err());
        assert!(site("/mapsx", true).checked().is_ok());
        assert!(site("/maps", false).checked().is_ok());
        for text in ["", "/a b", "/a#b", "/{a}", "/\u{e9}", "/a\n"] {
            refusal(text);
        }
    }

    #[test]
    fn patience_is_a_number_of_seconds_or_none() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            patience(&HeaderMap::from_iter([(
                header::HeaderName::from_static("x-prometheus-scrape-timeout-seconds"),
                value,
            )]))
        };
        for (text, millis) in
            [("10", 10_000), ("0.5", 500), (" 1e1 ", 10_000), ("86400", 86_400_000), ("1e-6", 100)]
        {
            assert_eq!(of(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0", "-0", "-1", "NaN", "inf", "-inf", "1e300", "10s", "1,5", "1e-30", "x"]
        {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(patience(&HeaderMap::new()), None);
    }
}
