//! Writing a recording.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::time::Duration;

use zstd::zstd_safe::CParameter;

use super::block::BlockWriter;
use super::{Head, READING, WINDOW};
use crate::source::Entry;
use crate::source::Source;

/// How hard to compress: most of a reading is the digits of counters.
const LEVEL: i32 = 3;

/// Writes readings, each of them what has changed since the one before.
pub struct Recorder<W: Write> {
    out: zstd::Encoder<'static, BlockWriter<W>>,
    /// What each map held in the last reading of it that worked.
    maps: Vec<Held>,
}

#[derive(Default)]
struct Held(HashMap<Vec<u8>, Vec<u64>>);

impl<W: Write> Recorder<W> {
    /// Begins a recording of these maps.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn begin(out: W, head: &Head) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(BlockWriter::begin(out)?, LEVEL)?;
        out.set_parameter(CParameter::WindowLog(WINDOW))?;
        let json = serde_json::to_vec(head)?;
        out.write_all(&number(json.len())?)?;
        out.write_all(&json)?;
        let maps = head.maps().map(|_| Held::default()).collect();
        Ok(Self { out, maps })
    }

    /// Reads all maps, which are those of the head in its order, and writes what has changed; `at` is the
    /// time since the first reading. What was read is in the file then, whatever becomes of the process.
    ///
    /// # Errors
    ///
    /// If it cannot be written. A map that cannot be read is noted as such.
    pub fn reading<'s>(
        &mut self,
        at: Duration,
        sources: impl IntoIterator<Item = &'s mut (dyn Source + 's)>,
    ) -> io::Result<()> {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.out.write_all(&[READING])?;
        self.out.write_all(&nanos.to_le_bytes())?;
        for (held, source) in self.maps.iter_mut().zip(sources) {
            match held.read(source) {
                Some(changes) => self.out.write_all(&changes?)?,
                None => self.out.write_all(&[0])?,
            }
        }
        self.out.flush()
    }

    /// Ends the recording.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn end(self) -> io::Result<W> {
        self.out.finish()?.end()
    }
}

impl Held {
    /// What has changed in a map, as it stands in a reading; none if it cannot be read.
    fn read(&mut self, source: &mut dyn Source) -> Option<io::Result<Vec<u8>>> {
        let (mut changed, mut count, mut met) = (Vec::new(), 0, HashSet::new());
        let mut visit = |Entry { key, values }: Entry<'_>| {
            if !met.insert(key.to_vec()) {
                return;
            }
            if self.0.get(key).is_none_or(|held| held != values) {
                self.0.insert(key.to_vec(), values.to_vec());
                count += 1;
                changed.extend_from_slice(key);
                values.iter().for_each(|value| changed.extend_from_slice(&value.to_le_bytes()));
            }
        };
        source.read(&mut |chunk| chunk.entries().for_each(&mut visit)).ok()?;
        let gone: Vec<_> = self.0.keys().filter(|key| !met.contains(*key)).cloned().collect();
        gone.iter().for_each(|key| drop(self.0.remove(key)));
        let whole = || {
            let (keys, entries) = (number(gone.len())?, number(count)?);
            Ok([&[1], &keys[..], &gone.concat(), &entries, &changed].concat())
        };
        Some(whole())
    }
}

fn number(n: usize) -> io::Result<[u8; 4]> {
    let n = u32::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    Ok(n.to_le_bytes())
}
