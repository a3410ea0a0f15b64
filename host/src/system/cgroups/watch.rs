//! Which cgroups come and go: the events of fanotify, which Linux has for cgroups from 6.6 on.
//!
//! An event names the parent by its id, and the cgroup by its name; when it goes, by its id too. So nothing has
//! to be opened, and nothing is missed of cgroups that live for a moment. To begin takes CAP_SYS_ADMIN; to read
//! events takes nothing.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use rustix::io::read;

use crate::advice::lowered;

/// Bytes of events that are read at a time.
const BUFFER: usize = 64 << 10;
/// How often is read before others have their turn: more than the kernel's queue holds by default.
const READS: usize = 64;

/// Bytes of an event before what tells of its directory and name.
const EVENT: usize = size_of::<libc::fanotify_event_metadata>();
/// Bytes of such a record before the handle: its kind, its length, and the file system.
const RECORD: usize = size_of::<libc::fanotify_event_info_fid>();
/// The kind of handle that is the id of a cgroup.
const KERNFS_HANDLE: i32 = 0xfe;

/// A watch over all cgroups.
#[derive(Debug)]
pub(super) struct Watch {
    group: Fanotify,
    buffer: Vec<u8>,
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A cgroup was made.
    Came(Spot<'a>),
    /// This cgroup was removed.
    Went(u64, Spot<'a>),
    /// The kernel's queue was full: events are lost.
    Lost,
    /// Something else has changed.
    Other,
}

/// Where a cgroup is, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot<'a> {
    /// The cgroup in which it is.
    pub(super) parent: u64,
    /// What it is called there.
    pub(super) name: &'a [u8],
}

/// Why cgroups are not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwatched {
    /// `--no-cgroup.fanotify`.
    TurnedOff,
    /// There are none.
    NoCgroups,
    /// The kernel, in its words.
    Refused(Errno),
}

impl std::fmt::Display for Unwatched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TurnedOff => f.write_str("--no-cgroup.fanotify"),
            Self::NoCgroups => f.write_str("no cgroup v2 is mounted"),
            Self::Refused(Errno::EPERM) => {
                f.write_str("fanotify is not permitted, which takes CAP_SYS_ADMIN")
            }
            Self::Refused(
                Errno::ENODEV | Errno::EOPNOTSUPP | Errno::EXDEV | Errno::EINVAL | Errno::ENOSYS,
            ) => f.write_str("this kernel has no fanotify for cgroups, as Linux 6.6 has"),
            Self::Refused(errno) => write!(f, "fanotify: {}", lowered(errno.desc())),
        }
    }
}

impl Watch {
    /// Begins to watch the hierarchy whose top is at `top`.
    pub(super) fn begin(top: &Path) -> Result<Self, Unwatched> {
        let flags = InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK | InitFlags::FAN_CLASS_NOTIF;
        let ids = InitFlags::from_bits_retain(libc::FAN_REPORT_DFID_NAME_TARGET);
        let group =
            Fanotify::init(flags | ids, EventFFlags::empty()).map_err(Unwatched::Refused)?;
        let all = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
        let events = MaskFlags::FAN_CREATE
            | MaskFlags::FAN_DELETE
            | MaskFlags::FAN_MOVED_FROM
            | MaskFlags::FAN_MOVED_TO
            | MaskFlags::FAN_ONDIR;
        let only = MarkFlags::FAN_MARK_ONLYDIR;
        let marked = group.mark(all | only, events, rustix::fs::CWD, Some(top));
        marked.map_err(Unwatched::Refused)?;
        Ok(Self { group, buffer: vec![0; BUFFER] })
    }

    /// Tells all events that have happened since it was asked last.
    pub(super) fn events(&mut self, mut told: impl FnMut(Event<'_>)) {
        for _ in 0..READS {
            // Nothing more is there, or nothing can be had; the next time is not far.
            let Ok(size) = read(&self.group, &mut self.buffer[..]) else { return };
            parse(&self.buffer[..size], &mut told);
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

/// Tells the events in these bytes.
fn parse(mut bytes: &[u8], told: &mut impl FnMut(Event<'_>)) {
    while !bytes.is_empty() {
        let size = number(bytes, 0).map(|size: u32| size as usize);
        let Some(event) = size.filter(|size| *size >= EVENT).and_then(|size| bytes.get(..size))
        else {
            // Not of the kernel that this was written for.
            told(Event::Other);
            return;
        };
        bytes = &bytes[event.len()..];
        tell(event, told);
    }
}

/// Tells one event. What happened to one name may have been joined: then it was made before it was removed, as
/// no other has its id.
fn tell(event: &[u8], told: &mut impl FnMut(Event<'_>)) {
    let Some(mask) = number::<u64>(event, 8) else { return told(Event::Other) };
    let has = |bits: u64| mask & bits != 0;
    if has(libc::FAN_Q_OVERFLOW) {
        return told(Event::Lost);
    }
    if !has(libc::FAN_ONDIR) {
        return;
    }
    let records = Records::of(event);
    let (spot, id) = (records.spot, records.id);
    match (has(libc::FAN_CREATE), has(libc::FAN_DELETE), spot, id) {
        (true, false, Some(spot), _) => told(Event::Came(spot)),
        (false, true, Some(spot), Some(id)) => told(Event::Went(id, spot)),
        (true, true, Some(spot), Some(id)) => {
            told(Event::Came(spot));
            told(Event::Went(id, spot));
        }
        _ => told(Event::Other),
    }
}

/// What the records behind an event say.
#[derive(Default)]
struct Records<'a> {
    spot: Option<Spot<'a>>,
    id: Option<u64>,
}

impl<'a> Records<'a> {
    fn of(event: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut rest = event.get(EVENT..).unwrap_or_default();
        while let Some(size) = number::<u16>(rest, 2).map(usize::from).filter(|size| *size > 0) {
            let Some(record) = rest.get(..size) else { break };
            rest = &rest[size..];
            let handle = Self::handle(record);
            match record[0] {
                libc::FAN_EVENT_INFO_TYPE_DFID_NAME => found.spot = handle.and_then(spot),
                libc::FAN_EVENT_INFO_TYPE_FID => found.id = handle.map(|(id, _)| id),
                _ => {}
            }
        }
        found
    }

    /// The id that a record's handle is, and what stands behind it.
    fn handle(record: &[u8]) -> Option<(u64, &[u8])> {
        let (size, kind) = (number::<u32>(record, RECORD)?, number::<i32>(record, RECORD + 4)?);
        if size as usize != size_of::<u64>() || kind != KERNFS_HANDLE {
            return None;
        }
        Some((number(record, RECORD + 8)?, record.get(RECORD + 16..)?))
    }
}

fn spot((parent, text): (u64, &[u8])) -> Option<Spot<'_>> {
    let name = text.split(|byte| *byte == 0).next()?;
    (!name.is_empty()).then_some(Spot { parent, name })
}

/// A number as the kernel writes it.
trait Number: Sized {
    fn read(bytes: &[u8], at: usize) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl Number for $number {
            fn read(bytes: &[u8], at: usize) -> Option<Self> {
                Some(Self::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
            }
        })+
    };
}

numbers!(u16, u32, i32, u64);

fn number<N: Number>(bytes: &[u8], at: usize) -> Option<N> {
    N::read(bytes, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, handle: (u32, i32, u64), name: &[u8]) -> Vec<u8> {
        let (size, handle_kind, id) = handle;
        let mut body = [size.to_ne_bytes(), handle_kind.to_ne_bytes()].concat();
        body.extend(id.to_ne_bytes());
        body.extend(name);
        let size = u16::try_from(RECORD + body.len()).unwrap();
        let mut record = vec![kind, 0];
        record.extend(size.to_ne_bytes());
        // The file system.
        record.extend([7; 8]);
        record.extend(body);
        record
    }

    fn event(mask: u64, records: &[Vec<u8>]) -> Vec<u8> {
        let records = records.concat();
        let size = u32::try_from(EVENT + records.len()).unwrap();
        let mut event = size.to_ne_bytes().to_vec();
        event.extend([3, 0, 24, 0]);
        event.extend(mask.to_ne_bytes());
        event.extend([0xff; 8]);
        event.extend(records);
        event
    }

    fn told(bytes: &[u8]) -> String {
        let mut all = Vec::new();
        parse(bytes, &mut |event| {
            let of = |Spot { parent, name }| format!("{parent}/{}", String::from_utf8_lossy(name));
            all.push(match event {
                Event::Came(spot) => format!("came {}", of(spot)),
                Event::Went(id, spot) => format!("went {id} {}", of(spot)),
                other => format!("{other:?}"),
            });
        });
        all.join(", ")
    }

    #[test]
    fn events_are_read_as_the_kernel_writes_them() {
        use libc::{FAN_CREATE, FAN_DELETE, FAN_MOVED_TO, FAN_ONDIR, FAN_Q_OVERFLOW};

        let parent = record(2, (8, KERNFS_HANDLE, 14237), b"a\0\0\0");
        let own = record(1, (8, KERNFS_HANDLE, 14256), b"");
        let both = [parent.clone(), own.clone()];
        let came = event(FAN_CREATE | FAN_ONDIR, std::slice::from_ref(&parent));
        let went = event(FAN_DELETE | FAN_ONDIR, &both);
        assert_eq!(told(&[came.clone(), went].concat()), "came 14237/a, went 14256 14237/a");
        let joined = event(FAN_CREATE | FAN_DELETE | FAN_ONDIR, &both);
        assert_eq!(told(&joined), "came 14237/a, went 14256 14237/a");
        assert_eq!(told(&event(FAN_Q_OVERFLOW, &[])), "Lost");
        assert_eq!(told(&event(FAN_MOVED_TO | FAN_ONDIR, &both)), "Other");
        assert_eq!(told(&event(FAN_CREATE, &both)), "", "files are nobody's");
        // What is not understood leads to a walk, and never further than the bytes go.
        let strange = record(2, (12, 1, 14237), b"a\0\0\0");
        assert_eq!(told(&event(FAN_CREATE | FAN_ONDIR, &[strange])), "Other");
        assert_eq!(told(&event(FAN_DELETE | FAN_ONDIR, &[parent])), "Other");
        for size in 0..came.len() {
            let cut = told(&came[..size]);
            assert!(cut.is_empty() || cut == "Other", "{size}: {cut}");
        }
        let mut endless = came.clone();
        endless[..4].copy_from_slice(&0u32.to_ne_bytes());
        assert_eq!(told(&endless), "Other");
        for at in EVENT..came.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut wild = came.clone();
                wild[at] = byte;
                told(&wild);
            }
        }
    }

    #[test]
    fn says_why_not() {
        let all = [
            Unwatched::TurnedOff,
            Unwatched::NoCgroups,
            Unwatched::Refused(Errno::EPERM),
            Unwatched::Refused(Errno::ENODEV),
            Unwatched::Refused(Errno::EMFILE),
        ];
        insta::assert_snapshot!(all.map(|why| why.to_string()).join("\n"), @"
        --no-cgroup.fanotify
        no cgroup v2 is mounted
        fanotify is not permitted, which takes CAP_SYS_ADMIN
        this kernel has no fanotify for cgroups, as Linux 6.6 has
        fanotify: too many open files
        ");
    }
}
