//! A page as the body of a response: its parts are sent as they are, none is copied.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::exposition::Body;

/// The parts of a page that are still to be sent.
pub(super) struct Parts {
    parts: std::vec::IntoIter<Bytes>,
    left: usize,
}

impl Parts {
    /// All parts of a page.
    pub(super) fn of(body: &Body) -> Self {
        Self { parts: body.parts().to_vec().into_iter(), left: body.len() }
    }
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(part) = self.parts.next() else { return Poll::Ready(None) };
        self.left -= part.len();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
