//! The first bytes of a connection: a handshake of TLS, or somebody who has none, or a server that has none just now.
//!
//! Waits for a client no longer than its stream does, and holds no more of it than TLS needs.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a record of a handshake begins with.
const HANDSHAKE: u8 = 22;

/// Bytes of the head of a record behind its kind: a version, and how long it is.
const HEAD: usize = 4;
/// The longest that a record may be.
const RECORD: u16 = (1 << 14) + 256;
/// What who begins a handshake is told that there can be none: a record with the alert `internal_error`, which is
/// fatal.
const NO_CONFIG: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// What who speaks HTTP without TLS is told.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 54\r\n\r\n\
    this port speaks HTTPS; ask again with https in front\n";

/// A stream that TLS is spoken over.
pub(in crate::serve) type Secure<S> = TlsStream<Replayed<S>>;

/// How a connection has begun.
pub(in crate::serve) enum Greeting<S> {
    /// With TLS.
    Tls(Box<Secure<S>>),
    /// With HTTP, which was answered, or with something else. There is no more to do.
    Other,
    /// With TLS, which cannot be spoken now. The client was told.
    TurnedAway,
}

/// Speaks TLS with who is at the other end, if it can be spoken now.
///
/// # Errors
///
/// Whatever has become of the connection, or of its handshake.
pub(in crate::serve) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    config: Option<Arc<ServerConfig>>,
) -> io::Result<Greeting<S>> {
    let first = stream.read_u8().await?;
    match first {
        HANDSHAKE => {
            let Some(config) = config else {
                turn_away(&mut stream).await?;
                return Ok(Greeting::TurnedAway);
            };
            let stream = Replayed { first: Some(first), stream };
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            Ok(Greeting::Tls(Box::new(stream)))
        }
        // A method.
        b'A'..=b'Z' => {
            // The system forgets an answer that stands behind a request that nobody has read.
            let _ = stream.read(&mut [0; 4096]).await?;
            say(&mut stream, NO_TLS).await?;
            Ok(Greeting::Other)
        }
        _ => Ok(Greeting::Other),
    }
}

/// Reads the record that begins a handshake, for the same reason, and refuses it.
async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let length = u16::from_be_bytes([head[2], head[3]]).min(RECORD);
    tokio::io::copy(&mut (&mut *stream).take(length.into()), &mut tokio::io::sink()).await?;
    say(stream, &NO_CONFIG).await
}

/// Says the last that there is to say.
async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &[u8]) -> io::Result<()> {
    stream.write_all(text).await?;
    stream.flush().await?;
    stream.shutdown().await
}

/// A stream whose first byte was read already.
#[derive(Debug)]
pub(in crate::serve) struct Replayed<S> {
    first: Option<u8>,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(NO_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{text:?}");
    }
}
