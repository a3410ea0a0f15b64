//! A server with a web config, its certificates, and curl.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use ebpf_wasm_exporter::serve::Web;
use ebpf_wasm_exporter::workers::{Hired, Workers};
use tempfile::TempDir;

use crate::certificates::{certify, openssl};
use crate::server::{Options, Server};

/// The hash of `secret`, as cheap as one can be.
pub const SECRET: &str = "$2b$04$XajjQvNhvvRt5GSeFk1xFevzAJCFx0OEM1iKEb870GMYSyAwwRigi";

/// The part of a web config that has a certificate.
pub const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// A server.
pub struct Site {
    pub dir: TempDir,
    pub server: Server,
    pub web: Web,
    workers: Option<Workers>,
}

/// What curl says.
#[derive(Debug, PartialEq, Eq)]
pub struct Curl {
    pub body: String,
    /// Status and version of HTTP: `200 2`.
    pub came: String,
    /// Its exit code.
    pub code: i32,
    pub said: String,
}

/// Certificates of a server and of clients, made once.
fn made() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        certify(dir.path());
        client(dir.path(), "client", "DNS:client.example", "ca");
        client(dir.path(), "named", "DNS:a.example,IP:192.0.2.7,email:a@b.example,URI:spiffe://c/d", "ca");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let own = "-subj /CN=other -keyout other.key -out other.pem -addext basicConstraints=critical,CA:TRUE";
        openssl(dir.path(), &format!("req -x509 {key} {own}"));
        client(dir.path(), "stranger", "DNS:client.example", "other");
        dir
    });
    dir.path()
}

/// Certifies a client of these names.
fn client(dir: &Path, name: &str, names: &str, authority: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(
        dir,
        &format!(
            "req -x509 {key} -subj /CN={name} -keyout {name}.key -out {name}.pem -CA {authority}.pem \
             -CAkey {authority}.key -addext subjectAltName={names} -addext extendedKeyUsage=clientAuth \
             -addext basicConstraints=critical,CA:FALSE"
        ),
    );
}

/// A directory with all certificates, and a web config of this text.
pub fn folder(web: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(made()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    fs::write(dir.path().join("web.yml"), web).unwrap();
    dir
}

impl Site {
    /// One that serves by this web config.
    pub fn new(web: &str) -> Self {
        Self::with(web, Options::default())
    }

    /// The same, with these options.
    pub fn with(web: &str, options: Options) -> Self {
        let dir = folder(web);
        let web = Web::open(&dir.path().join("web.yml")).unwrap();
        let mut hired = Hired::default();
        web.hire(&mut hired).unwrap();
        let workers = Some(hired.begin());
        let server = Server::start(Options { web: Some(web.clone()), ..options });
        Self { dir, server, web, workers }
    }

    /// Replaces a file, as people should.
    pub fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join("new"), text).unwrap();
        fs::rename(self.dir.path().join("new"), self.dir.path().join(name)).unwrap();
    }

    /// What comes of asking for the metrics with these arguments.
    pub fn curl(&self, arguments: &str) -> Curl {
        let url = format!("https://localhost:{}/metrics", self.server.address.port());
        curl(self.dir.path(), &url, arguments)
    }

    /// What `openssl s_client` says with these arguments, all of it, and whether it was content.
    pub fn s_client(&self, arguments: &str) -> (bool, String) {
        let to =
            format!("s_client -connect 127.0.0.1:{} -CAfile ca.pem", self.server.address.port());
        let all = to.split(' ').chain(arguments.split(' ').filter(|argument| !argument.is_empty()));
        let mut command = Command::new("openssl");
        let output = command.args(all).current_dir(&self.dir).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.stop.send(());
        self.workers.take().into_iter().for_each(Workers::stop);
    }
}

/// What comes of asking there with these arguments.
pub fn curl(dir: &Path, url: &str, arguments: &str) -> Curl {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "60", "--cacert", "ca.pem"]);
    // It takes a UNIX socket for no address of IPv4.
    command.args((!arguments.contains("--unix-socket")).then_some("-4"));
    command.args(["-w", "\n%{http_code} %{http_version}", url]).current_dir(dir);
    command.args(arguments.split(' ').filter(|argument| !argument.is_empty()));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    let (body, came) = text.rsplit_once('\n').unwrap();
    Curl {
        body: body.to_owned(),
        came: came.to_owned(),
        code: status.code().unwrap(),
        said: String::from_utf8(stderr).unwrap(),
    }
}
