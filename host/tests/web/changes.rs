//! Files that change while the server serves by them.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ebpf_wasm_exporter::serve::CloseCause;

use crate::certificates::openssl;
use crate::server::{TEXT, until};
use crate::site::{SECRET, Site, TLS, curl};

/// The name of the certificate that is shown.
fn shown(site: &Site) -> String {
    let (_, said) = site.s_client("-servername localhost");
    let line = said.lines().find(|line| line.contains("subject=")).unwrap_or_default();
    line.rsplit_once("CN")
        .map_or_else(String::new, |(_, name)| name.trim_matches([' ', '=']).to_owned())
}

/// Another certificate of the server.
fn another(site: &Site) -> (Vec<u8>, Vec<u8>) {
    let dir = site.dir.path();
    openssl(
        dir,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=second -keyout second.key \
         -out second.pem -CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost",
    );
    (fs::read(dir.join("second.pem")).unwrap(), fs::read(dir.join("second.key")).unwrap())
}

pub fn certificates_are_swapped() {
    let site = Site::new(TLS);
    assert_eq!(shown(&site), "server");
    let (certificate, key) = another(&site);
    site.put("server.pem", certificate);
    site.put("server.key", key);
    assert_eq!(shown(&site), "second");
    assert_eq!(site.curl("").body, TEXT);
    // Authorities come with the web config.
    site.put(
        "web.yml",
        format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"),
    );
    assert_ne!(site.curl("").code, 0);
    assert_eq!(site.curl("--cert client.pem --key client.key").body, TEXT);
    site.put("ca.pem", fs::read(site.dir.path().join("other.pem")).unwrap());
    assert_ne!(site.curl("-k --cert client.pem --key client.key").code, 0);
    assert_eq!(site.curl("-k --cert stranger.pem --key stranger.key").body, TEXT);
}

pub fn a_pair_that_does_not_fit_is_said_and_mended() {
    let site = Site::new(TLS);
    let (certificate, key) = another(&site);
    site.put("server.pem", certificate);
    assert_ne!(site.curl("").code, 0);
    assert!(
        site.web.reopen().unwrap_err()[0].to_string().contains("is the certificate of another key")
    );
    site.put("server.key", key);
    assert_eq!(site.curl("").body, TEXT);
    site.put("web.yml", "tls_server_config: {cert_file: server.pem");
    assert_ne!(site.curl("").code, 0);
    site.put("web.yml", "");
    assert_ne!(site.curl("").code, 0);
    site.put("web.yml", TLS);
    assert_eq!(site.curl("").body, TEXT);
}

pub fn who_cannot_be_served_is_told() {
    let site = Site::new(TLS);
    site.put("web.yml", "tls_server_config: {cert_file: server.pem");
    for version in ["", "-tls1_2"] {
        let (well, said) = site.s_client(version);
        assert!(!well && said.contains("SSL alert number 80"), "{version}: {said}");
    }
    // Others are told what they are told always.
    let url = format!("http://localhost:{}/metrics", site.server.address.port());
    assert!(curl(site.dir.path(), &url, "").body.contains("this port speaks HTTPS"));
    until(|| site.server.closed(CloseCause::Handshake) == 2);
}

pub fn users_and_rates_change() {
    let site = Site::new("");
    let url = format!("http://localhost:{}/metrics", site.server.address.port());
    let ask = |arguments: &str| curl(site.dir.path(), &url, arguments);
    assert_eq!(ask("").body, TEXT);
    site.put("web.yml", format!("basic_auth_users: {{alice: {SECRET}}}\n"));
    assert_eq!(
        (ask("").came, ask("-u alice:secret").body),
        ("401 1.1".to_owned(), TEXT.to_owned())
    );
    // Users who came later are held as those of the start.
    site.put("web.yml", "");
    assert_eq!([ask("").came, ask("-u alice:secret").came], ["500 1.1", "500 1.1"]);
    let users = format!("basic_auth_users: {{alice: {SECRET}}}\n");
    site.put("web.yml", format!("{users}rate_limit: {{interval: 1h, burst: 2}}\n"));
    let came = ["", "-u alice:secret", ""].map(|arguments| ask(arguments).came);
    assert_eq!(came, ["401 1.1", "200 1.1", "429 1.1"]);
    site.put("web.yml", "rate_limits: {}\n");
    let came = ask("");
    assert_eq!(came.came, "500 1.1");
    assert_eq!(came.body, "the web config has a fault; the exporter's log says which\n");
    site.put("web.yml", users);
    assert_eq!(ask("-u alice:secret").body, TEXT);
}

pub fn clients_who_came_to_need_certificates_go_on_needing_them() {
    let site = Site::new(TLS);
    assert_eq!(site.curl("").body, TEXT);
    let strict =
        format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n");
    site.put("web.yml", &strict);
    assert_ne!(site.curl("").code, 0);
    site.put("web.yml", TLS);
    assert_ne!(site.curl("").code, 0);
    assert_ne!(site.curl("--cert client.pem --key client.key").code, 0);
    site.put("web.yml", strict);
    assert_eq!(site.curl("--cert client.pem --key client.key").body, TEXT);
}

/// By whoever has the state of the server written out.
pub fn what_is_secret_is_not_shown() {
    let site = Site::new(&format!("{TLS}basic_auth_users: {{alice: \"{SECRET}\"}}\n"));
    assert!(site.curl("-u alice:secret").came.starts_with("200"));
    let (plain, pretty) = (format!("{:?}", site.web), format!("{:#?}", site.web));
    assert!(plain.contains("alice") && plain.contains("server.pem"), "{plain}");
    let key = fs::read_to_string(site.dir.path().join("server.key")).unwrap();
    let lines: Vec<_> = key.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = STANDARD.decode(lines.concat()).unwrap();
    // As a list of numbers, wherever it begins.
    let numbers = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let mut secrets: Vec<_> = bytes.windows(8).map(numbers).collect();
    secrets.extend(lines.iter().map(|line| (*line).to_owned()));
    secrets.extend([SECRET.to_owned(), numbers(SECRET.as_bytes()), numbers(b"secret")]);
    for shown in [plain, pretty.replace(['\n', ' '], "").replace(',', ", ")] {
        for secret in &secrets {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
