//! Servers of HTTP that do as a test says, however wrong that is.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked: the first line, and the headers.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The method and the path without what a query adds.
    pub fn what(&self) -> &str {
        let end = self.line.rfind(" HTTP/").unwrap_or(self.line.len());
        &self.line[..end]
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

/// A server in a thread of this process, which ends with it.
pub struct Made {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Made {
    /// Serves with what writes an answer.
    pub fn serve(
        answer: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut client = client;
                    let Ok(request) = read(&client) else { return };
                    noted.lock().unwrap().push(request.clone());
                    // Whoever has enough hangs up.
                    let _ = answer(&request, &mut client);
                    let _ = client.shutdown(Shutdown::Write);
                    let _ = io::copy(&mut client, &mut io::sink());
                });
            }
        });
        Self { port, asked }
    }

    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.what().to_owned()).collect()
    }
}

fn read(client: &TcpStream) -> io::Result<Request> {
    let mut lines = BufReader::new(client.take(1 << 20)).lines();
    let mut next = || lines.next().unwrap_or_else(|| Ok(String::new()));
    let (line, mut headers) = (next()?, Vec::new());
    loop {
        match next()? {
            header if header.is_empty() => return Ok(Request { line, headers }),
            header => {
                let (name, value) = header.split_once(": ").unwrap_or((&header, ""));
                headers.push((name.to_lowercase(), value.to_owned()));
            }
        }
    }
}

/// Writes an answer that is as it should be.
pub fn answer(
    client: &mut TcpStream,
    status: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<()> {
    begin(client, status, headers, body.len())?;
    client.write_all(body)
}

/// Writes the beginning of an answer that says it has so many bytes.
pub fn begin(
    client: &mut TcpStream,
    status: &str,
    headers: &[(&str, &str)],
    length: usize,
) -> io::Result<()> {
    write!(client, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n")?;
    headers.iter().try_for_each(|(name, value)| write!(client, "{name}: {value}\r\n"))?;
    client.write_all(b"\r\n")
}

/// Writes an answer whose body never ends.
pub fn endless(client: &mut TcpStream, status: &str, piece: &[u8]) -> io::Result<()> {
    write!(client, "HTTP/1.1 {status}\r\nConnection: close\r\n\r\n")?;
    loop {
        client.write_all(piece)?;
    }
}
