//! A perf event array: one buffer a CPU, which `bpf_perf_event_output` writes to on that CPU.
//!
//! CPUs come and go while the exporter runs. What one has lost stays counted when it goes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use libbpf_rs::libbpf_sys;
use rustix::event::epoll;
use tracing::warn;

use crate::bpf::MapRef;
use crate::bpf::cpus::{self, PerCpu};
use crate::bpf::sys::{self, Shared};

/// Bytes of one CPU's buffer, a power of two: as many as cloudflare's has.
const SIZE: usize = 4 << 20;
/// Bytes of the smallest that is tried where the kernel has not as much memory for it.
const SMALLEST: usize = 64 << 10;
/// Bytes in it that wake who waits. That costs as much as to write a record, and every scrape drains what
/// there is.
const WAKING: usize = 512 << 10;
/// Where the page before the data says how far the kernel has written, and how far it was read.
const HEAD: usize = 1024;
const TAIL: usize = 1032;
/// Bytes before what is in a record: type, flags, size.
const HEADER: usize = 8;

/// The buffers of all CPUs that are online.
#[derive(Debug)]
pub(super) struct PerfBuffers {
    map: MapRef,
    epoll: OwnedFd,
    on: PerCpu<PerfBuffer>,
    lost: BTreeMap<u32, u64>,
}

/// One CPU's buffer.
#[derive(Debug)]
struct PerfBuffer {
    event: OwnedFd,
    pages: Shared,
    page: usize,
    /// Bytes of its data.
    size: usize,
    /// What its CPU had lost before, if the kernel says what this one has lost when it is asked (Linux 6.0).
    /// Else a record says so, which comes with the next that has room.
    lost_before: Option<u64>,
    /// A record that goes over the end of the buffer, put together.
    whole: Vec<u8>,
}

impl PerfBuffers {
    /// Opens a buffer for each CPU that is online.
    ///
    /// # Errors
    ///
    /// The first of the kernel's.
    pub(super) fn new(map: &MapRef) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (on, lost) = (PerCpu::default(), BTreeMap::new());
        let mut buffers = Self { map: map.clone(), epoll, on, lost };
        match buffers.open(&cpus::online()?).into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(buffers),
        }
    }

    /// Has a buffer for each of these CPUs that has an entry in the map; those that could not get one.
    fn open(&mut self, online: &[u32]) -> Vec<(u32, io::Error)> {
        let Self { map, epoll, on, lost } = self;
        let wanted: Vec<_> =
            online.iter().copied().filter(|cpu| *cpu < map.spec.max_entries).collect();
        wanted.iter().for_each(|cpu| _ = lost.entry(*cpu).or_default());
        on.follow(&wanted, |cpu| {
            let mut buffer = PerfBuffer::open(cpu)?;
            buffer.lost_before = buffer.lost_before.and(lost.get(&cpu).copied());
            let data = epoll::EventData::new_u64(cpu.into());
            epoll::add(&*epoll, &buffer.event, data, epoll::EventFlags::IN)?;
            let event = buffer.event.as_raw_fd();
            sys::update(map.as_fd().as_raw_fd(), &cpu.to_ne_bytes(), &event.to_ne_bytes())?;
            sys::enable(event)?;
            Ok(buffer)
        })
    }

    /// See [`super::Stream::drain`].
    pub(super) fn drain(&mut self, visit: &mut dyn FnMut(&[u8])) -> u64 {
        let Self { on, lost, .. } = self;
        on.iter_mut().map(|(cpu, buffer)| buffer.drain(visit, lost.entry(cpu).or_default())).sum()
    }

    /// Asks the kernel what each buffer has lost.
    fn ask(&mut self) {
        for (cpu, buffer) in self.on.iter_mut() {
            if let Some(lost) = buffer.lost() {
                self.lost.insert(cpu, lost);
            }
        }
    }

    /// How many records each CPU had no room for.
    pub(super) fn lost(&self) -> &BTreeMap<u32, u64> {
        &self.lost
    }

    /// See [`super::Stream::keep_up`].
    pub(super) fn keep_up(&mut self) {
        self.ask();
        // What is online is read again at the next scrape.
        let Ok(online) = cpus::online() else { return };
        for (cpu, error) in self.open(&online) {
            warn!(
                map = self.map.spec.name,
                "CPU {cpu} has come and its events are lost: {error}; keep what it takes with \
                 --capabilities.keep=cap_perfmon,cap_bpf, or restart the exporter"
            );
        }
    }
}

impl PerfBuffer {
    fn open(cpu: u32) -> io::Result<Self> {
        let mut attributes = libbpf_sys::perf_event_attr {
            type_: libbpf_sys::PERF_TYPE_SOFTWARE,
            config: libbpf_sys::PERF_COUNT_SW_BPF_OUTPUT.into(),
            sample_type: libbpf_sys::PERF_SAMPLE_RAW.into(),
            ..Default::default()
        };
        attributes.set_watermark(1);
        attributes.__bindgen_anon_2.wakeup_watermark = WAKING as u32;
        attributes.__bindgen_anon_1.sample_period = 1;
        attributes.read_format = libbpf_sys::PERF_FORMAT_LOST.into();
        let (event, lost_before) = match sys::open_event(&mut attributes, cpu) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                attributes.read_format = 0;
                (sys::open_event(&mut attributes, cpu)?, None)
            }
            event => (event?, Some(0)),
        };
        let page = sys::page_size();
        let (pages, size) = map(&event, page)?;
        Ok(Self { event, pages, page, size, lost_before, whole: Vec::new() })
    }

    /// How many records its CPU has lost so far, if the kernel says so.
    fn lost(&self) -> Option<u64> {
        // What it has counted, and what it has lost.
        let mut numbers = [0; 16];
        let before = self.lost_before?;
        let read = rustix::io::read(&self.event, &mut numbers).ok()?;
        (read == numbers.len()).then(|| before + number(&numbers, 8, 8))
    }

    fn drain(&mut self, visit: &mut dyn FnMut(&[u8]), lost: &mut u64) -> u64 {
        let head = self.pages.u64(HEAD).load(Ordering::Acquire);
        let mut tail = self.pages.u64(TAIL).load(Ordering::Relaxed);
        let (mut count, asked) = (0, self.lost_before.is_some());
        while tail < head {
            let at = tail as usize & (self.size - 1);
            let header = self.pages.bytes(self.page + at, HEADER);
            let (kind, size) = (number(header, 0, 4), number(header, 6, 2) as usize);
            if !(HEADER..=self.size).contains(&size) {
                // It cannot be: go on behind all that there is.
                tail = head;
                break;
            }
            let record = self.record(at, size);
            match kind as libbpf_sys::perf_event_type {
                libbpf_sys::PERF_RECORD_SAMPLE => {
                    let length = number(record, HEADER, 4) as usize;
                    let raw = record.get(HEADER + 4..).unwrap_or_default();
                    visit(&raw[..length.min(raw.len())]);
                    count += 1;
                }
                libbpf_sys::PERF_RECORD_LOST if asked => {}
                libbpf_sys::PERF_RECORD_LOST => *lost += number(record, 2 * HEADER, 8),
                _ => {}
            }
            tail += size as u64;
        }
        self.pages.u64(TAIL).store(tail, Ordering::Release);
        count
    }

    /// The record of `size` bytes at this place of the data.
    fn record(&mut self, at: usize, size: usize) -> &[u8] {
        if at + size <= self.size {
            return self.pages.bytes(self.page + at, size);
        }
        let end = self.size - at;
        self.whole.clear();
        self.whole.extend_from_slice(self.pages.bytes(self.page + at, end));
        self.whole.extend_from_slice(self.pages.bytes(self.page, size - end));
        &self.whole
    }
}

/// The pages of a buffer behind its first one, as many as the kernel has memory for, and how many bytes they
/// are.
fn map(event: &OwnedFd, page: usize) -> io::Result<(Shared, usize)> {
    let mut size = SIZE;
    loop {
        match Shared::writable(event.as_raw_fd(), page + size) {
            Err(error) if size > SMALLEST && is_want_of_memory(&error) => size /= 2,
            pages => return Ok((pages?, size)),
        }
    }
}

fn is_want_of_memory(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EPERM))
}

/// A number of so many bytes in the host's order; 0 if it is not there.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let bytes = bytes.get(at..at + size).unwrap_or_default();
    let mut number = [0; 8];
    let place = if cfg!(target_endian = "little") { 0..bytes.len() } else { 8 - bytes.len()..8 };
    number[place].copy_from_slice(bytes);
    u64::from_ne_bytes(number)
}

impl AsFd for PerfBuffers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
