//! The exporter itself, which replays a recording: its flags, what it says, and that it may read what it has to
//! once it has given up its rights.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::certificates::openssl;
use crate::frames::give_up;
use crate::server::until;
use crate::site::{SECRET, TLS, curl, folder};

/// An exporter that serves.
struct Exporter {
    child: Child,
    dir: TempDir,
    /// Where it says that it serves.
    places: String,
    /// What it says from then on.
    lines: JoinHandle<Vec<String>>,
}

fn recording() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/counted.rec")
}

fn command(dir: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"));
    command.arg("replay").arg(recording()).args(flags).current_dir(dir).stderr(Stdio::piped());
    command
}

impl Exporter {
    fn start(web: &str, flags: &[&str]) -> Self {
        let dir = folder(web);
        let mut child = command(dir.path(), flags).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let places = lines.by_ref().map(Result::unwrap).find_map(|line| {
            said.push_str(&line);
            line.split_once(" at ")
                .filter(|_| line.contains("replaying"))
                .map(|(_, at)| at.to_owned())
        });
        // What it says from now on is not to hold it up.
        let lines = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self { child, dir, places: places.unwrap_or_else(|| panic!("{said}")), lines }
    }

    /// What it has said since it serves.
    fn said(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        std::mem::replace(&mut self.lines, std::thread::spawn(Vec::new)).join().unwrap()
    }

    fn curl(&self, place: &str, arguments: &str) -> crate::site::Curl {
        curl(self.dir.path(), &place.replace("127.0.0.1", "localhost"), arguments)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn the_exporter_itself_serves_so() {
    let web = format!("{TLS}basic_auth_users: {{alice: {SECRET}}}\n");
    let exporter =
        Exporter::start(&web, &["--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml"]);
    assert!(exporter.places.starts_with("https://127.0.0.1:"), "{}", exporter.places);
    let ask = |user: &str| exporter.curl(&exporter.places, user);
    assert_eq!(ask("").came, "401 2");
    let page = ask("-u alice:secret").body;
    assert!(page.contains("ebpf_exporter_worker_up{worker=\"passwords\"} 1"), "{page}");
    // Files that others have taken the place of are readable, as their directory is.
    openssl(
        exporter.dir.path(),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x -keyout new.key -out new.pem \
         -CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost,DNS:second",
    );
    let at = |name: &str| exporter.dir.path().join(name);
    fs::rename(at("new.pem"), at("server.pem")).unwrap();
    fs::rename(at("new.key"), at("server.key")).unwrap();
    assert_eq!(ask("-u alice:secret -v").came, "200 2");
    fs::write(at("new.yml"), format!("{TLS}basic_auth_users: {{bob: {SECRET}}}\n")).unwrap();
    fs::rename(at("new.yml"), at("web.yml")).unwrap();
    assert_eq!(
        (ask("-u alice:secret").came, ask("-u bob:secret").came),
        ("401 2".to_owned(), "200 2".to_owned())
    );
}

pub fn a_flood_of_resets_is_counted_and_says_nothing() {
    let flags = ["--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml"];
    let mut exporter = Exporter::start(TLS, &flags);
    let port = exporter.places.split(['/', ':']).nth(4).unwrap().parse().unwrap();
    let page = exporter.places.replace("/metrics", "/api/v1/status");
    let warnings = || {
        let status = exporter.curl(&page, "").body;
        serde_json::from_str::<serde_json::Value>(&status).unwrap()["log"]["warnings"].take()
    };
    let before = warnings();
    assert!(before.is_array(), "{before}");
    for _ in 0..3 {
        give_up(exporter.dir.path(), port, 40);
    }
    let counted = "ebpf_exporter_http_connections_closed_total{cause=\"malformed\"} 3";
    until(|| exporter.curl(&exporter.places, "").body.contains(counted));
    assert_eq!(warnings(), before);
    assert_eq!(exporter.said(), [""; 0]);
}

pub fn faults_are_told_together() {
    let dir = folder("tls_server_config: {cert_file: gone.pem, key_file: ca.pem}\n");
    let flags =
        ["--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml", "--log.no-timestamps"];
    let output = command(dir.path(), &flags[..2]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    for told in [
        "web.yml:1: tls_server_config.cert_file: gone.pem cannot be read: no such file or directory",
        "web.yml:1: tls_server_config.key_file: ca.pem holds no private key in PEM format",
        "2 faults in the web config; nobody is served",
    ] {
        assert!(said.contains(told), "{said}");
    }
}

/// A certificate of the server.
pub fn one_that_has_expired_is_served_unless_all_is_to_be_good() {
    let expire = |dir: &Path| {
        openssl(dir, "x509 -in server.pem -signkey server.key -days -1 -out old.pem");
        fs::rename(dir.join("old.pem"), dir.join("server.pem")).unwrap();
    };
    let flags = ["--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml"];
    let mut exporter = Exporter::start(TLS, &flags);
    expire(exporter.dir.path());
    assert!(exporter.curl(&exporter.places, "-k").came.starts_with("200"));
    let said = exporter.said();
    assert!(said.len() == 1 && said[0].contains("server.pem has expired, at 2"), "{said:?}");

    let dir = folder(TLS);
    expire(dir.path());
    fs::write(dir.path().join("a.yaml"), "metrics: {counters: [{name: a, help: A}]}\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"));
    command.args(["--config.check", "--config.strict", "--config.dir=.", "--config.names=a"]);
    let output = command.arg(flags[1]).current_dir(&dir).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for told in [
        "web.yml:2: warning: tls_server_config.cert_file: server.pem has expired, at 2",
        "1 fault in the web config; nobody is served",
    ] {
        assert!(said.contains(told), "{said}");
    }
}

pub fn several_addresses_are_one_server() {
    let flags = [
        "--web.listen-address=127.0.0.1:0",
        "--web.listen-address=localhost:0",
        "--web.listen-address=unix:s.sock",
    ];
    let exporter = Exporter::start("", &flags);
    let places: Vec<_> = exporter.places.split(", ").collect();
    assert_eq!(places.len(), 3, "{places:?}");
    for place in &places[..2] {
        assert_eq!(exporter.curl(place, "").came, "200 1.1", "{place}");
    }
    assert!(places[2].starts_with("/metrics of the UNIX socket"), "{places:?}");
    let came = exporter.curl("http://x/metrics", "--unix-socket s.sock");
    assert_eq!(came.came, "200 1.1");
    assert!(UnixStream::connect(exporter.dir.path().join("s.sock")).is_ok());
}

pub fn health_is_asked_wherever_it_listens() {
    let web =
        format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n");
    let flags = ["--web.listen-address=127.0.0.1:0", "--web.listen-address=unix:s.sock"];
    let exporter = Exporter::start(&web, &[&flags[..], &["--web.config.file=web.yml"]].concat());
    let port = exporter.places.split(['/', ':']).nth(4).unwrap();
    let asked = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"));
        command.arg("healthcheck").args(arguments.split(' ')).current_dir(&exporter.dir);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap().replace(port, "PORT");
        let said = said
            .split_once("error: ")
            .map_or(said.trim_end(), |(_, said)| said.trim_end())
            .to_owned();
        (output.status.code().unwrap(), said)
    };
    let both = format!("https://localhost:{port} https://unix:s.sock");
    let shown = "--cert-file client.pem --key-file client.key";
    assert_eq!(asked(&format!("--ca-file ca.pem {shown} {both}")), (0, String::new()));
    assert_eq!(asked(&format!("--insecure {shown} {both}")), (0, String::new()));
    for (arguments, code, told) in [
        (format!("{shown} https://localhost:{port}"), 1, "name its authority with --ca-file"),
        (
            format!("--ca-file other.pem {shown} https://localhost:{port}"),
            1,
            "name its authority with --ca-file",
        ),
        (
            format!("--ca-file ca.pem https://localhost:{port}"),
            1,
            "nobody serves at localhost:PORT",
        ),
        (format!("localhost:{port}"), 1, "answers \"HTTP/1.1 400 Bad Request\""),
        (format!("--ca-file gone.pem https://localhost:{port}"), 1, "gone.pem cannot be read"),
        (format!("--ca-file ca.pem --insecure https://localhost:{port}"), 2, "cannot be used with"),
    ] {
        let (came, said) = asked(&arguments);
        assert!(came == code && said.contains(told), "{arguments}: {came} {said}");
    }
}
