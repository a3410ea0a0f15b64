//! The body of an answer, with what lasts as long as it: its turn, and that its connection is being answered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::room::Handle;
use super::turns::Turn;

/// Tells when a connection has got all of its answer, or has given it up.
pub(super) struct Answering {
    seat: Handle,
    turn: Option<Turn>,
    /// That no other of the connection is answered.
    _one: Option<OwnedSemaphorePermit>,
}

impl Answering {
    /// From now on.
    pub(super) fn new(seat: &Handle, one: Option<OwnedSemaphorePermit>) -> Self {
        Self { seat: seat.clone(), turn: None, _one: one }
    }

    /// Notes its turn.
    pub(super) fn has_turn(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        drop(self.turn.take());
        self.seat.has_answer();
    }
}

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    answering: Arc<Answering>,
    framed: bool,
}

impl Answer {
    /// The body of one that is being answered. One in frames is so until each of them is written, for a client can
    /// keep them waiting.
    pub(super) fn new(body: Body, answering: Answering, framed: bool) -> Self {
        Self { body, answering: Arc::new(answering), framed }
    }
}

/// Bytes of an answer in frames, until they are written.
struct Unwritten {
    bytes: Bytes,
    _answering: Arc<Answering>,
}

impl AsRef<[u8]> for Unwritten {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for Answer {
    type Data = <Body as http_body::Body>::Data;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !self.framed {
            return Poll::Ready(frame);
        }
        let unwritten = |bytes| {
            let _answering = Arc::clone(&self.answering);
            Bytes::from_owner(Unwritten { bytes, _answering })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(unwritten))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
