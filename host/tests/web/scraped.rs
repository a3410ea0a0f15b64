//! A real Prometheus that asks with a password, and with a certificate.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::HANG;
use crate::site::{SECRET, Site, TLS};

struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// One that scrapes the site so, and one more that does not say who it is.
    fn of(site: &Site, says: &str) -> Self {
        let dir = site.dir.path();
        let target = format!("localhost:{}", site.server.address.port());
        let job = |name: &str, says: &str| {
            format!(
                "- job_name: {name}\n  scheme: https\n  static_configs: [{{targets: ['{target}']}}]\n{says}\n"
            )
        };
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{}{}",
            job("known", says),
            job("unknown", "  tls_config: {ca_file: ca.pem}")
        );
        fs::write(dir.join("prometheus.yml"), config).unwrap();
        let (child, url) = Self::spawn(dir);
        Self { child, url }
    }

    fn spawn(dir: &Path) -> (Child, String) {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new("prometheus")
            .current_dir(dir)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        (child, format!("http://{address}/api/v1/query"))
    }

    /// Waits until it has scraped what it can, and nothing of what it cannot.
    fn has_scraped(&self, dir: &Path) {
        let start = Instant::now();
        loop {
            let ask = |query: &str| {
                let answer = ureq::get(&self.url).query("query", query).call().ok()?;
                let text = answer.into_body().read_to_string().ok()?;
                let json: serde_json::Value = serde_json::from_str(&text).ok()?;
                Some(json["data"]["result"][0]["value"][1].as_str()?.to_owned())
            };
            let ups = (ask("up{job=\"known\"}"), ask("up{job=\"unknown\"}"));
            if (ups.0.as_deref(), ups.1.as_deref()) == (Some("1"), Some("0")) {
                return;
            }
            let log = || fs::read_to_string(dir.join("log")).unwrap();
            assert!(start.elapsed() < HANG, "{ups:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn prometheus_logs_in() {
    let site = Site::new(&format!("{TLS}basic_auth_users: {{alice: {SECRET}}}\n"));
    let says = "  tls_config: {ca_file: ca.pem}\n  basic_auth: {username: alice, password: secret}";
    Prometheus::of(&site, says).has_scraped(site.dir.path());
}

pub fn prometheus_shows_its_certificate() {
    let clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
                   client_allowed_sans: [client.example]\n";
    let site = Site::new(&format!("{TLS}{clients}"));
    let says = "  tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key}";
    Prometheus::of(&site, says).has_scraped(site.dir.path());
}
