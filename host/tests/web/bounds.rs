//! Connections with TLS are bounded as those without: in number and in time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use ebpf_wasm_exporter::serve::{ClientLimits, CloseCause};

use crate::server::{HANG, Options, TEXT, until};
use crate::site::{Site, TLS};

/// The first bytes of a handshake, which is not gone on with.
const BEGUN: &[u8] = &[22, 3, 1, 2, 0, 1];

fn limits() -> ClientLimits {
    ClientLimits { connections: 8, most: 12, ..ClientLimits::default() }
}

pub fn handshakes_that_say_nothing_make_room() {
    let site = Site::with(TLS, Options { limits: limits(), ..Options::default() });
    let mut all = Vec::new();
    for n in 0..100u64 {
        let mut silent = site.server.connect();
        if n % 2 == 0 {
            // If it has gone already it is the next one's turn.
            let _ = silent.write_all(BEGUN);
        }
        all.push(silent);
        if n % 10 == 0 {
            assert_eq!(site.curl("").body, TEXT);
        }
    }
    assert_eq!(site.curl("").body, TEXT);
    until(|| site.server.traffic.open() <= 9);
    assert!(site.server.closed(CloseCause::EvictedIdle) > 80);
    drop(all);
}

pub fn a_handshake_that_takes_too_long_ends() {
    let limits = ClientLimits { header_time: Duration::from_millis(100), ..limits() };
    let site = Site::with(TLS, Options { limits, ..Options::default() });
    for begin in [&b""[..], BEGUN] {
        let mut slow = site.server.connect();
        slow.write_all(begin).unwrap();
        assert_eq!(ended(&mut slow), 0);
    }
    until(|| site.server.closed(CloseCause::RequestTimeout) == 2);
    // One that makes no sense ends at once, and is counted as such.
    let mut strange = site.server.connect();
    strange.write_all(b"\x16\x03\x01\x00\x05hello").unwrap();
    ended(&mut strange);
    until(|| site.server.closed(CloseCause::Handshake) == 1);
    let mut other = site.server.connect();
    other.write_all(b"\0\0\0\0").unwrap();
    ended(&mut other);
    until(|| site.server.closed(CloseCause::Malformed) == 1);
}

pub fn who_has_not_asked_is_not_waited_for() {
    let site = Site::new(TLS);
    let silent = site.server.connect();
    until(|| site.server.traffic.open() == 1);
    site.server.stop.send(()).unwrap();
    until(|| site.server.traffic.open() == 0);
    drop(silent);
}

/// Bytes that come until the end.
fn ended(stream: &mut TcpStream) -> usize {
    stream.set_read_timeout(Some(HANG)).unwrap();
    let mut bytes = Vec::new();
    // An end is an end, whatever it is called.
    let _ = stream.read_to_end(&mut bytes);
    bytes.len()
}
