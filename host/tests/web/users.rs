//! Users: who is let in, and that nobody keeps them out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::server::TEXT;
use crate::site::{SECRET, Site, TLS, curl};

pub fn users_are_let_in_with_their_passwords() {
    for tls in ["", TLS] {
        let site = Site::new(&format!("{tls}basic_auth_users:\n  alice: {SECRET}\n"));
        let scheme = if tls.is_empty() { "http" } else { "https" };
        let url = |path: &str| format!("{scheme}://localhost:{}{path}", site.server.address.port());
        let ask = |path: &str, user: &str| curl(site.dir.path(), &url(path), user);
        for path in ["/metrics", "/", "/nothing"] {
            let refused = ask(path, "-i");
            assert!(refused.came.starts_with("401"), "{refused:?}");
            let said = refused.body.to_lowercase();
            assert!(
                said.contains("www-authenticate: basic realm=\"ebpf_wasm_exporter\""),
                "{said}"
            );
        }
        for _ in 0..2 {
            assert_eq!(ask("/metrics", "-u alice:secret").body, TEXT);
            assert!(ask("/metrics", "-u alice:other").came.starts_with("401"));
            assert!(ask("/metrics", "-u bob:secret").came.starts_with("401"));
        }
        assert!(ask("/nothing", "-u alice:secret").came.starts_with("404"));
    }
}

pub fn a_flood_keeps_no_scraper_out() {
    // One that takes a while, so that many wait.
    let hash = bcrypt::hash_with_salt("secret", 8, [7; 16]).unwrap();
    let site = Site::new(&format!("basic_auth_users:\n  alice: {hash}\n"));
    let url = format!("http://localhost:{}/metrics", site.server.address.port());
    let ask = |user: &str| curl(site.dir.path(), &url, user);
    assert_eq!(ask("-u alice:secret").body, TEXT);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for flooder in 0..8 {
            let (over, ask) = (&over, &ask);
            scope.spawn(move || {
                for guess in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let came = ask(&format!("-u alice:{flooder}-{guess}")).came;
                    assert!(came.starts_with("401") || came.starts_with("503"), "{came}");
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(ask("-u alice:secret").body, TEXT);
        }
        over.store(true, Ordering::Relaxed);
    });
}
