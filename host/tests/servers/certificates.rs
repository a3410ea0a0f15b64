//! Certificates, made by openssl.

use std::path::Path;
use std::process::{Command, Stdio};

/// Why none can be made here.
pub fn lacks() -> Option<String> {
    let mut command = Command::new("openssl");
    let status = command.arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = status.is_ok_and(|status| status.success());
    (!there).then(|| "no openssl; `make test` gets it".to_owned())
}

/// An authority, and a server that it certifies.
pub fn certify(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let authority = "-addext basicConstraints=critical,CA:TRUE";
    openssl(dir, &format!("req -x509 {key} -subj /CN=ca -keyout ca.key -out ca.pem {authority}"));
    openssl(
        dir,
        &format!(
            "req -x509 {key} -subj /CN=server -keyout server.key -out server.pem -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=DNS:localhost -addext extendedKeyUsage=serverAuth \
             -addext basicConstraints=critical,CA:FALSE"
        ),
    );
}

/// What openssl answers.
pub fn openssl(dir: &Path, arguments: &str) -> Vec<u8> {
    let output =
        Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
    output.stdout
}
