//! Which rows are decided, which wait, and what becomes of them meanwhile.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::*;
use crate::bpf::Value;
use crate::config::name::LabelName;
use crate::config::{self, ConfigFile, OnRowError};
use crate::decode::{Decoder, OnError, Step};
use crate::link;
use crate::source::Chunk;
use crate::system::System;
use crate::transform::{RowAnswers, Transform, TransformStep};

/// A plugin that has time for so many inputs, and answers anew each time.
#[derive(Default)]
struct Busy {
    time: usize,
    asked: Vec<u8>,
    /// Whether it answers the same each time.
    steady: bool,
    /// Whether its calls fail.
    fails: bool,
}

struct Shared(Arc<Mutex<Busy>>);

impl Decoder for Shared {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let busy = &mut *self.0.lock().unwrap();
        if busy.time == 0 {
            return Err(DecodeError::new("no time").deferred());
        }
        busy.time -= 1;
        if busy.fails {
            return Err(DecodeError::new("it trapped").unanswered(Duration::from_secs(1)));
        }
        busy.asked.push(input[0]);
        let turn = if busy.steady { 0 } else { busy.asked.len() };
        out.extend_from_slice(format!("{}-{turn}", input[0]).as_bytes());
        Ok(Outcome::LabelFor(Duration::from_secs(1)))
    }
}

/// A decoder of inputs that all have this name now.
struct Named(Arc<Mutex<Option<&'static str>>>);

impl Decoder for Named {
    fn decode(&mut self, _: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let name = *self.0.lock().unwrap();
        out.extend_from_slice(name.unwrap_or("unknown").as_bytes());
        let soon = Duration::from_secs(1);
        Ok(if name.is_some() { Outcome::LabelFor(soon) } else { Outcome::NoName(soon) })
    }
}

/// One metric whose label a plugin makes.
struct Scene {
    busy: Arc<Mutex<Busy>>,
    decoder: KeyDecoder,
    known: Known,
    family: Family,
    now: Instant,
}

impl Scene {
    fn new(on_error: OnError) -> Self {
        let text = "metrics: {counters: [{name: a, help: A, labels: [{name: l, size: 1}]}]}";
        let file = ConfigFile::new("x.yaml", text);
        let (configs, _) = config::load(vec![file], &[]);
        let (mut linked, _) =
            link::metrics(&configs[0], &mut link::Plugins::new(), &System::default());
        let mut linked = linked.remove(0);
        let busy: Arc<Mutex<Busy>> = Arc::default();
        let step = Step { name: "wasm", decoder: Box::new(Shared(Arc::clone(&busy))), on_error };
        linked.chains[0] = Chain::new(vec![step]);
        let fields = vec![Field { role: Role::Label, bytes: 0..1 }];
        let values = vec![Value::WHOLE];
        let layout = Layout { map: "a".into(), per_cpu: false, key: Key::Labels, fields, values };
        let family =
            Family::new("a".into(), "A".into(), vec!["l".into()], crate::series::Kind::Counter);
        Self {
            busy,
            decoder: KeyDecoder::new(linked, &layout, 1, Vec::new()),
            known: Known::new(1, &[Column::Counter]),
            family,
            now: Instant::now(),
        }
    }

    /// A scrape of a map with these keys, the next second, in which the plugin has time for so many; two
    /// rows are decided at a time. Whom it asked, and the labels then.
    fn scrape(&mut self, keys: &[u8], time: usize) -> (Vec<u8>, Vec<String>) {
        self.now += Duration::from_secs(1);
        let before = self.busy.lock().unwrap().asked.len();
        self.busy.lock().unwrap().time = time;
        let Self { decoder, known, family, now, .. } = self;
        let mut adding = known.decided.adding(family);
        let mut walk = known.rows.begin(&mut adding);
        keys.iter().for_each(|key| walk.take(Chunk::new(&[*key], 1, &[1], 1)));
        let mut new = walk.end().trust().forget_missed();
        known.decided.expire(*now);
        loop {
            let mut rows = known.decided.take_waiting(2);
            if rows.is_empty() {
                rows = new.drain(..new.len().min(2)).collect();
            }
            if rows.is_empty() || !decoder.decide(&rows, known, family, *now) {
                break;
            }
        }
        decoder.decide(&new, known, family, *now);
        let labels = |id| family.label_values(id).next().unwrap().to_owned();
        let mut labels: Vec<_> = family.live().map(labels).collect();
        labels.sort_unstable();
        (self.busy.lock().unwrap().asked[before..].to_vec(), labels)
    }
}

fn label() -> OnError {
    OnError::Label("error".to_owned())
}

#[test]
fn who_did_not_get_its_turn_keeps_its_label_and_comes_first() {
    let mut scene = Scene::new(label());
    let (asked, labels) = scene.scrape(&[1, 2, 3, 4], 4);
    assert_eq!((asked, labels.len()), (vec![1, 2, 3, 4], 4));
    // All have ended; there is time for one.
    let (asked, labels) = scene.scrape(&[1, 2, 3, 4], 1);
    assert_eq!(
        (asked, labels),
        (vec![1], ["1-5", "2-2", "3-3", "4-4"].iter().map(ToString::to_string).collect())
    );
    let (asked, labels) = scene.scrape(&[1, 2, 3, 4], 2);
    assert_eq!(asked, [2, 3]);
    assert_eq!(labels, ["1-5", "2-6", "3-7", "4-4"]);
    assert_eq!(scene.known.decided.waiting(), 2);
    assert_eq!(scene.known.decided.errors(), 0, "what it has is no error");
    assert_eq!(scene.scrape(&[1, 2, 3, 4], 0), (vec![], labels), "nobody has a turn, and all stay");
}

/// There is no room for one more, and it leaves one.
#[test]
fn who_is_renamed_at_the_bound_takes_the_place_that_it_leaves() {
    let mut scene = Scene::new(label());
    scene.decoder.most = Some(2);
    let (_, labels) = scene.scrape(&[1, 2, 3, 4], 4);
    assert_eq!((labels.join(" "), scene.decoder.folded()), ("1-1 2-2 other".to_owned(), Some(2)));
    let (_, labels) = scene.scrape(&[1, 2, 3, 4], 4);
    assert_eq!((labels.join(" "), scene.decoder.folded()), ("1-5 2-6 other".to_owned(), Some(2)));
    let (_, labels) = scene.scrape(&[1, 3, 4], 3);
    assert_eq!(
        labels.join(" "),
        "1-9 3-10 other",
        "whose place is free gets one of those that had none"
    );
    let (_, labels) = scene.scrape(&[1, 3, 4], 3);
    assert_eq!(labels.join(" "), "1-12 3-13 other");
}

/// Two are decided at a time: the last of them must not be told apart from the others.
#[test]
fn who_share_a_series_that_is_renamed_at_the_bound_stay_together() {
    let mut scene = Scene::new(label());
    let name = Arc::new(Mutex::new(None));
    let decoder = Box::new(Named(Arc::clone(&name)));
    let step = Step { name: "ifname", decoder, on_error: OnError::default() };
    scene.decoder.labels[0].chain = Chain::new(vec![step]);
    scene.decoder.most = Some(1);
    let mut labels = |now| {
        *name.lock().unwrap() = Some(now);
        let (_, labels) = scene.scrape(&[1, 2, 3, 4, 5], 0);
        scene.family.let_go();
        labels.join(" ")
    };
    assert_eq!(labels("one"), "one");
    assert_eq!(labels("two"), "other");
    assert_eq!(labels("two"), "two");
}

/// Rows have labels, what those depend on changes, and the call that asks all of them again fails.
#[test]
fn a_call_that_fails_takes_no_label_from_who_has_one() {
    let mut scene = Scene::new(label());
    let (_, labels) = scene.scrape(&[1, 2], 2);
    let numbers = |scene: &Scene| -> Vec<_> {
        scene.family.live().map(|id| scene.family.numbers(id)[0]).collect()
    };
    for _ in 0..3 {
        let Known { rows, decided } = &mut scene.known;
        decided.ask_again(rows, scene.now);
        scene.busy.lock().unwrap().fails = true;
        let (_, now) = scene.scrape(&[1, 2], 2);
        assert_eq!(now, labels);
        assert_eq!(numbers(&scene), [1, 1]);
        assert_eq!(scene.known.decided.errors(), 0, "what it has is no error");
        assert_eq!(scene.known.decided.waiting(), 0, "it waits for no turn");
        let said = scene.decoder.take_first_error().map(|error| error.to_string());
        assert_eq!(said.as_deref(), Some("it trapped"));
    }
    // Who was never decided has nothing to keep.
    let (_, now) = scene.scrape(&[1, 2, 3], 9);
    assert_eq!(now, ["1-1", "2-2", "error"]);
    scene.busy.lock().unwrap().fails = false;
    let (asked, _) = scene.scrape(&[1, 2, 3], 9);
    assert_eq!(asked, [1, 2, 3], "as soon as the failure is over");
}

#[test]
fn a_new_key_has_what_on_error_says_until_its_turn() {
    let mut scene = Scene::new(label());
    let (asked, labels) = scene.scrape(&[1, 2, 3], 1);
    assert_eq!((asked, labels), (vec![1], vec!["1-1".to_owned(), "error".to_owned()]));
    assert_eq!(scene.known.decided.errors(), 2);
    assert!(scene.decoder.take_first_error().is_none(), "it is said in another way");
    // 2 and 3 have waited, and come before 1, which has ended meanwhile, and 4, which is new.
    let (asked, labels) = scene.scrape(&[1, 2, 3, 4], 3);
    assert_eq!(asked, [2, 3, 1]);
    assert_eq!(labels, ["1-4", "2-2", "3-3", "error"]);
    let mut dropping = Scene::new(OnError::Drop);
    assert_eq!(dropping.scrape(&[1, 2], 1).1, ["1-1"]);
    assert_eq!(dropping.scrape(&[1, 2], 1).1, ["1-1", "2-2"]);
}

/// A row that is left out until it has had its turn then brings what it has counted meanwhile, once.
#[test]
fn no_value_is_lost_or_doubled_by_waiting() {
    let mut scene = Scene::new(OnError::Drop);
    scene.busy.lock().unwrap().steady = true;
    for time in [3, 0, 1, 5, 2, 0, 7, 1, 1] {
        scene.scrape(&[1, 2, 3, 4, 5], time);
        let had_turns: BTreeSet<_> = scene.busy.lock().unwrap().asked.iter().copied().collect();
        let family = &scene.family;
        let sum: u64 = family.live().map(|id| family.numbers(id)[0]).sum();
        assert_eq!(sum, had_turns.len() as u64);
    }
}

/// What has no name at first, then one, then none again.
#[test]
fn the_last_name_stays_when_there_is_none() {
    let mut scene = Scene::new(label());
    let name: Arc<Mutex<Option<&str>>> = Arc::default();
    let step = Step {
        name: "ifname",
        decoder: Box::new(Named(Arc::clone(&name))),
        on_error: OnError::default(),
    };
    scene.decoder.labels[0].chain = Chain::new(vec![step]);
    let mut labels = |now: Option<&'static str>| {
        *name.lock().unwrap() = now;
        scene.scrape(&[1], 0).1.concat()
    };
    assert_eq!(labels(None), "unknown");
    assert_eq!(labels(Some("eth0")), "eth0");
    assert_eq!(labels(None), "eth0");
    assert_eq!(labels(None), "eth0");
    assert_eq!(labels(Some("eth1")), "eth1", "its number was given to another");
    assert_eq!(labels(None), "eth1");
}

/// A transform that passes rows on, or leaves all of them out.
struct Listing(Arc<Mutex<bool>>);

impl Transform for Listing {
    fn transform(&mut self, rows: &LabelRows, answers: &mut RowAnswers) {
        let listed = *self.0.lock().unwrap();
        let outcome = if listed { Outcome::Label } else { Outcome::Drop };
        rows.iter().for_each(|row| answers.push(Ok(outcome), row));
    }
}

/// A cgroup that is gone for long has no name any more; its pod goes from the list, and comes back.
#[test]
fn a_transform_is_asked_with_the_last_name_when_there_is_none() {
    let mut scene = Scene::new(label());
    let (name, listed) = (Arc::new(Mutex::new(Some("web"))), Arc::new(Mutex::new(true)));
    let decoder = Box::new(Named(Arc::clone(&name)));
    let step = Step { name: "cgroup", decoder, on_error: OnError::default() };
    scene.decoder.labels[0].chain = Chain::new(vec![step]);
    scene.decoder.transforms = Transforms::new(vec![TransformStep {
        name: "pods".to_owned(),
        transform: Box::new(Listing(Arc::clone(&listed))),
        labels: vec![LabelName::new("l").unwrap()],
        on_error: OnRowError::Drop,
    }]);
    let mut counted = |now, is_listed| {
        (*name.lock().unwrap(), *listed.lock().unwrap()) = (now, is_listed);
        let (_, labels) = scene.scrape(&[1], 0);
        scene.family.let_go();
        labels.first().map(|label| (label.clone(), scene.family.numbers(0)[0]))
    };
    let web = || Some(("web".to_owned(), 1));
    assert_eq!(counted(Some("web"), true), web());
    assert_eq!(counted(None, true), web());
    assert_eq!(counted(None, false), None, "its pod has gone");
    assert_eq!(counted(None, true), web());
    assert_eq!(counted(Some("web"), true), web());
    *name.lock().unwrap() = None;
    assert_eq!(scene.scrape(&[2], 0).1, ["unknown"], "what never had a name");
    // What is kept is bounded by the rows.
    *name.lock().unwrap() = Some("web");
    (0..=255).for_each(|key| drop(scene.scrape(&[key], 0)));
    let kept = scene.decoder.names.kept();
    assert!(kept <= 70, "{kept} of 1 key");
}

#[test]
fn each_key_gets_its_turn_however_many_come() {
    let mut scene = Scene::new(label());
    let mut asked = Vec::new();
    // Two new keys in each scrape, of which 20 stay, and time for three.
    for scrape in 0..60_u8 {
        let keys: Vec<u8> = (scrape * 2..scrape * 2 + 20).collect();
        let (turns, _) = scene.scrape(&keys, 3);
        asked.extend(turns);
    }
    assert!((0..100).all(|key| asked.contains(&key)), "{asked:?}");
}
