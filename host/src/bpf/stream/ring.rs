//! A ring buffer, as the kernel lays it out (`BPF_MAP_TYPE_RINGBUF`, Linux 5.8): a page with what was
//! consumed, a page with what was produced, and the data twice, so that no record is cut at the end.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::event::epoll;

use crate::bpf::MapRef;
use crate::bpf::sys::{self, Shared};

/// Bytes before each record: its length with two flags, and where it lies.
const HEADER: usize = 8;
/// It is still being written.
const BUSY: u32 = 1 << 31;
/// It is none after all.
const DISCARD: u32 = 1 << 30;

/// A ring buffer that is read by one reader.
#[derive(Debug)]
pub struct Ring {
    /// Can be read while the map can. It is the reader's own, so that whoever waits at it waits no more when the reader
    /// has gone, however long others hold the map.
    wait: OwnedFd,
    /// The kernel's number of the map.
    map: u32,
    consumed: Shared,
    /// A page with what was produced, and the data behind it.
    produced: Shared,
    page: usize,
    size: usize,
}

impl Ring {
    /// Opens a ring buffer for reading. What others have read of it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be mapped.
    pub fn new(map: &MapRef) -> io::Result<Self> {
        let (page, size) = (sys::page_size(), map.spec.max_entries as usize);
        if !size.is_power_of_two() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let wait = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&wait, map, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        let fd = map.as_fd().as_raw_fd();
        let number = sys::map_info(map.as_fd())?.id;
        let consumed = Shared::writable(fd, page)?;
        let produced = Shared::readable(fd, page, page + 2 * size)?;
        Ok(Self { wait, map: number, consumed, produced, page, size })
    }

    /// Whether both read the same ring buffer.
    pub fn reads_same(&self, other: &Self) -> bool {
        self.map == other.map
    }

    /// Whether nothing stands in it, not even a record that is still being written.
    pub fn is_empty(&self) -> bool {
        let consumed = self.consumed.u64(0).load(Ordering::Relaxed);
        consumed == self.produced.u64(0).load(Ordering::Acquire)
    }

    /// Hands out all records that are complete, oldest first, and frees their room. Those that come
    /// meanwhile may be left for the next time. How many there were.
    pub fn drain(&mut self, visit: &mut dyn FnMut(&[u8])) -> u64 {
        let produced = self.produced.u64(0).load(Ordering::Acquire);
        let consumer = self.consumed.u64(0);
        let mut consumed = consumer.load(Ordering::Relaxed);
        let mut count = 0;
        while consumed < produced {
            let at = self.page + (consumed as usize & (self.size - 1));
            let header = self.produced.u32(at).load(Ordering::Acquire);
            let length = (header & !(BUSY | DISCARD)) as usize;
            // No record is longer than the buffer.
            if header & BUSY != 0 || length > self.size - HEADER {
                break;
            }
            if header & DISCARD == 0 {
                visit(self.produced.bytes(at + HEADER, length));
                count += 1;
            }
            consumed += (length + HEADER).next_multiple_of(HEADER) as u64;
            consumer.store(consumed, Ordering::Release);
        }
        count
    }
}

impl AsFd for Ring {
    /// A descriptor that can be read while there is a record.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wait.as_fd()
    }
}
