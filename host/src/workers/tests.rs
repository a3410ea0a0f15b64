//! Workers end in order, and none dies unseen.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use tracing::subscriber;

use super::*;

/// After this, what should have come will not.
const HANG: Duration = Duration::from_secs(60);

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let log = self.clone();
        let format = tracing_subscriber::fmt().with_ansi(false).with_target(false).without_time();
        format.with_writer(move || log.clone()).finish()
    }

    /// Has this thread log here, as long as it lives.
    fn take_thread(&self) {
        mem::forget(subscriber::set_default(self.subscriber()));
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn post(name: &'static str, patience: Duration) -> Post {
    Post { name, stack: SMALL_STACK, patience }
}

/// Hires one that works until it is told to end, and says here when it is told and when it ends.
fn hire(hired: &mut Hired, name: &'static str, said: &Sender<String>) {
    let (tell, told) = mpsc::channel::<()>();
    let (ends, is_told) = (said.clone(), said.clone());
    let work = move || {
        let _ = told.recv();
        ends.send(format!("{name} ends")).unwrap();
    };
    let tell = move || {
        is_told.send(format!("{name} is told")).unwrap();
        drop(tell);
    };
    hired.hire(post(name, HANG), work, tell).unwrap();
}

/// A worker that logs to this, and what was said of it until it had ended by itself.
fn logged_of(work: fn()) -> (String, bool) {
    let (log, mut hired) = (Log::default(), Hired::default());
    let logs = log.clone();
    let work = move || {
        logs.take_thread();
        work();
    };
    hired.hire(post("poor", HANG), work, || ()).unwrap();
    let workers = hired.begin();
    let _ = workers.all[0].life.recv();
    let (_, up) = workers.roster().iter().next().unwrap();
    workers.stop();
    (log.text(), up)
}

#[test]
fn the_last_one_hired_ends_first() {
    let (said, heard) = mpsc::channel();
    let mut hired = Hired::default();
    ["one", "two", "three"].iter().for_each(|name| hire(&mut hired, name, &said));
    drop(said);
    assert_eq!(hired.count(), 3);
    let workers = hired.begin();
    let roster = workers.roster();
    assert!(roster.iter().eq([("one", true), ("two", true), ("three", true)]));
    assert!(heard.try_recv().is_err());
    workers.stop();
    let expected = ["three", "two", "one"]
        .map(|name| [format!("{name} is told"), format!("{name} ends")])
        .concat();
    assert_eq!(heard.iter().collect::<Vec<_>>(), expected);
    assert!(roster.iter().all(|(_, up)| !up));
}

#[test]
fn each_does_on_its_own_thread_what_comes_first() {
    let (said, heard) = mpsc::channel();
    let mut hired = Hired::default();
    ["one", "two"].iter().for_each(|name| hire(&mut hired, name, &said));
    let names = hired.each(|name| (name, thread::current().name().map(str::to_owned)));
    assert_eq!(names, [("one", Some("one".to_owned())), ("two", Some("two".to_owned()))]);
    assert_eq!(hired.each(|_| 7), [7, 7], "and again");
    drop((hired, said));
    assert_eq!(heard.recv(), Err(mpsc::RecvError), "and none has worked, or will");
}

#[test]
fn who_dies_before_is_not_waited_for() {
    let (said, heard) = mpsc::channel();
    let mut hired = Hired::default();
    ["one", "two"].iter().for_each(|name| hire(&mut hired, name, &said));
    let answers = hired.each(|_| assert_eq!(thread::current().name(), Some("two")));
    assert_eq!((answers.len(), hired.each(|_| 7)), (1, vec![7]));
    let workers = hired.begin();
    workers.stop();
    drop(said);
    assert_eq!(heard.iter().collect::<Vec<_>>(), ["two is told", "two ends", "one is told"]);
}

#[test]
fn one_that_dies_is_said_once() {
    insta::assert_snapshot!(logged_of(|| panic!("as the test wants it")).0, @"ERROR the worker poor has ended, though nobody told it to; restart the exporter if it goes on, and report this bug with the lines above");
    let (log, up) = logged_of(|| ());
    assert_eq!((log.lines().count(), up), (1, false), "{log}");
}

#[test]
fn a_panic_at_the_end_is_said() {
    let (log, mut hired) = (Log::default(), Hired::default());
    let (tell, told) = mpsc::channel::<()>();
    let logs = log.clone();
    let work = move || {
        logs.take_thread();
        told.recv().unwrap();
    };
    hired.hire(post("poor", HANG), work, move || drop(tell)).unwrap();
    hired.begin().stop();
    insta::assert_snapshot!(log.text(), @" WARN the worker poor panicked while it ended");
}

#[test]
fn who_does_not_end_in_time_is_named_and_left() {
    let log = Log::default();
    let (said, heard) = mpsc::channel();
    let (_never, forever) = mpsc::channel::<()>();
    let mut hired = Hired::default();
    hire(&mut hired, "good", &said);
    let stay = move || assert!(forever.recv().is_err());
    hired.hire(post("slow", Duration::from_millis(1)), stay, || ()).unwrap();
    let (_nor, this) = mpsc::channel::<()>();
    hired.hire(post("left", HANG), move || assert!(this.recv().is_err()), || ()).unwrap();
    let mut workers = hired.begin();
    workers.leave("left");
    subscriber::with_default(log.subscriber(), || workers.stop());
    drop(said);
    assert_eq!(heard.iter().collect::<Vec<_>>(), ["good is told", "good ends"]);
    insta::assert_snapshot!(log.text(), @" WARN the worker slow did not end within 1ms; the exporter ends without it");
}
