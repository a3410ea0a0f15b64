//! Clients of the kinds that a server on a network meets, and the one that has to be served meanwhile.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::runtime::{self, Runtime};
use tokio::time::sleep;

/// What all clients of a crowd do, again as soon as they are let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Connect, and say nothing.
    Idle,
    /// Send a byte of a head now and then.
    SlowHeaders,
    /// Promise a body, and send a byte of it now and then.
    SlowBodies,
    /// Ask, and read a little now and then.
    SlowReaders,
    /// Ask without end, and read nothing.
    Pipelining,
    /// Ask and read, on a connection that is kept.
    Busy,
    /// Connect and close.
    Flood,
    /// Ask and reset.
    Resets,
}

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
/// Between two bytes of those who are slow.
const SLOW: Duration = Duration::from_millis(500);
/// Before who was refused a connection tries again.
const AGAIN: Duration = Duration::from_millis(100);

/// Attackers that go on until this is dropped.
pub(crate) struct Crowd(Option<Runtime>);

impl Crowd {
    /// So many of them, from so many addresses of this host, 127.0.0.1 the first.
    pub(crate) fn gather(attack: Attack, clients: usize, server: SocketAddr, hosts: usize) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        for client in 0..clients {
            let host = u8::try_from(1 + client % hosts).unwrap();
            runtime.spawn(async move {
                loop {
                    // Whatever ends it, it is tried again.
                    let _ = once(attack, Ipv4Addr::new(127, 0, 0, host), server).await;
                    sleep(AGAIN).await;
                }
            });
        }
        Self(Some(runtime))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// One connection, until it ends.
async fn once(attack: Attack, host: Ipv4Addr, server: SocketAddr) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    if attack == Attack::SlowReaders || attack == Attack::Pipelining {
        socket.set_recv_buffer_size(4096)?;
    }
    if server.ip().is_loopback() {
        socket.bind((host, 0).into())?;
    }
    let stream = socket.connect(server).await?;
    match attack {
        Attack::Idle => read(&stream, &mut [0]).await.map(|_| ()),
        Attack::SlowHeaders => drip(&stream, b"GET /metrics HTTP/1.1\r\nHost: ").await,
        Attack::SlowBodies => {
            let head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
            drip(&stream, head).await
        }
        Attack::SlowReaders => {
            write(&stream, REQUEST).await?;
            while read(&stream, &mut [0; 512]).await? > 0 {
                sleep(SLOW).await;
            }
            Ok(())
        }
        Attack::Pipelining => loop {
            write(&stream, &REQUEST.repeat(100)).await?;
        },
        Attack::Busy => {
            let mut buffer = vec![0; 64 << 10];
            loop {
                write(&stream, REQUEST).await?;
                let mut left = None;
                let mut head = Vec::new();
                while left != Some(0) {
                    let n = read(&stream, &mut buffer).await?;
                    if n == 0 {
                        return Ok(());
                    }
                    left = match left {
                        Some(left) => Some(left - n.min(left)),
                        None => {
                            head.extend_from_slice(&buffer[..n]);
                            remaining(&head)
                        }
                    };
                }
            }
        }
        Attack::Flood => Ok(()),
        Attack::Resets => {
            write(&stream, REQUEST).await?;
            stream.set_zero_linger()
        }
    }
}

/// Sends `head`, then a byte now and then.
async fn drip(stream: &tokio::net::TcpStream, head: &[u8]) -> io::Result<()> {
    write(stream, head).await?;
    loop {
        sleep(SLOW).await;
        write(stream, b"x").await?;
    }
}

async fn read(stream: &tokio::net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

async fn write(stream: &tokio::net::TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How many bytes of a response are still to come, once its head is there.
fn remaining(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some((head + length.parse::<usize>().ok()?).saturating_sub(bytes.len()))
}

/// A client as Prometheus is one: it keeps its connection if it may, and tries once more on a new
/// one if that has been closed meanwhile.
pub(crate) struct Victim {
    server: SocketAddr,
    kept: Option<TcpStream>,
}

impl Victim {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { server, kept: None }
    }

    /// The bytes of one page, all of it.
    pub(crate) fn scrape(&mut self, time: Duration) -> io::Result<usize> {
        if let Some(stream) = self.kept.take()
            && let Ok(bytes) = self.ask(stream, time)
        {
            return Ok(bytes);
        }
        let stream = TcpStream::connect_timeout(&self.server, time)?;
        self.ask(stream, time)
    }

    fn ask(&mut self, mut stream: TcpStream, time: Duration) -> io::Result<usize> {
        stream.set_read_timeout(Some(time))?;
        stream.write_all(REQUEST)?;
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 256 << 10]);
        while remaining(&bytes) != Some(0) {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&buffer[..n]);
        }
        if !bytes.starts_with(b"HTTP/1.1 200") {
            let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
            return Err(io::Error::other(String::from_utf8_lossy(line).into_owned()));
        }
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        if !String::from_utf8_lossy(&bytes[..head]).contains("connection: close") {
            self.kept = Some(stream);
        }
        Ok(bytes.len() - head)
    }
}
