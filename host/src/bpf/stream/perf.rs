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

/// Bytes of one CPU's buffer: a power of two pages.
const SIZE: usize = 1 << 20;
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
            let buffer = PerfBuffer::open(cpu)?;
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

    /// How many records each CPU had no room for.
    pub(super) fn lost(&self) -> &BTreeMap<u32, u64> {
        &self.lost
    }

    /// See [`super::Stream::follow_cpus`].
    pub(super) fn follow(&mut self) {
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
        // To wake who waits costs as much as to write a record: every scrape drains what there is.
        attributes.set_watermark(1);
        attributes.__bindgen_anon_2.wakeup_watermark = (SIZE / 2) as u32;
        attributes.__bindgen_anon_1.sample_period = 1;
        let event = sys::open_event(&mut attributes, cpu)?;
        let page = sys::page_size();
        let pages = Shared::writable(event.as_raw_fd(), page + SIZE)?;
        Ok(Self { event, pages, page, whole: Vec::new() })
    }

    fn drain(&mut self, visit: &mut dyn FnMut(&[u8]), lost: &mut u64) -> u64 {
        let head = self.pages.u64(HEAD).load(Ordering::Acquire);
        let mut tail = self.pages.u64(TAIL).load(Ordering::Relaxed);
        let mut count = 0;
        while tail < head {
            let at = tail as usize & (SIZE - 1);
            let header = self.pages.bytes(self.page + at, HEADER);
            let (kind, size) = (number(header, 0, 4), number(header, 6, 2) as usize);
            if !(HEADER..=SIZE).contains(&size) {
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
        if at + size <= SIZE {
            return self.pages.bytes(self.page + at, size);
        }
        let end = SIZE - at;
        self.whole.clear();
        self.whole.extend_from_slice(self.pages.bytes(self.page + at, end));
        self.whole.extend_from_slice(self.pages.bytes(self.page, size - end));
        &self.whole
    }
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
