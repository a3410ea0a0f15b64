//! A page as the body of a response: its parts are sent as they are, none is copied.
//!
//! A client that is slow to read holds the bytes of its page, and those of a later scrape are others.
//! So only so many responses may be under way: beyond that, the one that has waited longest is cut off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::exposition::Body;

/// Responses that may hold their pages at a time. A Prometheus takes one in milliseconds, so these
/// are many who ask at once, or some who do not read.
const MOST: usize = 32;

/// The responses under way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Sending(Arc<Mutex<VecDeque<Weak<Mutex<Rest>>>>>);

/// The body of a response.
#[derive(Debug)]
pub(super) struct Parts(Arc<Mutex<Rest>>);

/// What of a page is still to be sent.
#[derive(Debug)]
struct Rest {
    parts: std::vec::IntoIter<Bytes>,
    left: usize,
    cut_off: bool,
}

/// Why a response ends before its page does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cut off: {MOST} newer responses are under way, and this client has waited longest to read"
)]
pub(super) struct CutOff;

impl Sending {
    /// All parts of a page, as a response that is under way now.
    pub(super) fn begin(&self, body: &Body) -> Parts {
        let parts = body.parts().to_vec().into_iter();
        let rest = Arc::new(Mutex::new(Rest { parts, left: body.len(), cut_off: false }));
        let mut all = lock(&self.0);
        all.retain(|rest| rest.strong_count() > 0);
        while all.len() >= MOST {
            if let Some(oldest) = all.pop_front().and_then(|rest| rest.upgrade()) {
                lock(&oldest).cut_off();
            }
        }
        all.push_back(Arc::downgrade(&rest));
        Parts(rest)
    }
}

impl Rest {
    fn cut_off(&mut self) {
        self.parts = Vec::new().into_iter();
        self.cut_off = true;
    }
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let mut rest = lock(&self.0);
        if rest.cut_off {
            return Poll::Ready(Some(Err(CutOff)));
        }
        let Some(part) = rest.parts.next() else { return Poll::Ready(None) };
        rest.left -= part.len();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(lock(&self.0).left as u64)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    fn next(parts: &mut Parts) -> Option<Result<Bytes, CutOff>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Pin::new(parts).poll_frame(&mut cx) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("there is nothing to wait for"),
        }
    }

    #[test]
    fn all_parts_come_and_then_the_end() {
        let body: Body = [Bytes::from("one"), Bytes::from("two")].into_iter().collect();
        let mut parts = Sending::default().begin(&body);
        assert_eq!(parts.size_hint().exact(), Some(6));
        assert_eq!(next(&mut parts), Some(Ok("one".into())));
        assert!(!parts.is_end_stream());
        assert_eq!(next(&mut parts), Some(Ok("two".into())));
        assert!(parts.is_end_stream());
        assert_eq!(next(&mut parts), None);
    }

    #[test]
    fn who_has_waited_longest_makes_room() {
        let sending = Sending::default();
        let page = || Body::from(vec![7; 10]);
        let (first, second) = (page(), page());
        let mut waiting = vec![sending.begin(&first), sending.begin(&second)];
        waiting.extend((2..MOST).map(|_| sending.begin(&page())));
        drop(waiting.pop());
        waiting.push(sending.begin(&page()));
        assert!(!first.parts()[0].is_unique(), "one has ended: there is room");
        waiting.push(sending.begin(&page()));
        assert!(first.parts()[0].is_unique(), "its bytes are not held any more");
        assert!(!second.parts()[0].is_unique());
        let error = next(&mut waiting[0]).unwrap().unwrap_err();
        insta::assert_snapshot!(error, @"cut off: 32 newer responses are under way, and this client has waited longest to read");
        assert_eq!(next(&mut waiting[1]).unwrap().unwrap().len(), 10);
    }
}
