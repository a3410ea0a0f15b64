//! Debian's docker-registry, with a directory of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::certify;

/// Why none can be started here.
pub fn lacks() -> Option<String> {
    let mut command = Command::new("docker-registry");
    let status = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = status.is_ok_and(|status| status.success());
    (!there).then(|| "no docker-registry; `make test` gets it".to_owned())
}

/// A registry that runs.
pub struct Registry {
    child: Child,
    pub dir: TempDir,
    port: u16,
}

/// What a registry wants.
#[derive(Default)]
pub struct Wants<'a> {
    /// TLS, with the authority `ca.pem` in its directory.
    pub tls: bool,
    /// The part `auth` of its settings, which may name files in the directory DIR.
    pub auth: Option<&'a str>,
}

impl Registry {
    /// Starts one in a directory of its own that has these files.
    pub fn start(wants: &Wants<'_>, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).unwrap());
        Self::start_in(dir, wants)
    }

    /// Starts one in this directory.
    pub fn start_in(dir: TempDir, wants: &Wants<'_>) -> Self {
        if wants.tls {
            certify(dir.path());
        }
        let (child, port) = spawn(dir.path(), wants);
        let mut registry = Self { child, dir, port };
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let listens = TcpStream::connect((Ipv4Addr::LOCALHOST, registry.port)).is_ok();
            match registry.child.try_wait().unwrap() {
                None if listens => return registry,
                None => thread::sleep(Duration::from_millis(10)),
                // Somebody else took the port meanwhile.
                Some(_) => (registry.child, registry.port) = spawn(registry.dir.path(), wants),
            }
            assert!(Instant::now() < end, "the registry does not listen");
        }
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; of one that did not, nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path, wants: &Wants<'_>) -> (Child, u16) {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let tls =
        if wants.tls { ", tls: {certificate: DIR/server.pem, key: DIR/server.key}" } else { "" };
    let auth = wants.auth.map(|auth| format!("auth: {auth}\n")).unwrap_or_default();
    let settings = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: DIR/kept}}}}\n{auth}\
         http: {{addr: 'localhost:{port}', secret: none{tls}}}\n"
    );
    let file = dir.join("settings.yml");
    fs::write(&file, settings.replace("DIR", &dir.display().to_string())).unwrap();
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    (command.spawn().unwrap(), port)
}
