//! The server over real sockets, with a scraper that waits for the test where order matters.
//! Nothing here is measured in time: what must come first is waited for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ebpf_wasm_exporter::serve::ClientLimits;
use flate2::read::GzDecoder;

mod attack;
mod crowd;
mod server;

use server::{Options, Response, Server, TEXT, gate, until};

#[test]
fn serves_metrics() {
    let server = Server::start(Options::default());
    let response = server.ask("GET /metrics HTTP/1.1");
    assert_eq!(response.status(), "200");
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
    );
    assert_eq!(response.header("content-length"), Some(TEXT.len().to_string().as_str()));
    assert_eq!(response.header("vary"), Some("accept, accept-encoding"));
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.text(), TEXT);
    assert!(server.ask("GET /metrics?x=1 HTTP/1.0").text() == TEXT);
    assert!(server.stop());
}

#[test]
fn serves_gzip_to_those_who_want_it() {
    let server = Server::start(Options::default());
    let zipped = server.ask("GET /metrics HTTP/1.1\r\nAccept-Encoding: deflate, gzip;q=0.5");
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(zipped.header("vary"), Some("accept, accept-encoding"));
    assert_eq!(zipped.header("content-length"), Some(zipped.body.len().to_string().as_str()));
    let mut text = String::new();
    GzDecoder::new(&zipped.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, TEXT);

    let plain = server.ask("GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip;q=0");
    assert_eq!((plain.header("content-encoding"), plain.text()), (None, TEXT));
}

#[test]
fn serves_the_format_that_is_liked_best() {
    let text = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    let openmetrics =
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
    let protobuf = "application/vnd.google.protobuf; \
                    proto=io.prometheus.client.metricfamily; encoding=delimited; escaping=underscores";
    for enabled in [true, false] {
        let server = Server::start(Options { openmetrics: enabled, ..Options::default() });
        let ask = |accept: &str| {
            let request = format!("GET /metrics HTTP/1.1\r\nAccept: {accept}");
            let response = server.ask(&request);
            assert_eq!(response.header("vary"), Some("accept, accept-encoding"));
            (response.header("content-type").unwrap().to_owned(), response.body)
        };
        let wanted = if enabled { (openmetrics, "# EOF\n") } else { (text, TEXT) };
        let wanted = (wanted.0.to_owned(), wanted.1.as_bytes().to_vec());
        assert_eq!(ask("application/openmetrics-text, text/plain;q=0.5"), wanted);
        assert_eq!(ask(protobuf), (protobuf.to_owned(), b"\0".to_vec()));
        assert_eq!(ask("*/*"), (text.to_owned(), TEXT.as_bytes().to_vec()));
    }
}

#[test]
fn names_are_as_the_client_wants_them() {
    let server = Server::start(Options::default());
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                      application/openmetrics-text;version=0.0.1;q=0.5,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, version, escaping) in [
        (prometheus, "1.0.0", "allow-utf-8"),
        ("text/plain;version=1.0.0;escaping=dots", "1.0.0", "dots"),
        ("text/plain;version=0.0.4;escaping=values", "0.0.4", "values"),
        ("text/plain;version=1.0.0;escaping=\"no\"", "1.0.0", "underscores"),
        ("image/png;escaping=allow-utf-8, text/plain;q=0.5", "0.0.4", "underscores"),
    ] {
        let response = server.ask(&format!("GET /metrics HTTP/1.1\r\nAccept: {accept}"));
        let expected = format!("text/plain; version={version}; charset=utf-8; escaping={escaping}");
        assert_eq!(response.header("content-type"), Some(&*expected), "{accept}");
        assert_eq!(response.text(), TEXT);
    }
}

#[test]
fn gzip_goes_with_any_format() {
    let server = Server::start(Options { openmetrics: true, ..Options::default() });
    let accept = "Accept: application/openmetrics-text\r\nAccept-Encoding: gzip";
    let zipped = server.ask(&format!("GET /metrics HTTP/1.1\r\n{accept}"));
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&zipped.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "# EOF\n");
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start(Options::default());
    for request in
        ["/metrics HTTP/1.1", "/metrics HTTP/1.1\r\nAccept-Encoding: gzip", "/-/healthy HTTP/1.1"]
    {
        let get = server.ask(&format!("GET {request}"));
        let head = server.ask(&format!("HEAD {request}"));
        assert!(head.body.is_empty() && !get.body.is_empty());
        for name in ["content-length", "content-type", "content-encoding", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{request}: {name}");
        }
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
    }
}

#[test]
fn says_where_the_metrics_are() {
    let server = Server::start(Options::default());
    for path in ["/metric", "/metrics/", "/maps", "//maps", "/metrics%2f", "/favicon.ico"] {
        let response = server.ask(&format!("GET {path} HTTP/1.1"));
        assert_eq!(response.status(), "404", "{path}");
        assert_eq!(response.text(), "no such page; the metrics are at /metrics\n");
    }
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
}

#[test]
fn a_path_is_read_as_what_it_decodes_to() {
    for path in ["/metrics", "/%6detrics", "/a%20b/%63%2Fd"] {
        let server = Server::start(Options { path, maps: true, ..Options::default() });
        let ask = |request: &str| server.ask(&format!("GET {request} HTTP/1.1"));
        let (spelt, twice) = match path {
            "/a%20b/%63%2Fd" => ("/%61%20b/c%2fd", "//a%20b/./c%2fd"),
            _ => ("/m%65trics", "//%6d%65trics"),
        };
        assert_eq!(ask(path).text(), TEXT, "{path}");
        assert_eq!(ask(spelt).text(), TEXT, "{path}");
        let elsewhere = ask(&format!("{twice}?x=1"));
        assert_eq!(elsewhere.status(), "301", "{path}");
        assert_eq!(ask(elsewhere.header("location").unwrap()).text(), TEXT, "{path}");
        assert!(ask("/%6daps").text().contains("<h1>maps</h1>"));
        assert_eq!(server.ask(&format!("POST {spelt} HTTP/1.1")).status(), "405");
    }
}

#[test]
fn half_an_escape_is_refused_in_words() {
    let server = Server::start(Options::default());
    let response = server.ask("GET /metrics%zz HTTP/1.1");
    assert_eq!(response.status(), "400");
    insta::assert_snapshot!(
        response.text(),
        @"the path has a % without two hexadecimal digits behind it; write %25 for a percent sign"
    );
}

#[test]
fn refuses_other_methods() {
    let server = Server::start(Options { maps: true, ..Options::default() });
    for path in ["/metrics", "/maps", "/"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let response = server.ask(&format!("{method} {path} HTTP/1.1"));
            assert_eq!(response.status(), "405", "{method} {path}");
            assert_eq!(response.header("allow"), Some("get,head"));
            assert_eq!(response.text(), format!("only GET and HEAD are served at {path}\n"));
        }
    }
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
}

#[test]
fn health_is_told_without_a_reading() {
    let server = Server::start(Options::default());
    let ask = |path: &str| server.ask(&format!("GET {path} HTTP/1.1"));
    let (healthy, unready) = (ask("/-/healthy"), ask("/-/ready"));
    assert_eq!((healthy.status(), healthy.text()), ("200", "healthy\n"));
    assert_eq!(healthy.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(unready.status(), "503");
    assert_eq!(unready.text(), "not ready: the maps were not read yet\n");
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
    ask("/metrics");
    // The thread notes it behind the answer.
    until(|| ask("/-/ready").status() == "200");
    assert_eq!(ask("/-/ready").text(), "ready\n");
    assert_eq!(server.calls.load(Ordering::SeqCst), 1);
}

/// A reading that does not end keeps nobody waiting but those who want its numbers.
#[test]
fn the_state_is_told_while_a_reading_is_under_way() {
    let (gate, begun, go) = gate();
    let server = Server::start(Options { gate: Some(gate), ..Options::default() });
    let scrape = server.send("GET /metrics HTTP/1.1");
    begun.recv_timeout(server::HANG).unwrap();
    for (path, status, part) in [
        ("/-/healthy", "200", "healthy"),
        ("/-/ready", "503", "not read yet"),
        ("/", "200", "not ready"),
        ("/api/v1/status", "200", "\"ready\": false"),
    ] {
        let response = server.ask(&format!("GET {path} HTTP/1.1"));
        assert_eq!(response.status(), status, "{path}");
        assert!(response.text().contains(part), "{path}: {}", response.text());
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    go.send(()).unwrap();
    assert_eq!(Response::read(scrape).text(), TEXT);
}

#[test]
fn the_page_may_do_nothing_but_be_shown() {
    let server = Server::start(Options::default());
    let page = server.ask("GET / HTTP/1.1");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-frame-options"), Some("deny"));
    let json = server.ask("GET /api/v1/status HTTP/1.1");
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.header("cache-control"), Some("no-store"));
    let json: serde_json::Value = serde_json::from_str(json.text()).unwrap();
    assert_eq!(json["http"]["open"], 1, "this one");
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
}

#[test]
fn serves_the_landing_page_and_maps() {
    let server = Server::start(Options { maps: true, ..Options::default() });
    let landing = server.ask("GET / HTTP/1.1");
    assert_eq!(landing.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(landing.text().contains("href=\"./metrics\"") && landing.text().contains("./maps"));
    let index = server.ask("GET /maps HTTP/1.1");
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(index.text().contains("href=\"./maps/sub/a/m\""), "{}", index.text());
    for path in ["/maps/sub/a/m", "/maps/sub%2Fa/%6d", "/%6daps/sub/a/m"] {
        // Chunked for those who know it; the end of the connection ends it for the others.
        let maps = server.ask(&format!("GET {path} HTTP/1.0"));
        assert_eq!(maps.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(maps.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(maps.text(), "0\n1\n2\n");
    }
    for path in ["/maps/m", "/maps/a/m", "/maps/sub/a/none", "/maps/", "/%6daps/m"] {
        assert_eq!(server.ask(&format!("GET {path} HTTP/1.1")).status(), "404", "{path}");
    }
}

#[test]
fn metrics_win_wherever_they_are() {
    for path in ["/", "/maps", "/:a/*b", "/x/y", "/-/ready", "/api/v1/status"] {
        let server = Server::start(Options { path, maps: true, ..Options::default() });
        assert_eq!(server.ask(&format!("GET {path} HTTP/1.1")).text(), TEXT, "{path}");
        assert_eq!(server.ask("GET /metrics HTTP/1.1").status(), "404", "{path}");
    }
}

#[test]
fn concurrent_requests_share_one_scrape() {
    let (gate, begun, go) = gate();
    let server = Server::start(Options { gate: Some(gate), ..Options::default() });
    let mut clients = vec![server.send("GET /metrics HTTP/1.1")];
    begun.recv().unwrap();
    let gzip = "GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip";
    clients.extend((1..50).map(|_| server.send(gzip)));
    until(|| server.arrived.load(Ordering::SeqCst) == 50);
    // The server has one thread: once it has answered this, it is done with what came before.
    assert_eq!(server.ask("GET / HTTP/1.1").status(), "200");

    go.send(()).unwrap();
    let mut responses = clients.into_iter().map(Response::read);
    assert_eq!(responses.next().unwrap().text(), TEXT);
    assert!(responses.all(|response| response.header("content-encoding") == Some("gzip")));
    assert_eq!(server.calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_is_a_500_and_nothing_more() {
    let metrics = Bytes::from_static(b"panic");
    let server = Server::start(Options { metrics, maps: true, ..Options::default() });
    for _ in 0..2 {
        let response = server.ask("GET /metrics HTTP/1.1");
        assert_eq!(response.status(), "500");
        assert!(response.text().contains("as the test wants it"), "{}", response.text());
    }
    assert_eq!(server.ask("GET /maps HTTP/1.1").status(), "200");
}

#[test]
fn without_a_scrape_thread_no_page_is_well() {
    let metrics = Bytes::from_static(b"death");
    let server = Server::start(Options { metrics, ..Options::default() });
    assert_eq!(server.ask("GET / HTTP/1.1").status(), "200");
    // Where a test beside this one logs for the first time, the log may not be asked the first time here.
    until(|| server.ask("GET /metrics HTTP/1.1").status() == "503");
    for path in ["/metrics", "/", "/metrics"] {
        let response = server.ask(&format!("GET {path} HTTP/1.1"));
        assert_eq!(response.status(), "503", "{path}");
        assert_eq!(response.text(), "failed to scrape: the exporter is stopping\n");
    }
    assert!(server.stop());
}

#[test]
fn who_does_not_read_a_map_keeps_nobody_waiting() {
    let server = Server::start(Options { maps: true, ..Options::default() });
    let mut client = server.send("GET /maps/sub/a/endless HTTP/1.1");
    client.read_exact(&mut [0; 1000]).unwrap();
    for _ in 0..50 {
        assert_eq!(server.ask("GET /metrics HTTP/1.1").text(), TEXT);
    }
    // What the sockets between the two hold, and no more.
    assert!(server.pieces.load(Ordering::SeqCst) < 512);
    // They count as unsent as long as it has not taken them.
    until(|| server.traffic.unsent() > 0);
    drop(client);
    until(|| server.traffic.unsent() == 0);
}

#[test]
fn a_map_that_ends_too_early_is_seen_to() {
    let server = Server::start(Options { maps: true, ..Options::default() });
    let response = server.ask("GET /maps/sub/a/cut HTTP/1.1");
    assert_eq!(response.status(), "200");
    assert!(response.text().contains("begun"), "{}", response.text());
    assert!(!response.text().ends_with("0\r\n\r\n"), "{}", response.text());
}

#[test]
fn an_ordinary_client_keeps_its_connection() {
    let server = Server::start(Options::default());
    let agent = ureq::Agent::new_with_defaults();
    for _ in 0..3 {
        let url = format!("http://{}/metrics", server.address);
        let mut response = agent.get(url).call().unwrap();
        assert_eq!(response.body_mut().read_to_string().unwrap(), TEXT);
    }
    // That connection idles now, which must not keep the server.
    assert!(server.stop());
}

#[test]
fn rubbish_costs_only_its_sender() {
    let server = Server::start(Options::default());
    let rubbish: [&[u8]; 5] = [
        b"\0\xff\x16\x03\x01 what\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for bytes in rubbish {
        let mut stream = server.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // Cut off before it has read all, the client may meet a reset.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
    assert_eq!(server.ask("GET /metrics HTTP/1.1").text(), TEXT);
}

#[test]
fn a_head_has_a_bound() {
    let server = Server::start(Options::default());
    for head in ["x".repeat(20 << 10), "X: y\r\n".repeat(200)] {
        let mut stream = server.connect();
        let request = format!("GET / HTTP/1.1\r\nX-Long: {head}\r\n\r\n");
        // Neither is the server bound to take it all, nor to be heard by who has not.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
    }
    assert_eq!(server.arrived.load(Ordering::SeqCst), 0);
    assert_eq!(server.ask("GET /metrics HTTP/1.1").text(), TEXT);
}

#[test]
fn half_a_head_is_not_waited_for_long() {
    let limits = ClientLimits { header_time: Duration::from_secs(1), ..ClientLimits::default() };
    let server = Server::start(Options { limits, ..Options::default() });
    let mut halves = ["", "G", "GET /metrics HTTP/1.1\r\nHost:"].map(|half| {
        let mut stream = server.connect();
        stream.write_all(half.as_bytes()).unwrap();
        stream
    });
    assert_eq!(server.ask("GET /metrics HTTP/1.1").text(), TEXT);
    for stream in &mut halves {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn the_end_waits_for_the_scrape_in_flight() {
    let (gate, begun, go) = gate();
    let server = Server::start(Options { gate: Some(gate), ..Options::default() });
    let idle = server.connect();
    let client = server.send("GET /metrics HTTP/1.1");
    begun.recv().unwrap();
    server.stop.send(()).unwrap();
    until(|| TcpStream::connect(server.address).is_err());
    assert!(!server.thread.is_finished());

    go.send(()).unwrap();
    assert_eq!(Response::read(client).text(), TEXT);
    assert!(server.thread.join().unwrap(), "all was answered");
    drop(idle);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    for by_hand in [true, false] {
        let (gate, begun, go) = gate();
        let long = Duration::from_secs(3_600);
        let drain_time = if by_hand { long } else { Duration::ZERO };
        let limits = ClientLimits { drain_time, ..ClientLimits::default() };
        let server = Server::start(Options { limits, gate: Some(gate), ..Options::default() });
        let mut client = server.send("GET /metrics HTTP/1.1");
        begun.recv().unwrap();
        server.stop.send(()).unwrap();
        if by_hand {
            server.stop.send(()).unwrap();
        }
        // The connection ends with the server, before the scrape does.
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
        go.send(()).unwrap();
        assert!(!server.thread.join().unwrap(), "not all was answered");
    }
}
