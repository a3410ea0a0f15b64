//! What a plugin has answered, by input: a new key that brings a known input asks nobody.
//!
//! Whatever comes from here is what the plugin would have said, cold or warm. Bounded in bytes: what
//! was wanted longest ago is forgotten first. Decides by the moment that it is handed, for which nobody looks at a clock
//! while all answers hold for ever.

use std::borrow::Borrow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use lru::LruCache;

use super::limits::{FIRST_RETRY, LONGEST_RETRY, MOST_COMPARED};
use super::stats::Remembered;
use crate::decode::{Answers, Batch, DecodeError, Outcome, RETRY};

/// Bytes that an answer takes beside its input and its text: a node of the list and its share of
/// the table, with what an allocator adds.
const ENTRY: usize = 160;

/// When inputs are answered: what the clock says when that is first wanted.
#[derive(Default)]
pub(super) struct Moment(OnceCell<Instant>);

impl Moment {
    fn get(&self) -> Instant {
        *self.0.get_or_init(Instant::now)
    }
}

/// The answers that one plugin has given.
pub(super) struct AnswerCache {
    /// What the plugin is called in its errors.
    plugin: Option<Arc<str>>,
    /// What all of it may take, in bytes. With 0 it remembers nothing.
    most: usize,
    kept: LruCache<Kept, Held, RandomState>,
    /// The least time that an error of an input stands.
    hold: Duration,
    /// What inputs were answered the last time whose answer did not hold for ever, both by their hashes:
    /// it outlives the answer itself.
    last: HashMap<u64, u64, RandomState>,
    /// Of the inputs of a batch.
    hasher: RandomState,
    /// How often what answers depend on had changed when the last of them were given.
    changes: u64,
    /// What has come of it so far, and what it takes.
    counts: Remembered,
    work: Work,
}

/// An input and the text of its answer, end to end; known by the input.
struct Kept {
    bytes: Box<[u8]>,
    input: usize,
}

/// What an answer is, and until when it holds.
struct Held {
    what: What,
    until: Option<Instant>,
}

enum What {
    Label,
    Drop,
    /// With how long it stands.
    Error(Duration),
}

/// What a batch is sorted into; kept for its memory.
#[derive(Default)]
struct Work {
    /// Where the answer of each input is.
    places: Vec<Place>,
    found: Answers,
    /// The inputs that are asked, each once, and how long the error stood that was their last
    /// answer.
    asked: Batch,
    stood: Vec<Duration>,
    index: HashTable<usize>,
    got: Answers,
}

#[derive(Clone, Copy)]
enum Place {
    Found(usize),
    Asked(usize),
}

impl AnswerCache {
    /// An empty memory of at most so many bytes, of answers that hold at least for `hold`.
    pub(super) fn new(most: usize, hold: Duration) -> Self {
        Self {
            plugin: None,
            most,
            hold,
            last: HashMap::default(),
            kept: LruCache::unbounded_with_hasher(RandomState::default()),
            hasher: RandomState::default(),
            changes: 0,
            counts: Remembered::default(),
            work: Work::default(),
        }
    }

    /// The same, of the plugin that a config calls so.
    pub(super) fn of_plugin(self, name: &Arc<str>) -> Self {
        Self { plugin: Some(Arc::clone(name)), ..self }
    }

    /// Whether it remembers anything.
    pub(super) fn is_on(&self) -> bool {
        self.most > 0
    }

    /// Forgets all if what answers depend on has changed: `changes` is another number then.
    pub(super) fn follow(&mut self, changes: u64) {
        if std::mem::replace(&mut self.changes, changes) != changes {
            self.kept.clear();
            self.last.clear();
            (self.counts.entries, self.counts.bytes) = (0, 0);
        }
    }

    /// Answers all of `inputs` at `now`, in their order: by what is remembered, the others by `ask`,
    /// each once.
    ///
    /// An error that does not say how long it stands is taken for the input's own, and stands for
    /// longer each time that the same input gets one.
    pub(super) fn answer(
        &mut self,
        inputs: &Batch,
        now: &Moment,
        answers: &mut Answers,
        ask: impl FnOnce(&Batch, &mut Answers),
    ) {
        let mut work = std::mem::take(&mut self.work);
        work.clear();
        if !self.is_on() {
            self.ask_all(inputs, answers, &mut work, ask);
            self.work = work;
            return;
        }
        for input in inputs.iter() {
            let place = self.find(input, now, &mut work);
            work.places.push(place);
        }
        self.counts.hits += (inputs.len() - work.asked.len()) as u64;
        self.counts.misses += work.asked.len() as u64;
        if !work.asked.is_empty() {
            ask(&work.asked, &mut work.got);
        }
        for (n, stood) in work.stood.iter().enumerate() {
            self.compare(work.asked.get(n), work.got.get(n));
            self.keep(work.asked.get(n), work.got.get(n), *stood, now);
        }
        for place in &work.places {
            let (text, outcome) = match *place {
                Place::Found(n) => work.found.get(n),
                Place::Asked(n) => work.got.get(n),
            };
            answers.push(|out| {
                out.extend_from_slice(text);
                outcome.clone().map_err(|error| match *place {
                    Place::Asked(n) if error.retry().is_none() => {
                        error.again_in(self.longer(work.stood[n]))
                    }
                    Place::Asked(_) | Place::Found(_) => error,
                })
            });
        }
        self.work = work;
    }

    /// Asks all of `inputs`, and remembers nothing but whether answers change.
    fn ask_all(
        &mut self,
        inputs: &Batch,
        answers: &mut Answers,
        work: &mut Work,
        ask: impl FnOnce(&Batch, &mut Answers),
    ) {
        ask(inputs, &mut work.got);
        for (input, (text, outcome)) in inputs.iter().zip(work.got.iter()) {
            self.compare(input, (text, outcome));
            answers.push(|out| {
                out.extend_from_slice(text);
                outcome.clone().map_err(|error| match error.retry() {
                    Some(_) => error,
                    None => error.again_in(RETRY.max(self.hold)),
                })
            });
        }
    }

    /// Counts an answer that is not what the same input was answered before. Of inputs whose answers
    /// hold for ever nothing is noted: they are not asked again.
    fn compare(&mut self, input: &[u8], answer: (&[u8], &Result<Outcome, DecodeError>)) {
        let (kind, text) = match answer {
            (_, Ok(outcome)) if outcome.leaves_out() => (1u8, &b""[..]),
            (text, Ok(_)) => (0, text),
            (_, Err(error)) if error.retry().is_some() => return,
            (_, Err(_)) => (2, &b""[..]),
        };
        let for_ever = matches!(answer.1, Ok(Outcome::Label | Outcome::Drop));
        if for_ever && self.last.is_empty() {
            return;
        }
        let (input, now) = (self.hasher.hash_one(input), self.hasher.hash_one((kind, text)));
        if let Some(last) = self.last.get_mut(&input) {
            self.counts.changed += u64::from(*last != now);
            *last = now;
        } else if !for_ever {
            if self.last.len() >= MOST_COMPARED {
                self.last.clear();
            }
            self.last.insert(input, now);
        }
    }

    /// What has come of it so far, and what it takes.
    pub(super) fn counts(&self) -> Remembered {
        self.counts
    }

    /// Finds an input, or notes that it is to be asked.
    fn find(&mut self, input: &[u8], now: &Moment, work: &mut Work) -> Place {
        let mut stood = Duration::ZERO;
        if let Some((kept, held)) = self.kept.get_key_value(input) {
            if held.until.is_none_or(|until| now.get() < until) {
                let whose = |error: DecodeError| match &self.plugin {
                    Some(plugin) => error.of_plugin(plugin),
                    None => error,
                };
                work.found.push(|out| held.recall(kept.text(), now, out).map_err(whose));
                return Place::Found(work.found.len() - 1);
            }
            stood = held.stood();
            self.forget(input);
        }
        let hasher = &self.hasher;
        let hash = hasher.hash_one(input);
        let Work { asked, stood: all, index, .. } = work;
        if let Some(n) = index.find(hash, |n| asked.get(*n) == input) {
            return Place::Asked(*n);
        }
        let n = asked.len();
        asked.push(input);
        all.push(stood);
        index.insert_unique(hash, n, |n| hasher.hash_one(asked.get(*n)));
        Place::Asked(n)
    }

    /// Remembers an answer, if it holds and there is room for it. The last error of its input
    /// `stood` for so long.
    fn keep(
        &mut self,
        input: &[u8],
        (text, outcome): (&[u8], &Result<Outcome, DecodeError>),
        stood: Duration,
        now: &Moment,
    ) {
        let (what, holds, text) = match outcome {
            Ok(outcome) if outcome.leaves_out() => (What::Drop, outcome.holds(), &[][..]),
            Ok(outcome) => (What::Label, outcome.holds(), text),
            // Not the input's own: the call failed, or there was none.
            Err(other) if other.retry().is_some() => return,
            Err(own) => {
                let holds = self.longer(stood);
                (What::Error(holds), Some(holds), own.text().as_bytes())
            }
        };
        let kept = Kept::new(input, text);
        if kept.cost() > self.most || holds.is_some_and(|holds| holds.is_zero()) {
            return;
        }
        self.counts.bytes += kept.cost();
        self.counts.entries += 1;
        self.kept.push(kept, Held { what, until: holds.map(|holds| now.get() + holds) });
        while self.counts.bytes > self.most {
            let Some((kept, _)) = self.kept.pop_lru() else { break };
            self.gone(&kept);
            self.counts.evictions += 1;
        }
    }

    /// How long an error stands whose input had one before that `stood` for so long.
    fn longer(&self, stood: Duration) -> Duration {
        (stood * 2).clamp(FIRST_RETRY, LONGEST_RETRY).max(self.hold)
    }

    fn forget(&mut self, input: &[u8]) {
        if let Some((kept, _)) = self.kept.pop_entry(input) {
            self.gone(&kept);
        }
    }

    fn gone(&mut self, kept: &Kept) {
        self.counts.bytes -= kept.cost();
        self.counts.entries -= 1;
    }
}

/// The error of an input that a guest has no answer for: its text is the guest's, and may show what
/// the guest was asked.
pub(super) fn guests_own(text: String) -> DecodeError {
    DecodeError::showing(text, "a plugin has no answer")
}

impl Work {
    fn clear(&mut self) {
        let Self { places, found, asked, stood, index, got } = self;
        places.clear();
        found.clear();
        asked.clear();
        stood.clear();
        index.clear();
        got.clear();
    }
}

impl Kept {
    fn new(input: &[u8], text: &[u8]) -> Self {
        Self { bytes: [input, text].concat().into(), input: input.len() }
    }

    fn input(&self) -> &[u8] {
        &self.bytes[..self.input]
    }

    fn text(&self) -> &[u8] {
        &self.bytes[self.input..]
    }

    /// Bytes of memory.
    fn cost(&self) -> usize {
        self.bytes.len() + ENTRY
    }
}

impl Borrow<[u8]> for Kept {
    fn borrow(&self) -> &[u8] {
        self.input()
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input().hash(state);
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.input() == other.input()
    }
}

impl Eq for Kept {}

impl Held {
    /// The answer again, with what is left at `now` of the time that it holds.
    fn recall(&self, text: &[u8], now: &Moment, out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let left = self.until.map(|until| until.saturating_duration_since(now.get()));
        match self.what {
            What::Label => {
                out.extend_from_slice(text);
                Ok(left.map_or(Outcome::Label, Outcome::LabelFor))
            }
            What::Drop => Ok(left.map_or(Outcome::Drop, Outcome::DropFor)),
            What::Error(stood) => {
                let error = guests_own(String::from_utf8_lossy(text).into_owned());
                Err(error.again_in(left.unwrap_or(stood)))
            }
        }
    }

    /// How long it stood, if it is an error.
    fn stood(&self) -> Duration {
        match self.what {
            What::Error(stood) => stood,
            What::Label | What::Drop => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
