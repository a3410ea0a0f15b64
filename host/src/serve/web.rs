//! The web config at work: TLS, headers, users and rate, as its file says now.
//!
//! The file is looked at with each request, and it and those that it names with each handshake; they are read when they
//! have changed. A file that has a fault by then lets nobody in: what it says is not known. Nor does one that
//! takes away what has protected the exporter since it started, for a file is empty before it is written.
//!
//! Runs on the thread that serves, so it reads nothing that has no end, and checks no password itself.

mod contents;
mod login;
mod pace;
mod passwords;
mod protection;
mod said;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use rustls::ServerConfig;
use tracing::warn;

use self::contents::{Contents, places};
use self::login::Login;
use self::pace::Pace;
use self::passwords::{Passwords, Verdict};
use self::protection::Protection;
use self::said::Said;
use super::responses::refusal;
use super::socket::Peer;
use super::tls::{self, Pem, Texts};
use crate::advice::{Advice, Advise as _};
use crate::config::web::{PemPlan, TlsPlan, UserPlan, WebPlan};
use crate::config::{self, ConfigFile, Fault, Severity};
use crate::files::Readable;
use crate::workers::{HireError, Hired};

/// Bytes of a file of certificates, or of a key.
const LARGEST_PEM: u64 = 1 << 20;

/// A web config at work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Web(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    state: Mutex<State>,
    passwords: Passwords,
}

/// What is known of the file and of those that it names.
#[derive(Debug)]
struct State {
    file: Contents,
    rules: Option<Arc<Rules>>,
    /// What has protected it since it started. None before.
    held: Option<Protection>,
    /// Those that the rules name, in the order of [`named`].
    named: Vec<Contents>,
    tls: Option<Arc<ServerConfig>>,
    /// Why clients will turn away from it, if they will.
    doubt: Option<Fault>,
    /// Whether it is of other rules.
    is_stale: bool,
    said_rules: Said,
    said_tls: Said,
}

/// What holds for all requests until the file changes.
#[derive(Debug)]
pub(super) struct Rules {
    plan: WebPlan,
    headers: HeaderMap,
    users: HashMap<String, UserPlan>,
    pace: Option<Arc<Pace>>,
}

/// Why a request is not answered.
pub(super) struct Refused {
    response: Response,
    rules: Option<Arc<Rules>>,
}

impl Web {
    /// The web config of this file, with all files that it names.
    ///
    /// # Errors
    ///
    /// Every fault that they have.
    pub fn open(path: &Path) -> Result<Self, Vec<Fault>> {
        let whole = |advice| vec![Fault::of_file(path, advice)];
        let passwords = Passwords::new().map_err(whole)?;
        let state = State {
            file: Contents::of(path, config::web::LARGEST),
            rules: None,
            held: None,
            named: Vec::new(),
            tls: None,
            doubt: None,
            is_stale: true,
            said_rules: Said::default(),
            said_tls: Said::default(),
        };
        let web =
            Self(Arc::new(Inner { path: path.to_owned(), state: Mutex::new(state), passwords }));
        web.reopen()?;
        Ok(web)
    }

    /// Reads all files again, as the user whom the exporter has become.
    ///
    /// # Errors
    ///
    /// Every fault that they have now.
    pub fn reopen(&self) -> Result<(), Vec<Fault>> {
        let mut state = self.state();
        state.file.read();
        self.settle(&mut state)?;
        read_all(&mut state.named);
        self.settle_tls(&mut state)
    }

    /// Has a worker check passwords.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub fn hire(&self, hired: &mut Hired) -> Result<(), HireError> {
        self.0.passwords.hire(hired)
    }

    /// What has to stay readable: the directories of its files.
    pub fn readable(&self) -> Vec<Readable> {
        let state = self.state();
        let files = state.named.iter().chain([&state.file]).flat_map(|file| places(file.path()));
        let mut files: Vec<_> = files.collect();
        files.sort();
        files.dedup();
        files.into_iter().map(Readable::Content).collect()
    }

    /// Why clients will turn away from the certificate as it is now, if they will: a warning.
    pub fn doubt(&self) -> Option<Fault> {
        self.state().doubt.clone()
    }

    /// Whether TLS is spoken. It is, or is not, from the start to the end.
    pub fn speaks_tls(&self) -> bool {
        self.state().held.is_some_and(Protection::speaks_tls)
    }

    /// What TLS is spoken with now; nothing if its files have a fault, which the log has been told of.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        let mut state = self.state();
        self.look(&mut state)?;
        let are_new = !state.named.iter().all(Contents::is_as_it_was) && read_all(&mut state.named);
        if are_new || state.is_stale {
            let settled = self.settle_tls(&mut state);
            let news = state.said_tls.take(settled);
            news.tell(&self.0.path, "no handshake is answered until that is corrected");
            state.doubt.iter().for_each(|doubt| warn!("{doubt}"));
        }
        state.tls.clone()
    }

    /// Whether a request is answered, and with what headers beside its own.
    ///
    /// # Errors
    ///
    /// What is answered instead.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<Arc<Rules>, Refused> {
        let rules = self.look(&mut self.state());
        let rules = rules.ok_or_else(|| {
            let text = "the web config has a fault; the exporter's log says which\n".to_owned();
            Refused { response: refusal(StatusCode::INTERNAL_SERVER_ERROR, text), rules: None }
        })?;
        let refused = |response| Refused { response, rules: Some(Arc::clone(&rules)) };
        if let Some(pace) = &rules.pace
            && !pace.allows(Instant::now())
        {
            let text = "more requests came than `rate_limit` allows\n".to_owned();
            return Err(refused(refusal(StatusCode::TOO_MANY_REQUESTS, text)));
        }
        if rules.users.is_empty() {
            return Ok(rules);
        }
        let Some(login) = Login::of(headers) else { return Err(refused(unknown())) };
        match self.verdict(&rules, login, peer).await {
            Verdict::Good => Ok(rules),
            Verdict::Wrong => Err(refused(unknown())),
            Verdict::Busy => {
                let text = "too many passwords are being checked\n".to_owned();
                let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, text);
                response.headers_mut().insert(header::RETRY_AFTER, 1.into());
                Err(refused(response))
            }
        }
    }

    /// Whether a password is that of its user. Of a user who is not there it takes as long to say.
    async fn verdict(&self, rules: &Rules, login: Login, peer: Peer) -> Verdict {
        let known = login.user_name().and_then(|user| rules.users.get(user));
        let dearest = || rules.users.values().max_by_key(|user| (user.cost, &user.name));
        let Some(user) = known.or_else(dearest) else { return Verdict::Wrong };
        self.0.passwords.check(user, login, known.is_some(), peer).await
    }

    /// The rules that hold now, if the file has no fault.
    fn look(&self, state: &mut State) -> Option<Arc<Rules>> {
        if !state.file.is_as_it_was() && state.file.read() {
            let settled = self.settle(state);
            let news = state.said_rules.take(settled);
            news.tell(&self.0.path, "nobody is served until that is corrected");
        }
        state.rules.clone()
    }

    /// Makes rules of what the file holds. If it has a fault there are none.
    fn settle(&self, state: &mut State) -> Result<(), Vec<Fault>> {
        let before = state.rules.take();
        let file = self.config_file(state)?;
        let plan = config::web::parse(&file)?;
        if let Some(gone) = state.held.and_then(|held| held.lost(&plan)) {
            return Err(vec![Fault::of_file(&self.0.path, gone)]);
        }
        state.held = Some(state.held.map_or(Protection::of(&plan), |held| held.and(&plan)));
        let rules = Rules::new(plan, before.as_deref());
        let named: Vec<_> =
            named(&rules.plan).into_iter().flat_map(|pem| pem.file.clone()).collect();
        if !state.named.iter().map(Contents::path).eq(named.iter().map(|path| &**path)) {
            state.named = named.iter().map(|path| Contents::of(path, LARGEST_PEM)).collect();
        }
        // Another plan may come of the same files.
        state.is_stale |= before.is_none_or(|before| before.plan != rules.plan);
        self.0.passwords.keep(&rules.users);
        state.rules = Some(Arc::new(rules));
        Ok(())
    }

    /// Makes of the rules, and of what the files hold that they name, what TLS is spoken with.
    fn settle_tls(&self, state: &mut State) -> Result<(), Vec<Fault>> {
        (state.tls, state.doubt, state.is_stale) = (None, None, false);
        let Some(rules) = state.rules.clone() else { return Ok(()) };
        let Some(plan) = &rules.plan.tls else { return Ok(()) };
        let texts = texts(plan, &state.named);
        match tls::config(plan, &texts, rules.plan.http2) {
            Ok(tls::Spoken { config, doubt }) => {
                state.tls = Some(Arc::new(config));
                let doubt = config::located(&self.config_file(state)?, doubt.into_iter().collect());
                let warning = |fault| Fault { severity: Severity::Warning, ..fault };
                state.doubt = doubt.into_iter().map(warning).next();
                Ok(())
            }
            Err(faults) => {
                let told = |(path, error): (String, tls::TlsError)| (path, error.advice());
                let faults = faults.into_iter().map(told).collect();
                Err(config::located(&self.config_file(state)?, faults))
            }
        }
    }

    fn config_file(&self, state: &State) -> Result<ConfigFile, Vec<Fault>> {
        let path = &self.0.path;
        let fault = |why: &str, remedy: &str| {
            vec![Fault::of_file(path, Advice::new(format!("the web config {why}"), remedy))]
        };
        let unread =
            "name a file of at most 1 MiB that can be read, as the user whom the exporter becomes";
        let bytes = state.file.bytes().map_err(|why| fault(why, unread))?;
        let text = str::from_utf8(bytes).map_err(|_| fault("is not UTF-8", "write it as UTF-8"))?;
        Ok(ConfigFile::new(path, text))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads all of them again, and says whether something else came of any.
fn read_all(files: &mut [Contents]) -> bool {
    let new = files.iter_mut().map(Contents::read).filter(|is_new| *is_new);
    new.count() > 0
}

/// That one has to say who one is.
fn unknown() -> Response {
    let text = "a user and a password are needed\n".to_owned();
    let mut response = refusal(StatusCode::UNAUTHORIZED, text);
    let value = header::HeaderValue::from_static("Basic realm=\"ebpf_wasm_exporter\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    response
}

/// The texts that TLS is made of.
fn named(plan: &WebPlan) -> Vec<&PemPlan> {
    let tls = plan.tls.iter();
    tls.flat_map(|tls| [&tls.certificate, &tls.key].into_iter().chain(&tls.authorities)).collect()
}

/// These texts, of which these files are read.
fn texts<'a>(plan: &'a TlsPlan, read: &'a [Contents]) -> Texts<'a> {
    let pem = |plan: &'a PemPlan| {
        let bytes = match &plan.file {
            None => Ok(plan.text.as_bytes()),
            Some(file) => match read.iter().find(|read| read.path() == file) {
                Some(read) => read.bytes().map(|bytes: &Bytes| &**bytes),
                None => Err("was not read"),
            },
        };
        Pem { plan, bytes }
    };
    Texts {
        certificate: pem(&plan.certificate),
        key: pem(&plan.key),
        authorities: plan.authorities.as_ref().map(pem),
    }
}

impl Rules {
    /// Those of a plan. Who came before the rules that were there counts on.
    fn new(plan: WebPlan, before: Option<&Self>) -> Self {
        let same = before.filter(|before| before.plan.rate == plan.rate);
        let pace = match same {
            Some(before) => before.pace.clone(),
            None => plan.rate.map(|rate| Arc::new(Pace::new(rate))),
        };
        let named = |user: &UserPlan| (user.name.clone(), user.clone());
        let users = plan.users.iter().map(named).collect();
        let header = |(name, value): &(&'static str, header::HeaderValue)| {
            let name = HeaderName::try_from(*name).ok()?;
            Some((name, value.clone()))
        };
        let headers = plan.headers.iter().filter_map(header).collect();
        Self { plan, headers, users, pace }
    }

    /// Adds the headers that each response has.
    pub(super) fn dress<B>(&self, response: &mut axum::http::Response<B>) {
        let headers = response.headers_mut();
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }
}

impl Refused {
    /// What is answered.
    pub(super) fn into_response(mut self) -> Response {
        if let Some(rules) = self.rules {
            rules.dress(&mut self.response);
        }
        self.response
    }
}

#[cfg(test)]
mod tests;
