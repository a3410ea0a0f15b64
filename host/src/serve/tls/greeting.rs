//! The first bytes of a connection: a handshake of TLS, or somebody who has none.
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
}

/// Speaks TLS with who is at the other end.
///
/// # Errors
///
/// Whatever has become of the connection, or of its handshake.
pub(in crate::serve) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    config: Arc<ServerConfig>,
) -> io::Result<Greeting<S>> {
    let first = stream.read_u8().await?;
    match first {
        HANDSHAKE => {
            let stream = Replayed { first: Some(first), stream };
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            Ok(Greeting::Tls(Box::new(stream)))
        }
        // A method.
        b'A'..=b'Z' => {
            // The system forgets an answer that stands behind a request that nobody has read.
            let _ = stream.read(&mut [0; 4096]).await?;
            stream.write_all(NO_TLS).await?;
            stream.flush().await?;
            stream.shutdown().await?;
            Ok(Greeting::Other)
        }
        _ => Ok(Greeting::Other),
    }
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
