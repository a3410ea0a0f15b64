//! Lines on their way to a descriptor: in order, and never in the way of who has something to say.
//!
//! What cannot be written is lost, and how much was is said once there is room again. What waits for
//! a reader that does not read waits here, up to [`MOST`] bytes. Nothing here panics or logs.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::output;

/// Bytes of lines that may wait.
const MOST: usize = 1 << 20;

/// Lines, and the descriptor that they go to.
///
/// They are written by who brings them, but while [`Lines::work`] runs in a thread of its own.
pub(super) struct Lines<F> {
    fd: F,
    /// The line that says how many were lost.
    lost_line: fn(u64) -> String,
    state: Mutex<State>,
    /// Something was put in or written.
    changed: Condvar,
    /// Lines that were lost since the start.
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Line>,
    /// Bytes of all that wait.
    bytes: usize,
    /// Lines that were lost, and this not said yet.
    lost: u64,
    /// Whether a part of a line was written whose rest is lost.
    torn: bool,
    /// Whether the last wait for room was in vain: there is no waiting then until there is some.
    stalled: bool,
    /// How long to wait for room without a thread for it; `None` as long as it takes.
    patience: Option<Duration>,
    /// Whether a thread writes.
    worker: bool,
    /// Whether it is to end once all is written.
    ending: bool,
    /// Whether it has a line in hand.
    writing: bool,
}

struct Line {
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// How many lost lines it tells of, if that is what it does.
    tells: Option<u64>,
}

impl<F: AsFd> Lines<F> {
    pub(super) fn new(fd: F, lost_line: fn(u64) -> String) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { fd, lost_line, state, changed, lost: AtomicU64::new(0) }
    }

    /// How many lines were lost since the start. Never waits.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// How long to wait for a reader, as long as no thread does.
    pub(super) fn set_patience(&self, patience: Option<Duration>) {
        self.lock().patience = patience;
    }

    /// Takes a line, which ends in a newline.
    pub(super) fn put(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes + line.len() > MOST && !state.waiting.is_empty() {
            state.lost += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            state.push(line.to_vec(), None);
        }
        if state.worker {
            self.changed.notify_all();
        } else {
            self.drain(&mut state);
        }
    }

    /// Has [`Lines::work`] return once all is written.
    pub(super) fn end_work(&self) {
        self.lock().ending = true;
        self.changed.notify_all();
    }

    /// Writes all lines that come, until [`Lines::end_work`] is called.
    pub(super) fn work(&self) {
        let _writing = AtWork(self);
        let mut state = self.lock();
        state.worker = true;
        self.changed.notify_all();
        loop {
            let Some(line) = state.pop() else {
                if state.ending {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.writing = true;
            drop(state);
            let result = output::write(&self.fd, &line.bytes[line.written..], None);
            state = self.lock();
            self.note(&mut state, line, result);
            state.writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits until all is written, but no longer than `patience`. A thread that was told to end has had
    /// its time.
    pub(super) fn finish(&self, patience: Duration) {
        let mut state = self.lock();
        if state.worker && state.ending {
            return;
        }
        if state.worker {
            let under_way = |state: &mut State| state.writing || !state.waiting.is_empty();
            // Whether it was in vain or not, this is the end.
            drop(self.changed.wait_timeout_while(state, patience, under_way));
        } else {
            state.stalled = false;
            self.drain(&mut state);
        }
    }

    /// Writes what waits, until there is no room.
    fn drain(&self, state: &mut State) {
        while let Some(line) = state.pop() {
            let patience = if state.stalled { Some(Duration::ZERO) } else { state.patience };
            let result = output::write(&self.fd, &line.bytes[line.written..], patience);
            if !self.note(state, line, result) {
                return;
            }
        }
    }

    /// Notes what became of a line. Whether there may be room for another.
    fn note(
        &self,
        state: &mut State,
        mut line: Line,
        (written, result): (usize, io::Result<()>),
    ) -> bool {
        line.written += written;
        state.stalled = false;
        match result {
            Ok(()) => {
                state.torn = false;
                if state.lost > 0 {
                    let lost = std::mem::take(&mut state.lost);
                    state.push((self.lost_line)(lost).into_bytes(), Some(lost));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                state.stalled = true;
                state.bytes += line.bytes.len();
                state.waiting.push_front(line);
                return false;
            }
            Err(_) => {
                state.torn |= line.written > 0;
                state.lost += line.tells.unwrap_or(1);
                // Those that a line tells of were counted when they were lost.
                self.lost.fetch_add(u64::from(line.tells.is_none()), Ordering::Relaxed);
            }
        }
        true
    }

    /// Nothing that holds this lock can panic, so it is never found poisoned.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that writes, whatever ends it.
struct AtWork<'a, F: AsFd>(&'a Lines<F>);

impl<F: AsFd> Drop for AtWork<'_, F> {
    /// From now on lines are written by who brings them.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        (state.worker, state.writing) = (false, false);
        self.0.drain(&mut state);
        self.0.changed.notify_all();
    }
}

impl State {
    fn push(&mut self, bytes: Vec<u8>, tells: Option<u64>) {
        self.bytes += bytes.len();
        self.waiting.push_back(Line { bytes, written: 0, tells });
    }

    fn pop(&mut self) -> Option<Line> {
        let mut line = self.waiting.pop_front()?;
        self.bytes -= line.bytes.len();
        if self.torn && line.written == 0 {
            line.bytes.insert(0, b'\n');
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{PipeReader, Read, Seek, SeekFrom, Write, pipe};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::thread::{self, JoinHandle};

    use super::*;

    fn lines(fd: impl Into<OwnedFd>) -> Arc<Lines<OwnedFd>> {
        let lines = Lines::new(fd.into(), |lost| format!("lost {lost}\n"));
        lines.set_patience(Some(Duration::ZERO));
        Arc::new(lines)
    }

    /// A thread that has begun to write.
    fn work(lines: &Arc<Lines<OwnedFd>>) -> JoinHandle<()> {
        let worker = Arc::clone(lines);
        let thread = thread::spawn(move || worker.work());
        let begun = |state: &mut State| !state.worker;
        drop(lines.changed.wait_while(lines.lock(), begun));
        thread
    }

    /// Reads until a line is there.
    fn read_to(reader: &mut PipeReader, last: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(last.as_bytes()) {
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// More than a pipe takes and more than may wait.
    fn flood(lines: &Lines<OwnedFd>) -> usize {
        let count = 3 * MOST / 1000;
        (0..count).for_each(|n| lines.put(format!("{n:0999}\n").as_bytes()));
        count
    }

    /// How many numbered lines there are, and how many lines were lost by what others say.
    fn told(text: &str) -> (usize, usize) {
        let (lost, kept): (Vec<_>, Vec<_>) = text
            .lines()
            .filter(|line| !line.ends_with("last"))
            .partition(|line| line.starts_with("lost"));
        assert!(kept.is_sorted(), "lines are in order");
        let lost = lost.iter().map(|line| line["lost ".len()..].parse::<usize>().unwrap()).sum();
        (kept.len(), lost)
    }

    #[test]
    fn who_does_not_read_loses_lines_and_is_told_how_many() {
        for worker in [false, true] {
            let (mut reader, writer) = pipe().unwrap();
            let lines = lines(writer);
            if worker {
                work(&lines);
            }
            let count = flood(&lines);
            let reader = thread::spawn(move || read_to(&mut reader, "last\n"));
            // They go out as the reader takes them, and it waits for the last. That one is as long as
            // the others, so there is no room for it before there is for them.
            while !reader.is_finished() {
                lines.put(format!("{:>999}\n", "last").as_bytes());
                lines.finish(Duration::from_secs(60));
            }
            let (kept, lost) = told(&reader.join().unwrap());
            let lost_numbers = count - kept;
            assert!(kept >= MOST / 1000 && lost >= lost_numbers, "{kept} kept, {lost} lost");
        }
    }

    #[test]
    fn all_is_written_in_order_before_the_end() {
        let (mut reader, writer) = pipe().unwrap();
        let lines = lines(writer);
        lines.put(b"before\n");
        work(&lines);
        (0..100).for_each(|n| lines.put(format!("{n}\n").as_bytes()));
        lines.finish(Duration::from_secs(60));
        let text = read_to(&mut reader, "99\n");
        let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(text, format!("before\n{}\n", expected.join("\n")));
    }

    #[test]
    fn a_worker_that_ends_has_written_all_and_leaves_the_rest_to_others() {
        let (mut reader, writer) = pipe().unwrap();
        let lines = lines(writer);
        let thread = work(&lines);
        (0..100).for_each(|n| lines.put(format!("{n}\n").as_bytes()));
        lines.end_work();
        thread.join().unwrap();
        lines.put(b"after\n");
        lines.finish(Duration::ZERO);
        let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        let text = read_to(&mut reader, "after\n");
        assert_eq!(text, format!("{}\nafter\n", expected.join("\n")));
    }

    #[test]
    fn a_worker_without_a_reader_holds_up_the_end_but_once() {
        let (_reader, writer) = pipe().unwrap();
        let lines = lines(writer);
        work(&lines);
        flood(&lines);
        lines.end_work();
        // It would wait for a day.
        lines.finish(Duration::from_secs(86_400));
        assert!(lines.lock().worker);
    }

    #[test]
    fn a_failure_costs_the_line_alone() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let gone = lines(writer);
        gone.put(b"nobody reads this\n");
        assert_eq!(gone.lock().lost, 1);

        let full = lines(File::options().write(true).open("/dev/full").unwrap());
        work(&full);
        (0..10).for_each(|_| full.put(b"there is no room for this\n"));
        full.finish(Duration::from_secs(60));
        let state = full.lock();
        assert_eq!((state.lost, state.bytes, full.lost()), (10, 0, 10));
    }

    #[test]
    fn a_torn_line_does_not_spoil_the_next() {
        let mut file = tempfile::tempfile().unwrap();
        let lines = lines(file.try_clone().unwrap());
        file.write_all(b"the beginning of").unwrap();
        lines.lock().torn = true;
        lines.lock().lost = 1;
        lines.put(b"next\n");
        assert_eq!(lines.lost(), 0, "none is counted again when it is told of");
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "the beginning of\nnext\nlost 1\n");
    }
}
