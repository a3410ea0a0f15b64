//! A recording that is being played: reading after reading, what each of its maps holds.

use std::fmt;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::content::{Changes, Content, LARGEST_MAPS};
use super::fault::{PlayError, RecordingFault};
use super::unpack::Unpacked;
use super::{Head, MOST_READINGS, READING};
use crate::files::{self, Unread};

/// A recording that is being played.
pub struct Tape {
    file: PathBuf,
    input: Unpacked,
    head: Head,
    pub(super) maps: Vec<Content>,
    /// When the last reading was, in nanoseconds since the first.
    at: u64,
    ended: bool,
}

impl Tape {
    /// Opens a recording. No reading of it is played yet.
    ///
    /// # Errors
    ///
    /// If it is none, or its head says what cannot be.
    pub fn open(file: &Path) -> Result<Self, PlayError> {
        let open = || match files::open(file, u64::MAX) {
            Ok(input) => Self::begin(file, Box::new(std::io::BufReader::new(input))),
            Err(Unread::Refused(error)) => Err(RecordingFault::Read(error)),
            Err(unread) => Err(RecordingFault::NoFile(unread.why())),
        };
        open().map_err(|fault| unplayed(file, 0, fault))
    }

    /// The recording in these bytes, which messages call so. No reading of it is played yet.
    ///
    /// # Errors
    ///
    /// If it is none, or its head says what cannot be.
    pub fn held(file: &Path, bytes: Bytes) -> Result<Self, PlayError> {
        let begun = Self::begin(file, Box::new(Cursor::new(bytes)));
        begun.map_err(|fault| unplayed(file, 0, fault))
    }

    fn begin(file: &Path, packed: Box<dyn Read + Send>) -> Result<Self, RecordingFault> {
        let mut input = Unpacked::begin(packed)?;
        let head = input.head()?;
        let maps = head.maps().map(Content::new).collect();
        Ok(Self { file: file.to_owned(), input, head, maps, at: 0, ended: false })
    }

    /// What messages call it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What it is of.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many readings have been played.
    pub fn readings(&self) -> u64 {
        self.input.readings
    }

    /// When the last one was that has been played, since the first.
    pub fn at(&self) -> Duration {
        Duration::from_nanos(self.at)
    }

    /// Whether there is nothing more to play.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Says how many lines of an exposition an entry of the map of this number may become: memory that hostile
    /// recordings are kept from taking.
    pub(super) fn weigh(&mut self, map: usize, lines: usize) {
        self.maps[map].lines = lines;
    }

    /// Plays the next reading; `false` if there is none.
    ///
    /// # Errors
    ///
    /// If it is not all there, or says what cannot be. Nothing more can be played then, and maps are as they were.
    pub fn advance(&mut self) -> Result<bool, PlayError> {
        if self.ended {
            return Ok(false);
        }
        let played = self.reading();
        self.ended = !matches!(played, Ok(true));
        played.map_err(|fault| unplayed(&self.file, self.readings(), fault))
    }

    fn reading(&mut self) -> Result<bool, RecordingFault> {
        match self.input.next()? {
            None if self.readings() == 0 => {
                return Err(RecordingFault::damaged("it has no reading"));
            }
            None => return Ok(false),
            Some(READING) => {}
            Some(other) => {
                return Err(RecordingFault::damaged(format!("no reading begins with {other}")));
            }
        }
        if self.readings() == MOST_READINGS {
            let text = format!("it has more than {MOST_READINGS} readings");
            return Err(RecordingFault::Damaged(text));
        }
        let at = self.input.take().map(u64::from_le_bytes)?;
        if at < self.at {
            return Err(RecordingFault::damaged("a reading was before the one in front of it"));
        }
        for (map, changes) in self.changes()?.into_iter().enumerate() {
            self.maps[map].follow(changes);
        }
        self.at = at;
        self.input.readings += 1;
        Ok(true)
    }

    /// What the next reading changes of each map.
    fn changes(&mut self) -> Result<Vec<Changes>, RecordingFault> {
        let mut room = LARGEST_MAPS;
        let mut all = Vec::new();
        for map in &self.maps {
            let changes = map.changes(&mut self.input, room)?;
            room -= changes.bytes;
            all.push(changes);
        }
        Ok(all)
    }
}

fn unplayed(file: &Path, readings: u64, fault: RecordingFault) -> PlayError {
    PlayError { file: file.to_owned(), readings, fault }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("file", &self.file)
            .field("readings", &self.readings())
            .finish()
    }
}
