//! TLS before a server that has none, so that what it says is heard by TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, ServerConnection, StreamOwned, WantsVerifier,
};

use crate::certificates::certify;

/// Serves with TLS what `host` serves without, and says where. The authority is `ca.pem` of this directory.
pub fn before(host: String, dir: &Path) -> String {
    certify(dir);
    let builder = builder().with_no_client_auth();
    serve(host, with_certificate(builder, dir))
}

/// The same, to whom that authority has certified. It and the server's certificate are there.
pub fn before_known(host: String, dir: &Path) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let known = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    serve(host, with_certificate(builder().with_client_cert_verifier(known.unwrap()), dir))
}

fn serve(host: String, config: ServerConfig) -> String {
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // Whoever has enough hangs up.
            let _ = pass_on(&host, StreamOwned::new(connection, client));
        }
    });
    format!("localhost:{port}")
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_safe_default_protocol_versions().unwrap()
}

fn with_certificate(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    dir: &Path,
) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(dir.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).unwrap();
    builder.with_single_cert(vec![certificate], key).unwrap()
}

/// One request that has no body, and its answer.
fn pass_on(host: &str, mut client: StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let mut server = TcpStream::connect(host)?;
    server.write_all(&request)?;
    io::copy(&mut server, &mut client)?;
    client.conn.send_close_notify();
    client.flush()
}
