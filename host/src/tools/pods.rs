//! `pods`: which pods this node runs, from its kubelet into a file, so that plugins can name them.
//!
//! The exporter reads the file as any other that a config names: it needs neither the network nor a token.
//! What is there stays until there is something better, whatever goes wrong.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::advice::{Advice, Advise};
use crate::cli::{Exit, Pods};
use crate::config;
use crate::files;
use crate::kubelet::{KeptPods, Kubelet, KubeletAddress, KubeletError, LARGEST_LIST};
use crate::startup::report::counted;
use crate::trust::{Identity, TrustError};

/// Where Kubernetes puts what a pod is to show, and whom it is to trust.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How many answers in a row have to say that there are no pods before a list that has some is replaced: a
/// kubelet that has just started may not know of them yet.
const EMPTY: u32 = 3;
/// The longest wait behind a failure, unless `--refresh` is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Why there is no list of pods.
#[derive(Debug, thiserror::Error)]
pub enum PodsError {
    /// What was typed makes no sense.
    #[error("{}", .0.problem)]
    Usage(Advice),
    /// The kubelet gives none.
    #[error(transparent)]
    Kubelet(#[from] KubeletError),
    /// The kubelet says that there are no pods, and not often enough to be believed.
    #[error("the kubelet says that there are no pods, and {} has some", .0.display())]
    Emptied(PathBuf),
    /// It cannot be put where it belongs.
    #[error("failed to write {}", file.display())]
    Unwritten {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system has no means to wait for several things.
    #[error("failed to prepare for asking")]
    System(#[from] io::Error),
}

impl PodsError {
    /// With what the process is to end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Kubelet(KubeletError::Address(_)) => Exit::Usage,
            _ if self.file().is_some() => Exit::Usage,
            _ => Exit::Unexpected,
        }
    }

    /// The file of no use that says who asks, or whom to trust.
    fn file(&self) -> Option<&Path> {
        match self {
            Self::Kubelet(
                KubeletError::Token { file, .. }
                | KubeletError::Trust(TrustError::File { file, .. }),
            ) => Some(file),
            _ => None,
        }
    }
}

impl Advise for PodsError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Usage(advice) => advice.remedy.clone(),
            _ if self.file().is_some_and(|file| file.starts_with(SERVICE_ACCOUNT)) => Some(
                "see what Kubernetes has put there for the pod's service account, or name other files with \
                 --kubelet.token-file and --kubelet.ca-file"
                    .to_owned(),
            ),
            Self::Kubelet(error) => error.remedy(),
            Self::Unwritten { .. } => {
                Some("name a file with -o, in a directory that you may write into".to_owned())
            }
            Self::Emptied(_) => {
                Some(format!("it is believed when {EMPTY} answers in a row say so"))
            }
            Self::System(_) => None,
        }
    }
}

impl Pods {
    /// Keeps the list in its file until a signal comes, or asks once. What is to be printed then.
    ///
    /// # Errors
    ///
    /// See [`PodsError`]. Once it has begun to keep the list, none ends it.
    pub fn work(&self) -> Result<String, PodsError> {
        let Order { kubelet, file, refresh } = Order::of(self)?;
        if kubelet.unchecked {
            warn!(
                "--kubelet.insecure-skip-verify: whoever is between here and the kubelet can read the token, \
                 and name pods"
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(async {
            match file {
                None => Ok(String::from_utf8_lossy(&kubelet.pods().await?.text).into_owned()),
                Some(file) if self.once => Ok(format!("{}\n", put(kubelet.pods().await?, &file)?)),
                Some(file) => Keeper { kubelet, file, refresh, empty: 0 }.keep().await,
            }
        });
        // A name that is still looked up is not waited for.
        runtime.shutdown_background();
        done
    }
}

/// What was typed, as what it means.
struct Order {
    kubelet: Kubelet,
    file: Option<PathBuf>,
    refresh: Duration,
}

impl Order {
    fn of(flags: &Pods) -> Result<Self, PodsError> {
        let (timeout, refresh) =
            (wait("--timeout", &flags.timeout)?, wait("--refresh", &flags.refresh)?);
        let kubelet = kubelet(flags, timeout)?;
        if let Some(file) = &flags.output {
            // What is no directory has none in it.
            let dir = files::directory(file).join(".");
            fs::metadata(dir).map_err(|source| unwritten(file, source))?;
        }
        Ok(Self { kubelet, file: flags.output.clone(), refresh })
    }
}

fn wait(flag: &str, text: &str) -> Result<Duration, PodsError> {
    let time = config::time(text).filter(|time| *time >= Duration::from_millis(100));
    time.ok_or_else(|| {
        usage(format!("{flag}={text} is no time to wait"), "write one such as 10s or 1m")
    })
}

fn kubelet(flags: &Pods, timeout: Duration) -> Result<Kubelet, PodsError> {
    let address: KubeletAddress = flags.url.parse()?;
    if let Some(flag) = for_tls(flags).filter(|_| !address.is_safe()) {
        let problem = format!("{flag} is for TLS, and http:// has none");
        return Err(usage(problem, "write https:// in --kubelet.url, or leave it out"));
    }
    let own = |name: &str| Some(Path::new(SERVICE_ACCOUNT).join(name)).filter(|file| file.exists());
    let both = flags.cert_file.clone().zip(flags.key_file.clone());
    let identity = both.map(|(certificate, key)| Identity { certificate, key });
    Ok(Kubelet {
        address,
        // Of two ways to say who one is, the one that was typed.
        token: match (&flags.token_file, &identity) {
            (None, None) => own("token"),
            (typed, _) => typed.clone(),
        },
        authorities: flags.ca_file.clone().or_else(|| own("ca.crt")),
        identity,
        unchecked: flags.insecure_skip_verify,
        timeout,
    })
}

/// A flag that was typed and means nothing without TLS.
fn for_tls(flags: &Pods) -> Option<&'static str> {
    let typed = [
        ("--kubelet.token-file", flags.token_file.is_some()),
        ("--kubelet.ca-file", flags.ca_file.is_some()),
        ("--kubelet.cert-file", flags.cert_file.is_some()),
        ("--kubelet.insecure-skip-verify", flags.insecure_skip_verify),
    ];
    typed.into_iter().find(|(_, typed)| *typed).map(|(flag, _)| flag)
}

/// What became of the file.
#[derive(Debug, PartialEq, Eq)]
struct Renewed {
    file: PathBuf,
    count: usize,
    /// Whether it was something else before.
    written: bool,
}

impl fmt::Display for Renewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, pods) = (self.file.display(), counted(self.count, "pod"));
        match self.written {
            true => write!(f, "wrote {file}: {pods}"),
            false => write!(f, "{file} is as it was: {pods}"),
        }
    }
}

/// Puts a list into the file. One that has it is marked as still right.
fn put(KeptPods { count, text }: KeptPods, file: &Path) -> Result<Renewed, PodsError> {
    let there = files::read(file, LARGEST_LIST as u64);
    let written = !there.is_ok_and(|there| there == text);
    // Who reads it is to know that it is still right.
    if written || files::touch(file).is_err() {
        files::replace(file, &text).map_err(|source| unwritten(file, source))?;
    }
    Ok(Renewed { file: file.to_owned(), count, written })
}

fn usage(problem: String, remedy: &str) -> PodsError {
    PodsError::Usage(Advice::new(problem, remedy))
}

fn unwritten(file: &Path, source: io::Error) -> PodsError {
    PodsError::Unwritten { file: file.to_owned(), source }
}

/// What keeps the list in its file.
struct Keeper {
    kubelet: Kubelet,
    file: PathBuf,
    refresh: Duration,
    /// How many answers in a row have said that there are no pods.
    empty: u32,
}

impl Keeper {
    /// Asks, and puts the answer into the file, if it is to be believed.
    async fn renew(&mut self) -> Result<Renewed, PodsError> {
        let list = self.kubelet.pods().await?;
        self.empty = if list.count == 0 { self.empty.saturating_add(1) } else { 0 };
        if (1..EMPTY).contains(&self.empty) && has_pods(&self.file) {
            return Err(PodsError::Emptied(self.file.clone()));
        }
        put(list, &self.file)
    }

    async fn keep(mut self) -> Result<String, PodsError> {
        let mut ended = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut course = Course::default();
        let renewing = async {
            loop {
                let result = self.renew().await;
                let (wait, line) = course.goes_on(result, self.refresh);
                match line {
                    Some(Line::Well(text)) => info!("{text}"),
                    Some(Line::Ill(text)) => warn!("{text}"),
                    None => {}
                }
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = renewing => {}
            _ = ended.recv() => {}
            _ = interrupted.recv() => {}
        }
        Ok(String::new())
    }
}

/// Whether a file is a list of pods that has some.
fn has_pods(file: &Path) -> bool {
    let there = files::read(file, LARGEST_LIST as u64);
    there.is_ok_and(|there| KeptPods::read(&there).is_ok_and(|list| list.count > 0))
}

/// How it has gone so far.
#[derive(Default)]
struct Course {
    /// Whether it has gone well once.
    begun: bool,
    /// How often it has failed since it last went well.
    failures: u32,
    /// What was said of the last failure.
    said: String,
}

/// What the log is told.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Well(String),
    Ill(String),
}

impl Course {
    /// How long to wait now, and what is to be said: the first time, when it fails in another way than before,
    /// and when it goes well again.
    fn goes_on(
        &mut self,
        result: Result<Renewed, PodsError>,
        refresh: Duration,
    ) -> (Duration, Option<Line>) {
        match result {
            Ok(renewed) => {
                let news = !self.begun || self.failures > 0;
                *self = Self { begun: true, ..Self::default() };
                (refresh, news.then(|| Line::Well(renewed.to_string())))
            }
            Err(error) => {
                let factor = 1 << self.failures.min(16);
                let wait = refresh.saturating_mul(factor).min(LONGEST_WAIT.max(refresh));
                self.failures = self.failures.saturating_add(1);
                let text = error.advice().to_string();
                let news = self.said != text;
                self.said.clone_from(&text);
                let kept = if self.begun { "; the file stays as it is meanwhile" } else { "" };
                let line = format!("{text}{kept}; it is tried again, after {wait:?} at first");
                (wait, news.then_some(Line::Ill(line)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(words: &[&str]) -> Pods {
        use clap::Parser as _;

        let all = [&["ebpf_wasm_exporter", "pods"], words].concat();
        match crate::cli::Flags::try_parse_from(all).unwrap().command {
            Some(crate::cli::Command::Pods(pods)) => pods,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn slips_are_said() {
        let said = |words: &[&str]| {
            let error = Order::of(&flags(words)).err().unwrap();
            format!("{} {}", error.exit() as u8, error.advice())
        };
        insta::assert_snapshot!(said(&["--kubelet.url=localhost:10250"]), @"2 --kubelet.url: `localhost:10250` is no address of a kubelet; write one such as https://127.0.0.1:10250");
        insta::assert_snapshot!(said(&["--refresh=1"]), @"2 --refresh=1 is no time to wait; write one such as 10s or 1m");
        insta::assert_snapshot!(said(&["--timeout=0s"]), @"2 --timeout=0s is no time to wait; write one such as 10s or 1m");
        insta::assert_snapshot!(said(&["--kubelet.url=http://a", "--kubelet.token-file=t"]), @"2 --kubelet.token-file is for TLS, and http:// has none; write https:// in --kubelet.url, or leave it out");
        insta::assert_snapshot!(said(&["--kubelet.url=http://a", "--kubelet.insecure-skip-verify"]), @"2 --kubelet.insecure-skip-verify is for TLS, and http:// has none; write https:// in --kubelet.url, or leave it out");
        insta::assert_snapshot!(said(&["-o", "/gone/pods.json"]), @"1 failed to write /gone/pods.json: no such file or directory; name a file with -o, in a directory that you may write into");
    }

    #[test]
    fn files_that_nobody_typed_have_a_remedy_of_their_own() {
        let own = |name: &str| Path::new(SERVICE_ACCOUNT).join(name);
        let said = |error: KubeletError| PodsError::from(error).advice().to_string();
        let token = KubeletError::Token { file: own("token"), why: "holds no token".to_owned() };
        let trust = TrustError::File {
            file: own("ca.crt"),
            why: "is a directory".to_owned(),
            remedy: None,
        };
        insta::assert_snapshot!(said(token), @"/var/run/secrets/kubernetes.io/serviceaccount/token holds no token; see what Kubernetes has put there for the pod's service account, or name other files with --kubelet.token-file and --kubelet.ca-file");
        insta::assert_snapshot!(said(trust.into()), @"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt is a directory; see what Kubernetes has put there for the pod's service account, or name other files with --kubelet.token-file and --kubelet.ca-file");
    }

    #[test]
    fn of_two_ways_to_say_who_asks_the_one_that_was_typed_counts() {
        let pair = ["--kubelet.cert-file=c", "--kubelet.key-file=k"];
        let Kubelet { token, identity, .. } = Order::of(&flags(&pair)).unwrap().kubelet;
        assert_eq!((token, identity.is_some()), (None, true));
    }

    #[test]
    fn the_log_hears_of_what_changes_and_waits_grow() {
        let refresh = Duration::from_secs(10);
        let good = || Ok(Renewed { file: "pods.json".into(), count: 2, written: true });
        let bad = |host: &str| {
            let time = Duration::from_secs(10);
            Err(KubeletError::TooLong { host: host.to_owned(), time }.into())
        };
        let mut course = Course::default();
        let mut told = Vec::new();
        for result in [
            bad("a"),
            bad("a"),
            good(),
            good(),
            bad("a"),
            bad("a"),
            bad("b"),
            bad("b"),
            bad("b"),
            bad("b"),
            good(),
        ] {
            let (wait, line) = course.goes_on(result, refresh);
            told.push(match line {
                None => format!("{wait:?}"),
                Some(Line::Well(text)) => format!("{wait:?} well: {text}"),
                Some(Line::Ill(text)) => format!("{wait:?} ill: {text}"),
            });
        }
        insta::assert_snapshot!(told.join("\n"), @"
        10s ill: the kubelet at a took longer than 10s; see whether the kubelet is well, or raise --timeout; it is tried again, after 10s at first
        20s
        10s well: wrote pods.json: 2 pods
        10s
        10s ill: the kubelet at a took longer than 10s; see whether the kubelet is well, or raise --timeout; the file stays as it is meanwhile; it is tried again, after 10s at first
        20s
        40s ill: the kubelet at b took longer than 10s; see whether the kubelet is well, or raise --timeout; the file stays as it is meanwhile; it is tried again, after 40s at first
        80s
        120s
        120s
        10s well: wrote pods.json: 2 pods
        ");
    }
}
