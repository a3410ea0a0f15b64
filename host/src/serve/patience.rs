//! A connection's stream: it tells what the client does, and does not wait for it for ever.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use super::room::Handle;
use super::socket::Stream;

/// After so many bytes of one connection it is the others' turn: one whose client is quick could
/// otherwise be written to for as long as its answer lasts, while new ones wait to be seen.
const STRETCH: usize = 256 << 10;

/// A stream that fails once its client has made it wait too long, for a request or for an answer to
/// be taken. The time for an answer runs from the first write that had to wait until all is flushed,
/// so that a client cannot stretch it by taking a byte now and then.
pub(super) struct Patient {
    stream: Stream,
    seat: Handle,
    /// Goes off at `deadline`.
    timer: Pin<Box<Sleep>>,
    deadline: Instant,
    /// Bytes written since the others had their turn.
    stretch: usize,
}

impl Patient {
    /// The stream of the connection in this place.
    pub(super) fn new(stream: Stream, seat: Handle) -> Self {
        let deadline = seat.deadline().map_or_else(Instant::now, |(deadline, _)| deadline);
        let timer = Box::pin(sleep_until(deadline.into()));
        Self { stream, seat, timer, deadline, stretch: 0 }
    }

    /// What waiting comes to: the end of it, if it was long enough.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some((deadline, cause)) = self.seat.deadline() else { return Poll::Pending };
        if deadline != self.deadline {
            self.deadline = deadline;
            self.timer.as_mut().reset(deadline.into());
        }
        ready!(self.timer.as_mut().poll(cx));
        self.seat.ends(cause);
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Lets the others have their turn if it is time for that.
    fn pauses(&mut self, cx: &mut Context<'_>) -> bool {
        let pauses = self.stretch >= STRETCH;
        if pauses {
            self.stretch = 0;
            cx.waker().wake_by_ref();
        }
        pauses
    }

    /// What a write came to.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            self.stretch = 0;
            self.seat.stalls();
            return self.wait(cx);
        }
        if let Poll::Ready(Ok(count)) = &written {
            self.stretch += count;
        }
        self.seat.takes();
        written
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        if self.seat.is_cut_off() {
            self.stream.forget_unsent();
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() {
            return self.wait(cx);
        }
        if buffer.filled().len() > before {
            self.seat.asks();
        }
        read
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pauses(cx) {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pauses(cx) {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.seat.took_all()
            && let Poll::Ready(over) = self.wait(cx)
        {
            // With no time to idle at all. Otherwise the timer runs now, whoever reads when.
            return Poll::Ready(over);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
