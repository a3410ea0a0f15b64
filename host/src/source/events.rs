//! Records that programs stream, counted: how many there were of each key since the exporter started.
//!
//! A worker drains the buffers, so that none is full while nobody scrapes. A reading drains them first,
//! so that it counts all records from before it. Nothing here knows what a record means: its first bytes
//! are its key.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use tracing::warn;

use super::{Chunk, EventCounts, ReadError, Source, Way, Why};
use crate::bell::Bell;
use crate::bpf::{MapRef, Stream};
use crate::workers::{HireError, Hired, Post, SMALL_STACK};

mod sums;

use sums::Sums;

/// The most keys that are counted for one metric. Records of further keys are not counted, and it is said how many
/// they are.
const MOST: usize = 1 << 16;

/// The records of one map, counted.
pub struct EventSource {
    name: String,
    kind: String,
    key_size: usize,
    shared: Drained,
    /// How long a key without records is kept.
    keep: Duration,
    /// When keys were last forgotten.
    swept: Instant,
}

/// A buffer and what was counted of it. Whoever holds it drains it.
#[derive(Clone, Debug)]
pub struct Drained(Arc<Mutex<Counter>>);

#[derive(Debug)]
struct Counter {
    stream: Stream,
    sums: Sums,
    /// Whether it was said that records were lost.
    told: bool,
    /// Whether its source has gone: another may read the buffer now.
    over: bool,
}

impl EventSource {
    /// Counts the records of a map by their first `key_size` bytes. If that is 0, all of them count for one key of
    /// four zeros. A key without records is forgotten after `keep`, and at the latest after twice as long.
    ///
    /// # Errors
    ///
    /// When the map's buffer cannot be opened.
    pub fn new(map: &MapRef, key_size: usize, keep: Duration) -> Result<Self, ReadError> {
        let (name, kind) = (map.spec.name.clone(), map.spec.kind.to_string());
        let failed = |source| ReadError { map: name.clone(), way: Way::Events, source };
        let stream = Stream::new(map).map_err(failed)?;
        let sums = Sums::new(key_size, MOST);
        let key_size = sums.key_size();
        let counter = Counter { stream, sums, told: false, over: false };
        let shared = Drained(Arc::new(Mutex::new(counter)));
        Ok(Self { name, kind, key_size, shared, keep, swept: Instant::now() })
    }
}

impl Drop for EventSource {
    /// Has nobody drain the buffer any more. If the worker is draining it, this waits until that is done.
    fn drop(&mut self) {
        self.shared.lock().over = true;
    }
}

impl Source for EventSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn key_size(&self) -> usize {
        self.key_size
    }

    fn cpus(&self) -> usize {
        1
    }

    fn max_entries(&self) -> usize {
        MOST
    }

    fn way(&self) -> (Way, Why) {
        (Way::Events, Why::Streamed)
    }

    fn read(&mut self, visit: &mut dyn FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        let mut counter = self.shared.lock();
        counter.stream.keep_up();
        counter.drain();
        if self.swept.elapsed() >= self.keep {
            counter.sums.sweep();
            self.swept = Instant::now();
        }
        counter.tell(&self.name);
        if !counter.sums.is_empty() {
            visit(counter.sums.chunk());
        }
        Ok(())
    }

    fn lookup(&self, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
        let counter = self.shared.lock();
        let count = counter.sums.count(key);
        if let (Some(count), [value]) = (count, values) {
            *value = count;
        }
        Ok(count.is_some())
    }

    fn events(&self) -> Option<EventCounts> {
        let counter = self.shared.lock();
        Some(EventCounts {
            received: counter.sums.received(),
            short: counter.sums.short(),
            beyond: counter.sums.beyond(),
            lost: counter.stream.lost().cloned(),
        })
    }

    fn opens_events(&self) -> bool {
        self.shared.lock().stream.opens_events()
    }

    fn count_by(&mut self, key_size: usize, keep: Duration) {
        let mut counter = self.shared.lock();
        counter.sums.count_by(key_size);
        (self.key_size, self.keep) = (counter.sums.key_size(), keep);
    }

    fn drained(&self) -> Option<Drained> {
        Some(self.shared.clone())
    }
}

impl Drained {
    fn lock(&self) -> MutexGuard<'_, Counter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter {
    fn drain(&mut self) -> u64 {
        let Self { stream, sums, over, .. } = self;
        if *over {
            return 0;
        }
        stream.drain(&mut |record| sums.add(record))
    }

    /// Says once that records were lost.
    fn tell(&mut self, map: &str) {
        let full: u64 = self.stream.lost().map_or(0, |lost| lost.values().sum());
        let (beyond, short) = (self.sums.beyond(), self.sums.short());
        if self.told || full + beyond + short == 0 {
            return;
        }
        self.told = true;
        warn!(
            map,
            "events are not counted: {full} came when the buffer was full, {beyond} had a key beyond the \
             first {MOST}, {short} were shorter than the labels; this is said once, \
             ebpf_exporter_events_lost_total counts on"
        );
    }
}

/// Has a worker drain these buffers, and those that come later. `later` says whether any may come. Without a buffer,
/// now and later, there is no worker.
///
/// # Errors
///
/// When the system has no thread or descriptor for it.
pub fn hire(all: &[Drained], later: bool, hired: &mut Hired) -> Result<Option<Drains>, HireError> {
    if all.is_empty() && !later {
        return Ok(None);
    }
    let post = Post { name: "events", stack: SMALL_STACK, patience: Duration::from_secs(1) };
    let failed = |source: io::Error| HireError { name: post.name, source };
    let bell = Bell::new().map_err(failed)?;
    let drains = Drains::new(&bell).map_err(failed)?;
    all.iter().try_for_each(|drained| drains.add(drained)).map_err(failed)?;
    let (watch, end) = (drains.clone(), bell.clone());
    let work = move || {
        watch.work();
        // Held until it was heard: what is closed wakes nobody.
        drop(bell);
    };
    hired.hire(post, work, move || end.ring())?;
    Ok(Some(drains))
}

/// What the bell is known by.
const BELL: u64 = u64::MAX;

/// The buffers that a worker drains: as long as their sources are there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drains {
    epoll: Arc<OwnedFd>,
    /// By their numbers. A buffer that has gone is no longer waited for.
    all: Arc<Mutex<HashMap<u64, Weak<Mutex<Counter>>>>>,
    next: Arc<AtomicU64>,
}

impl Drains {
    fn new(bell: &Bell) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, bell.as_fd(), epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        Ok(Self { epoll: Arc::new(epoll), all: Arc::default(), next: Arc::default() })
    }

    /// Has another buffer drained from now on.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn add(&self, drained: &Drained) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut all = self.lock();
        all.retain(|_, counter| counter.strong_count() > 0);
        all.insert(number, Arc::downgrade(&drained.0));
        let data = epoll::EventData::new_u64(number);
        Ok(epoll::add(&self.epoll, drained.lock().stream.as_fd(), data, epoll::EventFlags::IN)?)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<Mutex<Counter>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, number: u64) -> Option<Drained> {
        self.lock().get(&number)?.upgrade().map(Drained)
    }

    /// Drains until the bell rings.
    fn work(&self) {
        let mut ready = Vec::with_capacity(64);
        loop {
            ready.clear();
            match epoll::wait(&*self.epoll, rustix::buffer::spare_capacity(&mut ready), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // Every scrape drains them.
                Err(error) => return warn!("events are drained at scrapes only: {error}"),
            }
            for event in &ready {
                match event.data.u64() {
                    BELL => return,
                    // Its source may go meanwhile.
                    number => _ = self.get(number).map(|drained| drained.lock().drain()),
                }
            }
        }
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource").field("name", &self.name).finish_non_exhaustive()
    }
}
