//! The maps of a recording as sources that are read like any others.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::RecordedMap;
use super::content::Content;
use super::fault::RecordingFault;
use super::tape::Tape;
use crate::advice::Advise as _;
use crate::source::Source;
use crate::source::{Chunk, ReadError, Way, Why};

/// A map of a recording. The first that is read in a scrape plays the next reading for all, if nobody has played it
/// yet; behind the last one, all stays as it is.
pub struct Player {
    tape: Arc<Mutex<Tape>>,
    map: usize,
    spec: RecordedMap,
    kind: String,
    /// The reading that it has handed out.
    seen: u64,
}

impl Player {
    /// The `map`-th map of a recording, of this type in the kernel's words. An entry of it may become so many lines
    /// of an exposition.
    pub fn new(
        tape: &Arc<Mutex<Tape>>,
        map: usize,
        spec: &RecordedMap,
        kind: String,
        lines: usize,
    ) -> Self {
        let player = Self { tape: Arc::clone(tape), map, spec: spec.clone(), kind, seen: 0 };
        player.tape().weigh(map, lines);
        player
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError { map: self.spec.name.clone(), way: Way::Recording, source }
    }

    /// Plays the next reading. A recording that is not all there stays at its last one, which is said once.
    fn advance(&self, tape: &mut Tape) -> Result<(), ReadError> {
        match tape.advance() {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.fault, RecordingFault::Cut(1..)) => {
                warn!("{}", error.advice());
                Ok(())
            }
            Err(error) => {
                tape.maps.iter_mut().for_each(|map| map.readable = false);
                Err(self.failed(io::Error::other(error.advice())))
            }
        }
    }
}

impl Source for Player {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn key_size(&self) -> usize {
        self.spec.key_size as usize
    }

    fn cpus(&self) -> usize {
        self.spec.cpus as usize
    }

    fn max_entries(&self) -> usize {
        self.spec.max_entries as usize
    }

    fn way(&self) -> (Way, Why) {
        (Way::Recording, Why::Recorded)
    }

    fn read(&mut self, visit: &mut dyn FnMut(Chunk<'_>)) -> Result<(), ReadError> {
        let tape = Arc::clone(&self.tape);
        let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
        if tape.readings() == self.seen {
            self.advance(&mut tape)?;
        }
        self.seen = tape.readings();
        let Content { key_size, cpus, keys, values, readable, .. } = &tape.maps[self.map];
        if !readable {
            return Err(self.failed(io::Error::other("this reading of it is not in the recording")));
        }
        if !values.is_empty() {
            visit(Chunk::new(keys, *key_size, values, *cpus));
        }
        Ok(())
    }

    fn lookup(&self, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
        let tape = self.tape();
        let Some(found) = tape.maps[self.map].of(key) else { return Ok(false) };
        values.copy_from_slice(found);
        Ok(true)
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("map", &self.spec.name).field("seen", &self.seen).finish()
    }
}
