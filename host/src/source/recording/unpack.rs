//! What a recording unpacks to, number by number, and its head.
//!
//! Takes memory as bytes come: what a number says alone takes none.

use std::io::{self, BufRead as _, ErrorKind, Read};
use std::path::{Component, Path};

use zstd::zstd_safe::DParameter;

use super::block::BlockReader;
use super::fault::{RecordingFault, shown};
use super::{Head, MAGIC, RecordedMap, WINDOW};

/// Bytes of the head.
const LARGEST_HEAD: usize = 64 << 20;
/// Bytes of a config.
const LARGEST_CONFIG: usize = 16 << 20;
/// Configs of a recording.
const MOST_CONFIGS: usize = 1000;
/// Maps of a recording.
const MOST_MAPS: usize = 10_000;
/// Bytes of a key: no map has larger ones.
const LARGEST_KEY: u32 = 4 << 20;
/// Values of an entry: Linux knows no more CPUs.
const MOST_CPUS: u32 = 8192;

/// The bytes that stand in a recording, unpacked.
pub(super) struct Unpacked {
    input: zstd::Decoder<'static, BlockReader>,
    /// Readings that were read whole, for who is told that there are no more.
    pub(super) readings: u64,
}

impl Unpacked {
    /// Reads how the file begins.
    pub(super) fn begin(mut file: Box<dyn Read + Send>) -> Result<Self, RecordingFault> {
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => RecordingFault::Foreign,
            _ => RecordingFault::Read(error),
        })?;
        if magic[..6] != MAGIC[..6] {
            return Err(RecordingFault::Foreign);
        }
        if magic != *MAGIC {
            return Err(RecordingFault::Version(magic[6..].escape_ascii().to_string()));
        }
        let mut input = zstd::Decoder::with_buffer(BlockReader::new(file))
            .map_err(RecordingFault::Read)?
            .single_frame();
        input.set_parameter(DParameter::WindowLogMax(WINDOW)).map_err(RecordingFault::Read)?;
        Ok(Self { input, readings: 0 })
    }

    /// The first byte of what stands here; none if nothing more does.
    pub(super) fn next(&mut self) -> Result<Option<u8>, RecordingFault> {
        let mut first = [0];
        match self.some(&mut first)? {
            0 => self.end().map(|()| None),
            _ => Ok(Some(first[0])),
        }
    }

    pub(super) fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), RecordingFault> {
        while !buffer.is_empty() {
            match self.some(buffer)? {
                0 => {
                    self.end()?;
                    return Err(RecordingFault::damaged("what is packed ends in its middle"));
                }
                filled => buffer = &mut buffer[filled..],
            }
        }
        Ok(())
    }

    /// Fills as much as can be had at once: nothing at the end of what is packed.
    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, RecordingFault> {
        loop {
            match self.input.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|error| self.fault(error)),
            }
        }
    }

    /// Sees to it that the file ends where what is packed ends.
    fn end(&mut self) -> Result<(), RecordingFault> {
        match self.input.get_mut().fill_buf().map(<[u8]>::len) {
            Ok(0) => Ok(()),
            Ok(_) => Err(RecordingFault::damaged("more stands behind its last reading")),
            Err(error) => Err(self.fault(error)),
        }
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordingFault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordingFault> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u32, RecordingFault> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, size: usize) -> Result<Vec<u8>, RecordingFault> {
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let from = bytes.len();
            bytes.resize(size.min(from + (1 << 20)), 0);
            self.fill(&mut bytes[from..])?;
        }
        Ok(bytes)
    }

    fn fault(&self, error: io::Error) -> RecordingFault {
        match error.kind() {
            ErrorKind::UnexpectedEof if self.input.get_ref().has_ended() => {
                RecordingFault::damaged("what is packed ends in its middle")
            }
            ErrorKind::UnexpectedEof => RecordingFault::Cut(self.readings),
            // What is said of bytes that cannot be unpacked.
            ErrorKind::Other | ErrorKind::InvalidData => RecordingFault::Damaged(error.to_string()),
            _ => RecordingFault::Read(error),
        }
    }

    /// Reads the head.
    pub(super) fn head(&mut self) -> Result<Head, RecordingFault> {
        let json = self.head_bytes().map_err(|fault| match fault {
            RecordingFault::Cut(_) => RecordingFault::Headless,
            fault => fault,
        })?;
        let head: Head = serde_json::from_slice(&json).map_err(|error| {
            RecordingFault::damaged(format!("its head: {}", shown(&error.to_string())))
        })?;
        may_be(&head).map(|()| head)
    }

    fn head_bytes(&mut self) -> Result<Vec<u8>, RecordingFault> {
        let size = self.number()? as usize;
        if size > LARGEST_HEAD {
            let text = format!("its head has {size} bytes, more than {LARGEST_HEAD}");
            return Err(RecordingFault::Damaged(text));
        }
        self.bytes(size)
    }
}

/// Whether a head says what can be.
fn may_be(head: &Head) -> Result<(), RecordingFault> {
    if head.configs.len() > MOST_CONFIGS || head.maps().count() > MOST_MAPS {
        let text = format!("it has more than {MOST_CONFIGS} configs or {MOST_MAPS} maps");
        return Err(RecordingFault::Damaged(text));
    }
    for config in &head.configs {
        let name = shown(&config.name);
        if !is_name(&config.name) {
            return Err(RecordingFault::Damaged(format!("no config can be called `{name}`")));
        }
        if config.yaml.len() > LARGEST_CONFIG {
            let text = format!("config `{name}` has more than {LARGEST_CONFIG} bytes");
            return Err(RecordingFault::Damaged(text));
        }
    }
    for RecordedMap { name, key_size, cpus, .. } in head.maps() {
        if !(1..=LARGEST_KEY).contains(key_size) || !(1..=MOST_CPUS).contains(cpus) {
            let name = shown(name);
            let text =
                format!("map `{name}` has keys of {key_size} bytes and {cpus} values an entry");
            return Err(RecordingFault::Damaged(text));
        }
    }
    Ok(())
}

/// Whether a config can be called so: as a file in a directory.
fn is_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let one = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    one && parts.next().is_none() && !name.contains('\0')
}
