//! Playing a recording: its maps as sources that are read like any others, round after round.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{END, Head, MAGIC, ROUND, RecordedMap};
use crate::advice::{self, Advice, Advise, plain};
use crate::source::Source;
use crate::source::{Chunk, ReadError, Way, Why};

/// Bytes of the head.
const LARGEST_HEAD: usize = 64 << 20;
/// Maps of a recording.
const MOST_MAPS: usize = 10_000;
/// Bytes of a key: no map has larger ones.
const LARGEST_KEY: u32 = 4 << 20;
/// Values of an entry: Linux knows no more CPUs.
const MOST_CPUS: u32 = 8192;
/// Bytes that all maps may hold together.
const LARGEST_MAPS: usize = 1 << 30;
/// What the head is called in messages.
const HEAD: &str = "its head";
/// Rounds of a recording: one a second for eleven days.
const MOST_ROUNDS: u64 = 1_000_000;
/// What an entry takes beside twice its key, in bytes.
const ENTRY: usize = 96;
/// Bytes of a text of the head that a message has.
const LONGEST_TEXT: usize = 256;
/// Bytes that a round may unpack to.
const LARGEST_ROUND: u64 = 2 << 30;

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", .file.display())]
pub struct PlayError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: RecordingFault,
}

impl Advise for PlayError {
    fn remedy(&self) -> Option<String> {
        Some(self.fault.remedy().to_owned())
    }
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingFault {
    /// It cannot be read.
    #[error("{}", advice::words(.0))]
    Read(io::Error),
    /// It does not begin as recordings do.
    #[error("this is no recording")]
    Foreign,
    /// It begins as those of another version.
    #[error("this is a recording of another version, {0}")]
    Version(String),
    /// It ends in the middle.
    #[error("the recording ends in the middle of {0}")]
    Cut(&'static str),
    /// What it says cannot be.
    #[error("the recording is damaged: {0}")]
    Damaged(String),
}

impl RecordingFault {
    fn remedy(&self) -> &'static str {
        match self {
            Self::Read(_) => "give the path of a file that `record` has written",
            Self::Foreign => "give a file that `record` has written",
            Self::Version(_) => "replay it with the exporter that wrote it",
            Self::Cut(HEAD) => "copy it again",
            Self::Cut(_) => "copy it again, or replay what comes before with --at",
            Self::Damaged(_) => "record it again",
        }
    }

    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

/// A recording that is being played.
pub struct Tape {
    file: PathBuf,
    input: Box<dyn Read + Send>,
    head: Head,
    maps: Vec<Content>,
    /// Rounds that have been played.
    rounds: u64,
    ended: bool,
    /// What was wrong with the round that ended it.
    fault: Option<Advice>,
}

/// What a map holds now.
struct Content {
    key_size: usize,
    cpus: usize,
    most: usize,
    keys: Vec<u8>,
    values: Vec<u64>,
    /// Which of the entries each key is.
    index: HashMap<Vec<u8>, usize>,
    /// Whether this round could read it.
    readable: bool,
}

impl Tape {
    /// Opens a recording. No round of it is played yet.
    ///
    /// # Errors
    ///
    /// If it is none, or its head says what cannot be.
    pub fn open(file: &Path) -> Result<Self, PlayError> {
        let open = || {
            let input = BufReader::new(File::open(file).map_err(RecordingFault::Read)?);
            Self::begin(file, Box::new(input))
        };
        open().map_err(|fault| PlayError { file: file.to_owned(), fault })
    }

    /// The recording in these bytes, which messages call so. No round of it is played yet.
    ///
    /// # Errors
    ///
    /// If it is none, or its head says what cannot be.
    pub fn held(file: &Path, bytes: Bytes) -> Result<Self, PlayError> {
        let begun = Self::begin(file, Box::new(Cursor::new(bytes)));
        begun.map_err(|fault| PlayError { file: file.to_owned(), fault })
    }

    fn begin(file: &Path, mut packed: Box<dyn Read + Send>) -> Result<Self, RecordingFault> {
        let mut magic = [0; MAGIC.len()];
        packed.read_exact(&mut magic).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => RecordingFault::Foreign,
            _ => RecordingFault::Read(error),
        })?;
        if magic[..6] != MAGIC[..6] {
            return Err(RecordingFault::Foreign);
        }
        if magic != *MAGIC {
            return Err(RecordingFault::Version(magic[6..].escape_ascii().to_string()));
        }
        let mut input: Box<dyn Read + Send> =
            Box::new(zstd::Decoder::new(packed).map_err(RecordingFault::Read)?);
        let head = head(&mut input)?;
        let maps = head.maps().map(Content::new).collect();
        Ok(Self { file: file.to_owned(), input, head, maps, rounds: 0, ended: false, fault: None })
    }

    /// What it is of.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many rounds have been played.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether there is nothing more to play.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Why it cannot be played to its end, if that was met.
    pub fn fault(&self) -> Option<Advice> {
        self.fault.clone()
    }

    /// Plays the next round; `false` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or says what cannot be. No map can be read in it then, and nothing more can be
    /// played.
    pub fn advance(&mut self) -> Result<bool, PlayError> {
        if self.ended {
            return Ok(false);
        }
        let played = self.round();
        self.ended = !matches!(played, Ok(true));
        let played = played.map_err(|fault| PlayError { file: self.file.clone(), fault });
        if let Err(error) = &played {
            self.fault = Some(error.advice());
            self.maps.iter_mut().for_each(|map| map.readable = false);
        }
        played
    }

    fn round(&mut self) -> Result<bool, RecordingFault> {
        let Self { input, maps, .. } = self;
        let mut input = Bounded { input: input.by_ref().take(LARGEST_ROUND) };
        match input.byte("a round")? {
            END => return Ok(false),
            ROUND => {}
            other => return Err(RecordingFault::damaged(format!("no round begins with {other}"))),
        }
        if self.rounds == MOST_ROUNDS {
            return Err(RecordingFault::damaged(format!("it has more than {MOST_ROUNDS} rounds")));
        }
        input.take::<8>("a round")?;
        let mut room = LARGEST_MAPS;
        for map in maps {
            map.play(&mut input, room)?;
            room = room.saturating_sub(map.bytes());
        }
        self.rounds += 1;
        Ok(true)
    }
}

/// A text of the head, or one that repeats such a text, as a message may show it.
fn shown(text: &str) -> String {
    plain(text, LONGEST_TEXT)
}

fn head(input: &mut (dyn Read + Send)) -> Result<Head, RecordingFault> {
    let mut input = Bounded { input: input.take(LARGEST_HEAD as u64 + 4) };
    let size = input.number(HEAD)? as usize;
    if size > LARGEST_HEAD {
        return Err(RecordingFault::damaged(format!(
            "its head has {size} bytes, more than {LARGEST_HEAD}"
        )));
    }
    let json = input.bytes(size, HEAD)?;
    let head: Head = serde_json::from_slice(&json).map_err(|error| {
        RecordingFault::damaged(format!("its head: {}", shown(&error.to_string())))
    })?;
    if head.maps().count() > MOST_MAPS {
        return Err(RecordingFault::damaged(format!("it has more than {MOST_MAPS} maps")));
    }
    for RecordedMap { name, key_size, cpus, .. } in head.maps() {
        if !(1..=LARGEST_KEY).contains(key_size) || !(1..=MOST_CPUS).contains(cpus) {
            let name = shown(name);
            let text =
                format!("map `{name}` has keys of {key_size} bytes and {cpus} values an entry");
            return Err(RecordingFault::Damaged(text));
        }
    }
    Ok(head)
}

/// What is left of a head or a round.
struct Bounded<R: Read> {
    input: io::Take<R>,
}

impl<R: Read> Bounded<R> {
    fn fill(&mut self, buffer: &mut [u8], of: &'static str) -> Result<(), RecordingFault> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof if self.input.limit() == 0 => {
                RecordingFault::damaged(format!("{of} unpacks to more than it may"))
            }
            io::ErrorKind::UnexpectedEof => RecordingFault::Cut(of),
            // What zstd says of bytes that it has not made.
            io::ErrorKind::Other => RecordingFault::damaged(error.to_string()),
            _ => RecordingFault::Read(error),
        })
    }

    fn take<const N: usize>(&mut self, of: &'static str) -> Result<[u8; N], RecordingFault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, of)?;
        Ok(bytes)
    }

    fn byte(&mut self, of: &'static str) -> Result<u8, RecordingFault> {
        self.take::<1>(of).map(|[byte]| byte)
    }

    fn number(&mut self, of: &'static str) -> Result<u32, RecordingFault> {
        self.take(of).map(u32::from_le_bytes)
    }

    /// So many bytes. Memory is taken as they come: a number alone takes none.
    fn bytes(&mut self, size: usize, of: &'static str) -> Result<Vec<u8>, RecordingFault> {
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let from = bytes.len();
            bytes.resize(size.min(from + (1 << 20)), 0);
            self.fill(&mut bytes[from..], of)?;
        }
        Ok(bytes)
    }
}

impl Content {
    fn new(map: &RecordedMap) -> Self {
        Self {
            key_size: map.key_size as usize,
            cpus: map.cpus as usize,
            most: map.max_entries as usize,
            keys: Vec::new(),
            values: Vec::new(),
            index: HashMap::new(),
            readable: true,
        }
    }

    /// What it takes, in bytes: each key twice.
    fn bytes(&self) -> usize {
        self.keys.len() * 2 + self.values.len() * size_of::<u64>() + self.index.len() * ENTRY
    }

    /// Follows a round, in which it may come to so many bytes.
    fn play<R: Read>(&mut self, input: &mut Bounded<R>, room: usize) -> Result<(), RecordingFault> {
        const OF: &str = "a round";
        self.readable = match input.byte(OF)? {
            0 => false,
            1 => true,
            other => return Err(RecordingFault::damaged(format!("no map begins with {other}"))),
        };
        if !self.readable {
            return Ok(());
        }
        let mut gone = HashSet::new();
        for _ in 0..input.number(OF)? {
            let key = input.bytes(self.key_size, OF)?;
            if !self.index.contains_key(&key) || !gone.insert(key) {
                return Err(RecordingFault::damaged("a key is gone that was not there"));
            }
        }
        self.remove(&gone);
        for _ in 0..input.number(OF)? {
            let key = input.bytes(self.key_size, OF)?;
            let values = input.bytes(self.cpus * size_of::<u64>(), OF)?;
            let values = values.chunks_exact(8).filter_map(|value| value.first_chunk().copied());
            self.set(key, values.map(u64::from_le_bytes));
            if self.index.len() > self.most || self.bytes() > room {
                return Err(RecordingFault::damaged("a map holds more than it can"));
            }
        }
        Ok(())
    }

    fn remove(&mut self, gone: &HashSet<Vec<u8>>) {
        if gone.is_empty() {
            return;
        }
        let (keys, values) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.values));
        self.index.clear();
        for (key, values) in keys.chunks_exact(self.key_size).zip(values.chunks_exact(self.cpus)) {
            if !gone.contains(key) {
                self.set(key.to_vec(), values.iter().copied());
            }
        }
    }

    fn set(&mut self, key: Vec<u8>, values: impl Iterator<Item = u64>) {
        if let Some(at) = self.index.get(&key) {
            let places = &mut self.values[at * self.cpus..(at + 1) * self.cpus];
            places.iter_mut().zip(values).for_each(|(place, value)| *place = value);
            return;
        }
        self.keys.extend_from_slice(&key);
        self.values.extend(values);
        self.index.insert(key, self.index.len());
    }
}

/// A map of a recording. The first that is read in a scrape plays the next round for all; behind the
/// last one, all stays as it is.
pub struct Player {
    tape: Arc<Mutex<Tape>>,
    map: usize,
    spec: RecordedMap,
    kind: String,
    /// The round that it has handed out.
    seen: u64,
}

impl Player {
    /// The `map`-th map of a recording, of this type in the kernel's words.
    pub fn new(tape: &Arc<Mutex<Tape>>, map: usize, spec: &RecordedMap, kind: String) -> Self {
        Self { tape: Arc::clone(tape), map, spec: spec.clone(), kind, seen: 0 }
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError { map: self.spec.name.clone(), way: Way::Recording, source }
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
        if tape.rounds == self.seen {
            tape.advance().map_err(|error| self.failed(io::Error::other(error.advice())))?;
        }
        self.seen = tape.rounds;
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
        let content = &tape.maps[self.map];
        let Some(at) = content.index.get(key) else { return Ok(false) };
        values.copy_from_slice(&content.values[at * content.cpus..(at + 1) * content.cpus]);
        Ok(true)
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("map", &self.spec.name).field("seen", &self.seen).finish()
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("file", &self.file).field("rounds", &self.rounds).finish()
    }
}
