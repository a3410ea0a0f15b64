//! Standard output and standard error: the one place that writes to either.
//!
//! A write may fail (a full disk, a reader that has gone) or wait (a reader that does not read). The
//! caller gets to know; nothing here ever panics, as `println!` does.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Bytes to write at a time: a pipe that has room at all has room for so many.
const PIECE: usize = 4096;
/// How long to wait where a descriptor is said to be ready, and is not.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes `text` to standard output, however long its reader takes to read.
///
/// # Errors
///
/// When it cannot all be written.
pub fn print(text: &str) -> io::Result<()> {
    write(&io::stdout(), text.as_bytes(), None).1
}

/// As [`print()`], to standard error.
///
/// # Errors
///
/// When it cannot all be written.
pub fn print_error(text: &str) -> io::Result<()> {
    write(&io::stderr(), text.as_bytes(), None).1
}

/// Writes `bytes`, and waits up to `patience` for room; `None` waits as long as it takes. Says how
/// many were written, and [`io::ErrorKind::TimedOut`] if the wait was in vain. It takes blocking and
/// non-blocking descriptors alike.
pub(crate) fn write(
    fd: &impl AsFd,
    bytes: &[u8],
    patience: Option<Duration>,
) -> (usize, io::Result<()>) {
    let until = patience.map(|patience| Instant::now() + patience);
    let mut written = 0;
    while written < bytes.len() {
        match write_some(fd, &bytes[written..], until) {
            Ok(count) => written += count,
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Writes at least a byte.
fn write_some(fd: &impl AsFd, bytes: &[u8], until: Option<Instant>) -> io::Result<usize> {
    loop {
        if !has_room(fd, until)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match rustix::io::write(fd, &bytes[..bytes.len().min(PIECE)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => {}
            // Another process has taken the room meanwhile.
            Err(Errno::AGAIN) if until.is_none_or(|until| Instant::now() < until) => {
                thread::sleep(PAUSE);
            }
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for room, or for a failure that a write will tell. `false` if none came in time.
fn has_room(fd: &impl AsFd, until: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(fd, PollFlags::OUT)], left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, pipe};

    use rustix::io::ioctl_fionbio;

    use super::*;

    #[test]
    fn a_failure_is_a_result() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (written, result) = write(&full, b"x", None);
        assert_eq!((written, result.unwrap_err().raw_os_error()), (0, Some(libc::ENOSPC)));

        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let (_, result) = write(&writer, b"x", None);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);

        let read_only = File::open("/dev/null").unwrap();
        let (_, result) = write(&read_only, b"x", None);
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn who_does_not_read_is_waited_for_only_so_long() {
        for non_blocking in [false, true] {
            let (_reader, writer) = pipe().unwrap();
            ioctl_fionbio(&writer, non_blocking).unwrap();
            let (written, result) = write(&writer, &[b'x'; 1 << 20], Some(Duration::ZERO));
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(written >= PIECE, "as much as there was room for: {written}");
        }
    }

    #[test]
    fn a_reader_that_reads_late_gets_all() {
        let (mut reader, writer) = pipe().unwrap();
        ioctl_fionbio(&writer, true).unwrap();
        let bytes: Vec<u8> = (0..1u32 << 20).map(|n| n as u8).collect();
        let expected = bytes.clone();
        let thread = thread::spawn(move || write(&writer, &bytes, None).1);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        thread.join().unwrap().unwrap();
        assert!(all == expected);
    }
}
