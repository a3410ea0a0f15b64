//! Texts, sockets, and a socket passed as systemd does.

use std::env;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

use super::*;

fn listen(text: &str) -> Result<Listener, ListenError> {
    let address = text.parse::<ListenAddress>().unwrap();
    Listen::At(vec![address]).open().map(|mut all| all.remove(0))
}

fn port(listener: &Listener) -> u16 {
    match listener {
        Listener::Tcp(listener) => listener.local_addr().unwrap().port(),
        Listener::Unix(_) | Listener::Vsock(_) => panic!("no port"),
    }
}

#[test]
fn parses_and_prints_every_form() {
    let host = |host: &str, port| ListenAddress::Host { host: host.to_owned(), port };
    let forms = [
        (":9435", ListenAddress::All { port: 9435 }),
        ("0.0.0.0:0", host("0.0.0.0", 0)),
        ("localhost:80", host("localhost", 80)),
        ("[::]:9435", host("::", 9435)),
        ("[fe80::1%eth0]:9435", host("fe80::1%eth0", 9435)),
        ("fd://0", ListenAddress::Systemd(0)),
        ("fd://12", ListenAddress::Systemd(12)),
        ("unix:/run/a.sock", ListenAddress::Unix("/run/a.sock".into())),
        ("unix:a.sock", ListenAddress::Unix("a.sock".into())),
        ("vsock://:9435", ListenAddress::Vsock { machine: None, port: 9435 }),
        ("vsock://2:100000", ListenAddress::Vsock { machine: Some(2), port: 100_000 }),
    ];
    for (text, address) in forms {
        assert_eq!(text.parse(), Ok(address.clone()));
        assert_eq!(address.to_string(), text);
    }
}

#[test]
fn says_what_is_wrong_with_a_text() {
    let refusals: Vec<_> = [
        "",
        "localhost",
        "9435",
        "host:",
        "[::1]",
        "::1",
        "a:b:1",
        "[::1:9435",
        ":http",
        ":65536",
        "fd://",
        "fd://x",
        "http://localhost:9435",
        "unix:",
        "unix://",
        "vsock://",
        "vsock://:",
        "vsock://a:1",
        "vsock://:-1",
        "vsock://:4294967295",
        "vsock://1:2:3",
    ]
    .map(|text| text.parse::<ListenAddress>().unwrap_err().advice().to_string())
    .into();
    insta::assert_snapshot!(refusals.join("\n"), @"
    --web.listen-address= has no port; write [HOST]:PORT, as in :9435
    --web.listen-address=localhost has no port; write [HOST]:PORT, as in :9435
    --web.listen-address=9435 has no port; write [HOST]:PORT, as in :9435
    --web.listen-address=host: has no port; write [HOST]:PORT, as in :9435
    --web.listen-address=[::1] has no port; write [HOST]:PORT, as in :9435
    --web.listen-address=::1 has too many colons; write an IPv6 address as [::1]:9435
    --web.listen-address=a:b:1 has too many colons; write an IPv6 address as [::1]:9435
    --web.listen-address=[::1:9435 has too many colons; write an IPv6 address as [::1]:9435
    --web.listen-address=:http has a port that is no number from 0 to 65535
    --web.listen-address=:65536 has a port that is no number from 0 to 65535
    --web.listen-address=fd:// has no number behind fd://; write fd://0 for the first
    --web.listen-address=fd://x has no number behind fd://; write fd://0 for the first
    --web.listen-address=http://localhost:9435 is a URL; write [HOST]:PORT, fd://0, unix:PATH or vsock://:PORT
    --web.listen-address=unix: has no path behind unix:, or one beyond 107 bytes; write unix:/run/ebpf-exporter/metrics.sock
    --web.listen-address=unix:// has no path behind unix:, or one beyond 107 bytes; write unix:/run/ebpf-exporter/metrics.sock
    --web.listen-address=vsock:// has no number of a port behind vsock://; write vsock://:9435
    --web.listen-address=vsock://: has no number of a port behind vsock://; write vsock://:9435
    --web.listen-address=vsock://a:1 has no number of a port behind vsock://; write vsock://:9435
    --web.listen-address=vsock://:-1 has no number of a port behind vsock://; write vsock://:9435
    --web.listen-address=vsock://:4294967295 has no number of a port behind vsock://; write vsock://:9435
    --web.listen-address=vsock://1:2:3 has no number of a port behind vsock://; write vsock://:9435
    ");
}

#[test]
fn listens_where_it_is_told() {
    for text in ["127.0.0.1:0", "localhost:0", "0.0.0.0:0", ":0"] {
        let port = listen(text).map(|listener| {
            let port = port(&listener);
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            port
        });
        assert_ne!(port.unwrap(), 0, "{text}");
    }
}

#[test]
fn all_addresses_are_of_both_families() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "this host has no IPv6");
        eprintln!("SKIPPED all_addresses_are_of_both_families: this host has no IPv6");
        return;
    }
    for text in [":0", "[::]:0"] {
        let listener = listen(text).unwrap();
        let port = port(&listener);
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}

#[test]
fn says_why_it_cannot_listen() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let message = listen(&format!("127.0.0.1:{port}")).unwrap_err().advice().to_string();
    insta::assert_snapshot!(
        message.replace(&port.to_string(), "PORT"),
        @"failed to listen on 127.0.0.1:PORT: the port is in use; stop who has it (ss -ltnp shows it) or choose another --web.listen-address"
    );
    insta::assert_snapshot!(
        listen("192.0.2.1:9435").unwrap_err().advice(),
        @"failed to listen on 192.0.2.1:9435: this host does not have that address; ip addr lists those it has"
    );
    insta::assert_snapshot!(
        listen("no such host:9435").unwrap_err(),
        @"failed to look up the host of --web.listen-address=no such host:9435"
    );
    let address = ListenAddress::All { port: 80 };
    insta::assert_snapshot!(
        address.explain(ErrorKind::PermissionDenied.into()).advice(),
        @"failed to listen on :80: permission denied; ports below 1024 need CAP_NET_BIND_SERVICE, or choose another --web.listen-address"
    );
    insta::assert_snapshot!(
        address.explain(ErrorKind::OutOfMemory.into()).advice(),
        @"failed to listen on :80: out of memory"
    );
    insta::assert_snapshot!(
        ListenError::NotPassed { index: 1, passed: 1 }.advice(),
        @"--web.listen-address=fd://1 needs socket number 1 from systemd, which passed 1; start the service by its .socket unit"
    );
    insta::assert_snapshot!(
        ListenError::NonePassed.advice(),
        @"--web.systemd-socket needs sockets from systemd, which passed none; start the service by its .socket unit"
    );
    let unix = ListenAddress::Unix("/run/a.sock".into());
    insta::assert_snapshot!(
        [ErrorKind::AddrInUse, ErrorKind::AlreadyExists, ErrorKind::PermissionDenied]
            .map(|kind| unix.explain(kind.into()).advice().to_string())
            .join("\n"),
        @"
        failed to listen on unix:/run/a.sock: somebody listens there; stop who serves there, or choose another path
        failed to listen on unix:/run/a.sock: something else than a socket is there; name a path where nothing is
        failed to listen on unix:/run/a.sock: permission denied; name a path in a directory that the exporter can write into
        "
    );
    insta::assert_snapshot!(
        ListenError::NotListening(0).advice(),
        @"socket number 0 from systemd is not a listening stream socket, of TCP or UNIX; let the .socket unit have ListenStream=9435, or ListenStream= and a path, and Accept=no"
    );
}

/// The other half of the next test: it runs in a process of its own, with the socket as its
/// standard input.
#[test]
fn child_that_systemd_started() {
    let Ok(text) = env::var("LISTEN_CHILD") else { return };
    let listened = match &*text {
        "all" => Listen::Passed.open(),
        text => listen(text).map(|listener| vec![listener]),
    };
    let places = |listeners: Vec<Listener>| {
        listeners.iter().map(|listener| listener.place("/m", false)).collect::<Vec<_>>().join(", ")
    };
    match listened {
        Ok(listeners) => println!("<{}>", places(listeners)),
        Err(error) => println!("<{}>", error.advice()),
    }
}

#[test]
fn takes_a_stream_socket_of_either_kind_from_systemd() {
    let answer = |text: &str, socket: OwnedFd| {
        let output = Command::new(env::current_exe().unwrap())
            .args(["serve::listen::tests::child_that_systemd_started", "--exact", "--nocapture"])
            .env("LISTEN_CHILD", text)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", "0")
            .env_remove("LISTEN_PID")
            .stdin(Stdio::from(socket))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).unwrap().0.to_owned()
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap();
    let again = || OwnedFd::from(listener.try_clone().unwrap());
    assert_eq!(answer("fd://0", again()), format!("http://{own}/m"));
    assert_eq!(answer("all", again()), format!("http://{own}/m"));
    assert!(answer("fd://1", again()).contains("which passed 1"));
    let stream = TcpStream::connect(own).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let unix = UnixListener::bind(&path).unwrap();
    let place = format!("/m of the UNIX socket {}", path.display());
    assert_eq!(answer("fd://0", unix.into()), place);
    let others: [OwnedFd; 5] = [
        stream.into(),
        UnixStream::connect(&path).unwrap_or_else(|_| UnixStream::pair().unwrap().0).into(),
        UnixDatagram::unbound().unwrap().into(),
        std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().into(),
        std::fs::File::open("/dev/null").unwrap().into(),
    ];
    for other in others {
        let again = other.try_clone().unwrap();
        assert!(answer("fd://0", other).contains("is not a listening stream socket"));
        assert!(answer("all", again).contains("is not a listening stream socket"));
    }
}

#[test]
fn machines_are_listened_for() {
    let Ok(listener) = listen("vsock://:943594") else {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "this kernel has no vsock");
        eprintln!("SKIPPED machines_are_listened_for: this kernel has no vsock");
        return;
    };
    insta::assert_snapshot!(listener.place("/metrics", false), @"/metrics of the port 943594 of vsock");
    assert!(!listener.is_local() && listener.is_listening());
}
