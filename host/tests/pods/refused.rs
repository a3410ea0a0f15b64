//! Kubelets that give no list: each is told in words, in bounded time and memory.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use crate::certificates::openssl;
use crate::kubelet::Kubelet;
use crate::made::{Made, Request, answer, begin, endless};
use crate::typed::Desk;

/// What writes an answer.
type Answers = fn(&Request, &mut TcpStream) -> io::Result<()>;

/// What is said of each of these, one a line. No file is begun.
fn said(cases: &[(&str, Answers)], words: &str) -> String {
    let mut all = String::new();
    for (name, answers) in cases {
        let (server, desk) = (Made::serve(*answers), Desk::new());
        let words = format!("--kubelet.url=http://{} -o pods.json --once{words}", server.host());
        let _ = writeln!(all, "{name}: {}", desk.refused(&words));
        assert!(desk.files().is_empty(), "{name}");
    }
    all
}

pub fn answers() {
    let cases: [(&str, Answers); 8] = [
        ("an error", |_, client| {
            answer(client, "500 Internal Server Error", &[], b"no\x1b[31m space\nleft")
        }),
        ("elsewhere", |_, client| {
            answer(client, "307 Temporary Redirect", &[("Location", "http://localhost/pods")], b"")
        }),
        ("nothing there", |_, client| {
            answer(client, "404 Not Found", &[], b"404 page not found\n")
        }),
        ("a page", |_, client| answer(client, "200 OK", &[], b"<html>")),
        ("something else", |_, client| {
            answer(client, "200 OK", &[], br#"{"kind":"NodeList","items":[]}"#)
        }),
        ("a damaged list", |_, client| {
            answer(
                client,
                "200 OK",
                &[],
                br#"{"kind":"PodList","items":[{"metadata":{"name":7}}]}"#,
            )
        }),
        ("cut", |_, client| {
            begin(client, "200 OK", &[], 1000)?;
            client.write_all(br#"{"kind":"PodList","items":["#)
        }),
        ("no HTTP", |_, client| client.write_all(b"SSH-2.0-x\r\n")),
    ];
    insta::assert_snapshot!(said(&cases, ""), @r#"
    an error: 1 the kubelet at HOST answers 500 Internal Server Error: no\u{1b}[31m space\nleft; see whether the kubelet is well
    elsewhere: 1 the kubelet at HOST answers 307 Temporary Redirect; see whether --kubelet.url is that of a kubelet
    nothing there: 1 the kubelet at HOST answers 404 Not Found: 404 page not found; see whether --kubelet.url is that of a kubelet
    a page: 1 the kubelet at HOST gives no list of pods: expected value at line 1 column 1; see whether --kubelet.url is that of a kubelet
    something else: 1 the kubelet at HOST gives no list of pods: it is a NodeList; see whether --kubelet.url is that of a kubelet
    a damaged list: 1 the kubelet at HOST gives no list of pods: invalid type: integer `7`, expected a string at line 1 column 48; see whether --kubelet.url is that of a kubelet
    cut: 1 failed to ask the kubelet at HOST: error reading a body from connection: end of file before message length reached; see whether the kubelet listens there: --kubelet.url
    no HTTP: 1 failed to ask the kubelet at HOST: client error (SendRequest): invalid HTTP version parsed; see whether the kubelet listens there: --kubelet.url
    "#);
}

pub fn what_has_no_end() {
    let cases: [(&str, Answers); 3] = [
        ("a body", |_, client| endless(client, "200 OK", &[b' '; 64 << 10])),
        ("pods", |_, client| {
            let pod = br#"{"metadata":{"name":"a","namespace":"b","uid":"c"}},"#.repeat(1 << 10);
            let start =
                b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"kind\":\"PodList\",\"items\":[";
            client.write_all(start)?;
            (0..20).try_for_each(|_| client.write_all(&pod))
        }),
        ("headers", |_, client| {
            client.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                client.write_all(b"A: b\r\n")?;
            }
        }),
    ];
    insta::assert_snapshot!(said(&cases, ""), @"
    a body: 1 the kubelet at HOST answers with more than 67108864 bytes; see whether it is a kubelet: no node runs so many pods
    pods: 1 the kubelet at HOST gives no list of pods: invalid length 10001, expected a list of at most 10000 at line 1 column 520079; see whether --kubelet.url is that of a kubelet
    headers: 1 failed to ask the kubelet at HOST: client error (SendRequest): message head is too large; see whether the kubelet listens there: --kubelet.url
    ");
    let cases: [(&str, Answers); 2] = [
        ("silent", |_, client| io::copy(client, &mut io::sink()).map(drop)),
        ("slow", |_, client| {
            begin(client, "200 OK", &[], 1000)?;
            client.write_all(b"{")?;
            client.read(&mut [0]).map(drop)
        }),
    ];
    insta::assert_snapshot!(said(&cases, " --timeout=300ms"), @"
    silent: 1 the kubelet at HOST took longer than 300ms; see whether the kubelet is well, or raise --timeout
    slow: 1 the kubelet at HOST took longer than 300ms; see whether the kubelet is well, or raise --timeout
    ");
}

pub fn whom_a_kubelet_does_not_let_in() {
    let (kubelet, desk) = (Kubelet::start("secret"), Desk::new());
    let url = kubelet.safe(&desk.path(""));
    let words = format!("--kubelet.url={url} --kubelet.ca-file=ca.pem --once -o pods.json");
    let with = |token: &str| {
        desk.write("token", token);
        desk.refused(&format!("{words} --kubelet.token-file=token"))
    };
    insta::assert_snapshot!(desk.refused(&words), @"1 the kubelet at HOST does not know somebody without a token: Unauthorized; name a file with a token in --kubelet.token-file, or a certificate in --kubelet.cert-file");
    insta::assert_snapshot!(with("wrong"), @"1 the kubelet at HOST does not know who has this token: Unauthorized; see whether the token is one of this cluster, and whether the kubelet takes tokens: authentication.webhook.enabled in its configuration");
    insta::assert_snapshot!(with("\n"), @"2 token holds no token; name a file with a token in --kubelet.token-file");
    insta::assert_snapshot!(with("two\nlines"), @"2 token holds no token; name a file with a token in --kubelet.token-file");
    insta::assert_snapshot!(desk.refused(&format!("{words} --kubelet.token-file=gone")), @"2 gone cannot be read: no such file or directory; name a file with a token in --kubelet.token-file");
    kubelet.forbid();
    insta::assert_snapshot!(with("secret"), @"1 the kubelet at HOST forbids who has this token to list pods: Forbidden (user=system:serviceaccount:monitoring:exporter, verb=get, resource=nodes, subresource(s)=[pods proxy]); bind who asks to a ClusterRole that may `get` the resource `nodes/pods`; before Kubernetes 1.33 that is `nodes/proxy`, which lets it do far more");
    assert!(!desk.path("pods.json").exists());
}

pub fn certificates() {
    let (kubelet, desk) = (Kubelet::start(""), Desk::new());
    let url = kubelet.safe(&desk.path(""));
    openssl(
        &desk.path(""),
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -keyout other.key -out other.pem",
    );
    let ask = |url: &str, more: &str| format!("--kubelet.url={url} --once -o pods.json{more}");
    let by_number = url.replace("localhost", "127.0.0.1");
    insta::assert_snapshot!(desk.refused(&ask(&url, " --kubelet.ca-file=other.pem")), @"1 failed to ask the kubelet at HOST: client error (Connect): invalid peer certificate: UnknownIssuer; name who has signed its certificate in --kubelet.ca-file; a certificate that it has made itself lies at /var/lib/kubelet/pki/kubelet.crt of its node");
    insta::assert_snapshot!(desk.refused(&ask(&by_number, " --kubelet.ca-file=ca.pem")), @r#"1 failed to ask the kubelet at HOST: client error (Connect): invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost"); write in --kubelet.url a name that its certificate is for, as a rule the node's"#);
    insta::assert_snapshot!(desk.refused(&ask(&url, " --kubelet.ca-file=server.key")), @"2 server.key holds no certificate that can be trusted; name a file in PEM format in --kubelet.ca-file, --kubelet.cert-file and --kubelet.key-file");
    insta::assert_snapshot!(desk.refused(&ask(&url, " --kubelet.ca-file=gone.pem")), @"2 gone.pem cannot be read: no such file or directory; name a file in PEM format in --kubelet.ca-file, --kubelet.cert-file and --kubelet.key-file");
    let no_tls = ask(&format!("https://{}", without_tls()), " --kubelet.ca-file=ca.pem");
    insta::assert_snapshot!(desk.refused(&no_tls), @"1 failed to ask the kubelet at HOST: client error (Connect): received corrupt message of type InvalidContentType; write http:// in --kubelet.url if it is the port that only reads");
    assert!(!desk.path("pods.json").exists());
    // Whoever wants it so asks anybody.
    let (said, log) = desk.said(&format!(
        "--kubelet.url={by_number} --once -o pods.json --kubelet.insecure-skip-verify"
    ));
    assert_eq!(said, "wrote pods.json: 8 pods\n");
    assert!(log.contains("WARN --kubelet.insecure-skip-verify: whoever is between"), "{log}");
    let (said, log) =
        desk.said(&format!("--kubelet.url={by_number} --kubelet.insecure-skip-verify"));
    assert!(said.starts_with("{\"kind\":\"PodList\""), "{said}");
    assert!(log.contains("WARN --kubelet.insecure-skip-verify: whoever is between"), "{log}");
}

/// A server that has no TLS, as those in Go answer somebody who speaks it.
fn without_tls() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // Whoever has enough hangs up.
            let _ = client.read(&mut [0]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
            let _ = io::copy(&mut client, &mut io::sink());
        }
    });
    format!("localhost:{port}")
}
