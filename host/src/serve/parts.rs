//! A page as the body of a response: its parts are sent as they are, none is copied.
//!
//! A client that is slow to read holds the bytes of its page, and those of a later scrape are
//! others. So each part is counted from when it is to be sent until the kernel has it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::room::{Handle, Room};
use crate::exposition::Body;

/// The body of a response.
#[derive(Debug)]
pub(super) struct Parts {
    rest: std::vec::IntoIter<Held>,
    left: usize,
}

/// A part that is not sent yet.
#[derive(Debug)]
struct Held {
    bytes: Bytes,
    room: Room,
}

/// The same bytes, which count as unsent by the client in this place until they are dropped.
pub(super) fn held(seat: &Handle, bytes: Bytes) -> Bytes {
    seat.holds(std::slice::from_ref(&bytes));
    Bytes::from_owner(Held { bytes, room: seat.room().clone() })
}

impl Parts {
    /// All parts of a page, for the client in this place.
    pub(super) fn new(seat: &Handle, body: &Body) -> Self {
        seat.holds(body.parts());
        let held = |bytes: &Bytes| Held { bytes: bytes.clone(), room: seat.room().clone() };
        let parts: Vec<_> = body.parts().iter().map(held).collect();
        Self { rest: parts.into_iter(), left: body.len() }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.release(&self.bytes);
    }
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(part) = self.rest.next() else { return Poll::Ready(None) };
        self.left -= part.bytes.len();
        // Whoever has these bytes has the part: it is released with the last of them.
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::super::limits::ClientLimits;
    use super::super::socket::Peer;
    use super::super::traffic::Traffic;
    use super::*;

    fn next(parts: &mut Parts) -> Option<Bytes> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Pin::new(parts).poll_frame(&mut cx) {
            Poll::Ready(frame) => frame.map(|frame| frame.unwrap().into_data().unwrap()),
            Poll::Pending => panic!("there is nothing to wait for"),
        }
    }

    #[test]
    fn all_parts_come_and_each_counts_until_it_is_sent() {
        let traffic = Traffic::default();
        let room = Room::new(ClientLimits::default(), traffic.clone());
        let seat = room.seat(Peer::Local).unwrap();
        let body: Body = [Bytes::from("one"), Bytes::from("four")].into_iter().collect();
        let mut parts = Parts::new(&seat.handle(), &body);
        assert_eq!((parts.size_hint().exact(), traffic.unsent()), (Some(7), 7));
        let other = Parts::new(&seat.handle(), &body);
        assert_eq!(traffic.unsent(), 7, "those that two wait for count once");
        drop(other);

        let one = next(&mut parts).unwrap();
        assert_eq!((&*one, traffic.unsent()), (&b"one"[..], 7), "it has not gone yet");
        drop(one);
        assert_eq!((parts.is_end_stream(), traffic.unsent()), (false, 4));
        assert_eq!(next(&mut parts).unwrap(), "four");
        assert!(parts.is_end_stream() && next(&mut parts).is_none());
        assert_eq!(traffic.unsent(), 0);
    }

    #[test]
    fn a_client_that_goes_takes_nothing_with_it() {
        let traffic = Traffic::default();
        let room = Room::new(ClientLimits::default(), traffic.clone());
        let seat = room.seat(Peer::Local).unwrap();
        let body = Body::from(vec![7; 10]);
        let parts = Parts::new(&seat.handle(), &body);
        assert_eq!((traffic.unsent(), body.parts()[0].is_unique()), (10, false));
        drop(parts);
        assert_eq!((traffic.unsent(), body.parts()[0].is_unique()), (0, true));
    }
}
