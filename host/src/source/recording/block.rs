//! What is packed, in blocks: each has a checksum of all of the file up to it, and the last one is empty.
//!
//! Never gives out a byte whose checksum was not held against it.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use sha2::{Digest as _, Sha256};

use super::MAGIC;

/// Bytes of a block.
const LARGEST: usize = 1 << 20;
/// Bytes of a checksum: the beginning of a SHA-256. It is there for damage, and nobody is kept from making his own.
const CHECK: usize = 8;

/// Cuts what is written into blocks. What was flushed is in blocks that are whole.
pub(super) struct BlockWriter<W: Write> {
    out: W,
    block: Vec<u8>,
    sum: Sha256,
}

impl<W: Write> BlockWriter<W> {
    /// Begins a file.
    pub(super) fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out, block: Vec::new(), sum: Sha256::new_with_prefix(MAGIC) })
    }

    /// Ends the file, which has been flushed to where it is written.
    pub(super) fn end(mut self) -> io::Result<W> {
        self.flush()?;
        self.put()?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Writes what has come as a block, at once.
    fn put(&mut self) -> io::Result<()> {
        let size = (self.block.len() as u32).to_le_bytes();
        let mut block = [&size[..], &self.block].concat();
        self.sum.update(&block);
        let check = check(&self.sum);
        self.sum.update(check);
        block.extend_from_slice(&check);
        self.block.clear();
        self.out.write_all(&block)
    }
}

impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == LARGEST {
            self.put()?;
        }
        let taken = bytes.len().min(LARGEST - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.put()?;
        }
        self.out.flush()
    }
}

/// Reads the blocks of a file as what they were cut of.
///
/// What cannot be is [`ErrorKind::InvalidData`] with the words for it, and a file that ends before its last block is
/// [`ErrorKind::UnexpectedEof`].
pub(super) struct BlockReader {
    /// What stands behind the first bytes of the file.
    input: Box<dyn Read + Send>,
    block: Vec<u8>,
    /// What of it was taken.
    taken: usize,
    sum: Sha256,
    ended: bool,
}

impl BlockReader {
    /// Of a file whose first bytes have been read.
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        let (block, sum) = (Vec::new(), Sha256::new_with_prefix(MAGIC));
        Self { input, block, taken: 0, sum, ended: false }
    }

    /// Whether the last block was read, and nothing stands behind it.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    fn next(&mut self) -> io::Result<()> {
        let mut size = [0; 4];
        self.input.read_exact(&mut size)?;
        let length = u32::from_le_bytes(size) as usize;
        if length > LARGEST {
            return Err(damage(format!("a block has {length} bytes, more than {LARGEST}")));
        }
        self.block.resize(length, 0);
        self.taken = 0;
        let read = self.read_block(size);
        if read.is_err() {
            self.block.clear();
        }
        read
    }

    /// Reads the block that has this size, and holds its checksum against it.
    fn read_block(&mut self, size: [u8; 4]) -> io::Result<()> {
        self.input.read_exact(&mut self.block)?;
        let mut wanted = [0; CHECK];
        self.input.read_exact(&mut wanted)?;
        self.sum.update(size);
        self.sum.update(&self.block);
        if check(&self.sum) != wanted {
            return Err(damage("a checksum is not that of what stands before it"));
        }
        self.sum.update(wanted);
        if self.block.is_empty() {
            match self.input.read_exact(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.ended = true,
                read => {
                    return Err(read.err().unwrap_or_else(|| damage("more stands behind its end")));
                }
            }
        }
        Ok(())
    }
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for BlockReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.block.len() && !self.ended {
            self.next()?;
        }
        Ok(&self.block[self.taken..])
    }

    fn consume(&mut self, bytes: usize) {
        self.taken = (self.taken + bytes).min(self.block.len());
    }
}

fn check(sum: &Sha256) -> [u8; CHECK] {
    let mut check = [0; CHECK];
    check.copy_from_slice(&sum.clone().finalize()[..CHECK]);
    check
}

fn damage(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}
