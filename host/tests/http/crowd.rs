//! More clients than there is room for: who is served, who goes, and what it is called.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ebpf_wasm_exporter::serve::{ClientLimits, CloseCause};
use socket2::{Domain, Socket, Type};

use crate::attack::{Attack, Crowd, Victim};
use crate::server::{HANG, Options, Response, Server, TEXT, gate, until};

/// Asks on a connection that is kept, and reads the head of the answer.
fn ask_for_head(stream: &mut TcpStream) -> String {
    write!(stream, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    String::from_utf8(answer).unwrap()
}

/// Whether the other end has closed it. Waits until it has, if it is `expected` to.
fn is_closed(stream: &mut TcpStream, expected: bool) -> bool {
    stream.set_nonblocking(!expected).unwrap();
    match stream.read(&mut [0]) {
        Ok(n) => n == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// More than the buffers of both ends hold.
fn large() -> Bytes {
    Bytes::from(vec![b'#'; 64 << 20])
}

#[test]
fn who_has_idled_longest_makes_room() {
    let limits = ClientLimits { connections: 3, ..ClientLimits::default() };
    let server = Server::start(Options { limits, ..Options::default() });
    let mut silent = server.connect();
    let mut kept = server.connect();
    // It asked later than the other came, and idles since then.
    assert!(!ask_for_head(&mut kept).contains("connection: close"));
    let mut half = server.connect();
    half.write_all(b"GET /metrics HT").unwrap();
    until(|| server.traffic.open() == 3);

    assert_eq!(server.ask("GET /metrics HTTP/1.1").text(), TEXT);
    assert!(is_closed(&mut silent, true) && !is_closed(&mut kept, false));
    until(|| server.traffic.open() == 2);
    let mut third = server.connect();
    until(|| server.traffic.open() == 3);
    assert_eq!(server.ask("GET /metrics HTTP/1.1").text(), TEXT);
    assert!(is_closed(&mut kept, true), "before the one that has begun to ask later");
    assert!(!is_closed(&mut half, false) && !is_closed(&mut third, false));
    until(|| server.closed(CloseCause::EvictedIdle) == 2);
    assert_eq!(server.traffic.refused(), 0);
}

#[test]
fn answers_are_the_last_when_all_places_are_taken() {
    let limits = ClientLimits { connections: 2, ..ClientLimits::default() };
    let server = Server::start(Options { limits, ..Options::default() });
    let mut one = server.connect();
    assert!(!ask_for_head(&mut one).contains("connection: close"));
    let _two = server.connect();
    until(|| server.traffic.open() == 2);
    assert!(ask_for_head(&mut one).contains("connection: close"));
    assert!(is_closed(&mut one, true));
    until(|| server.closed(CloseCause::Crowded) == 1);
}

#[test]
fn who_does_not_read_makes_room() {
    let limits =
        ClientLimits { connections: 1, stall_time: Duration::ZERO, ..ClientLimits::default() };
    let server = Server::start(Options { metrics: large(), limits, ..Options::default() });
    let mut lazy = server.send("GET /metrics HTTP/1.1");
    until(|| server.traffic.unsent() > 0 && server.arrived.load(Ordering::SeqCst) == 1);
    // Asked until it is seen that the other stalls.
    until(|| {
        server.ask("GET /-/healthy HTTP/1.1").status() == "200" && server.traffic.unsent() == 0
    });
    let error = lazy.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!((server.closed(CloseCause::EvictedStalled), server.traffic.refused()), (1, 1));
}

#[test]
fn who_does_not_read_is_not_waited_for_long() {
    let limits =
        ClientLimits { response_time: Duration::from_millis(50), ..ClientLimits::default() };
    let server = Server::start(Options { metrics: large(), limits, ..Options::default() });
    let mut lazy = server.send("GET /metrics HTTP/1.1");
    until(|| server.closed(CloseCause::ResponseTimeout) == 1);
    let mut got = Vec::new();
    let error = lazy.read_to_end(&mut got).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(got.len() < 64 << 20);
    assert_eq!(server.traffic.unsent(), 0);
}

#[test]
fn who_idles_for_long_is_let_go() {
    let limits = ClientLimits { idle_time: Duration::from_millis(50), ..ClientLimits::default() };
    let server = Server::start(Options { limits, ..Options::default() });
    let mut silent = server.connect();
    let mut kept = server.connect();
    ask_for_head(&mut kept);
    assert!(is_closed(&mut kept, true));
    until(|| server.closed(CloseCause::Idle) == 1);
    // A first request has the time that requests have.
    assert!(!is_closed(&mut silent, false));
}

#[test]
fn half_a_head_has_its_own_time() {
    let limits = ClientLimits { header_time: Duration::from_millis(50), ..ClientLimits::default() };
    let server = Server::start(Options { limits, ..Options::default() });
    let mut kept = server.connect();
    ask_for_head(&mut kept);
    kept.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    assert!(is_closed(&mut kept, true));
    until(|| server.closed(CloseCause::RequestTimeout) == 1);
}

#[test]
fn who_is_being_answered_never_makes_room() {
    let (gate, begun, go) = gate();
    let limits = ClientLimits { connections: 1, ..ClientLimits::default() };
    let server = Server::start(Options { limits, gate: Some(gate), ..Options::default() });
    let first = server.send("GET /metrics HTTP/1.1");
    begun.recv().unwrap();
    assert_eq!(server.ask("GET / HTTP/1.1").status(), "200");
    go.send(()).unwrap();
    assert_eq!(Response::read(first).text(), TEXT);
}

#[test]
fn of_far_too_many_that_are_being_answered_one_is_turned_away() {
    let (gate, begun, go) = gate();
    let limits = ClientLimits { connections: 1, most: 3, ..ClientLimits::default() };
    let server = Server::start(Options { limits, gate: Some(gate), ..Options::default() });
    let mut waiting = Vec::new();
    for n in 1..=3 {
        waiting.push(server.send("GET /metrics HTTP/1.1"));
        until(|| server.arrived.load(Ordering::SeqCst) == n);
    }
    begun.recv().unwrap();
    // It may meet a reset before it reads why.
    let mut refused = server.connect();
    let mut answer = String::new();
    if refused.read_to_string(&mut answer).is_ok() {
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"),
            "{answer}"
        );
    }
    until(|| server.closed(CloseCause::Refused) == 1);

    // Another host has none of them.
    let mut other = connect_from(Ipv4Addr::new(127, 0, 0, 2), server.address);
    write!(other, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(Response::read(other).status(), "200");
    assert!(is_closed(&mut waiting[0], true), "of the host with the most, the one that came first");
    // The reading that it began is of no use to anybody.
    go.send(()).unwrap();
    go.send(()).unwrap();
    for waiting in waiting.split_off(1) {
        assert_eq!(Response::read(waiting).text(), TEXT);
    }
    assert_eq!((server.closed(CloseCause::Refused), server.traffic.refused()), (2, 2));
}

fn connect_from(host: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((host, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream
}

#[test]
fn a_host_with_few_connections_keeps_them() {
    let limits = ClientLimits { connections: 4, ..ClientLimits::default() };
    let server = Server::start(Options { limits, ..Options::default() });
    let mut few = server.connect();
    ask_for_head(&mut few);
    let mut many: Vec<_> = (0..20)
        .map(|_| {
            let stream = connect_from(Ipv4Addr::new(127, 0, 0, 2), server.address);
            let accepted = server.traffic.accepted();
            until(|| server.traffic.accepted() >= accepted.max(1));
            stream
        })
        .collect();
    until(|| server.traffic.accepted() == 21);
    assert!(!is_closed(&mut few, false), "although it has idled longest");
    few.set_nonblocking(false).unwrap();
    ask_for_head(&mut few);
    assert!(many.iter_mut().take(17).all(|stream| is_closed(stream, true)));
}

#[test]
fn half_a_connection_is_answered() {
    let (gate, begun, go) = gate();
    let server = Server::start(Options { gate: Some(gate), ..Options::default() });
    let mut client = server.connect();
    write!(client, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    begun.recv().unwrap();
    go.send(()).unwrap();
    let response = Response::read(client);
    assert_eq!((response.status(), response.text()), ("200", TEXT));
    until(|| server.closed(CloseCause::Client) == 1);
    // One that goes without a word leaves nothing.
    drop(server.connect());
    until(|| server.closed(CloseCause::Client) == 2 && server.traffic.open() == 0);
}

#[test]
fn what_clients_do_not_take_is_bounded_in_bytes() {
    const PAGE: usize = 16 << 20;
    let limits = ClientLimits { unsent_bytes: 3 * PAGE, ..ClientLimits::default() };
    let metrics = Bytes::from(vec![b'#'; PAGE]);
    let server = Server::start(Options { metrics, fresh: true, limits, ..Options::default() });
    let mut clients = Vec::new();
    for n in 1..=12 {
        clients.push(server.send("GET /metrics HTTP/1.1"));
        // Each has a page of its own: it is being sent before the next is asked for.
        match n {
            1..=3 => until(|| server.traffic.unsent() == n * PAGE as u64),
            _ => until(|| server.closed(CloseCause::UnsentBytes) == n - 3),
        }
    }
    until(|| server.traffic.unsent() == 3 * PAGE as u64);
    assert!(clients[0].read_to_end(&mut Vec::new()).is_err());
    // The last is answered whole.
    let last = Response::read(clients.pop().unwrap());
    assert_eq!(last.body.len(), PAGE);
}

#[test]
fn a_page_of_any_size_is_served() {
    let limits = ClientLimits { unsent_bytes: 1 << 20, ..ClientLimits::default() };
    let server = Server::start(Options { metrics: large(), limits, ..Options::default() });
    for _ in 0..2 {
        assert_eq!(server.ask("GET /metrics HTTP/1.1").body.len(), 64 << 20);
    }
    assert_eq!(server.closed(CloseCause::UnsentBytes), 0);
}

#[test]
fn serves_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let limits = ClientLimits { connections: 2, ..ClientLimits::default() };
    let server = Server::on(listener, Options { limits, ..Options::default() });
    let idle: Vec<_> = (0..5).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(HANG)).unwrap();
    write!(client, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let response = Response::read_from(client);
    assert_eq!((response.status(), response.text()), ("200", TEXT));
    assert!(server.stop());
    drop(idle);
}

/// All that there are.
const ATTACKS: [Attack; 8] = [
    Attack::Idle,
    Attack::SlowHeaders,
    Attack::SlowBodies,
    Attack::SlowReaders,
    Attack::Pipelining,
    Attack::Busy,
    Attack::Flood,
    Attack::Resets,
];

/// What `make bench-attacks` measures, with few attackers and little room for them.
#[test]
fn attackers_do_not_keep_a_scraper_waiting() {
    for attack in ATTACKS {
        for hosts in [1, 4] {
            let limits = ClientLimits { connections: 32, most: 64, ..ClientLimits::default() };
            let metrics = Bytes::from(vec![b'#'; 2 << 20]);
            let server =
                Server::start(Options { metrics, fresh: true, limits, ..Options::default() });
            let crowd = Crowd::gather(attack, 40, server.address, hosts);
            until(|| server.traffic.accepted() >= 40);
            let mut victim = Victim::new(server.address);
            for scrape in 0..10 {
                let bytes = victim.scrape(HANG);
                assert_eq!(
                    bytes.map_err(|e| e.to_string()),
                    Ok(2 << 20),
                    "{attack:?} {hosts} {scrape}"
                );
            }
            drop((crowd, victim));
            until(|| server.traffic.open() == 0);
            assert_eq!(server.traffic.unsent(), 0, "{attack:?}");
        }
    }
}
