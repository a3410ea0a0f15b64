//! A kubelet, as far as its list of pods goes.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::certificates::certify;
use crate::made::{Made, Request, answer};
use crate::tls;

/// What a kubelet of a small node answers: a pod of each kind.
pub const NODE: &str = include_str!("../../../decoders-wasm/cgroup-pod/src/tests/node.json");

/// One that lets in who has the token of today.
pub struct Kubelet {
    server: Made,
    state: Arc<Mutex<State>>,
}

struct State {
    token: String,
    pods: Vec<Value>,
    /// Whether who asks may.
    allows: bool,
}

impl Kubelet {
    /// One that runs the pods of [`NODE`].
    pub fn start(token: &str) -> Self {
        let node: Value = serde_json::from_str(NODE).unwrap();
        let pods = node["items"].as_array().unwrap().clone();
        let state = State { token: token.to_owned(), pods, allows: true };
        let state = Arc::new(Mutex::new(state));
        let seen = Arc::clone(&state);
        let server =
            Made::serve(move |request, client| seen.lock().unwrap().answer(request, client));
        Self { server, state }
    }

    /// Its address, with TLS before it. The authority is `ca.pem` of this directory.
    pub fn safe(&self, dir: &Path) -> String {
        certify(dir);
        format!("https://{}", tls::before(self.server.host(), dir, false))
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// Its address, of the port that only reads.
    pub fn plain(&self) -> String {
        format!("http://{}", self.server.host())
    }

    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.state.lock().unwrap().token);
    }

    pub fn forbid(&self) {
        self.state.lock().unwrap().allows = false;
    }

    /// Changes what it runs.
    pub fn change(&self, how: impl FnOnce(&mut Vec<Value>)) {
        how(&mut self.state.lock().unwrap().pods);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.server.asked().len()
    }
}

impl State {
    fn answer(&self, request: &Request, client: &mut TcpStream) -> io::Result<()> {
        let token = format!("Bearer {}", self.token);
        if !self.token.is_empty() && request.header("authorization") != Some(&token) {
            return answer(client, "401 Unauthorized", &[], b"Unauthorized");
        }
        if !self.allows {
            // As Kubernetes 1.33 and later say it.
            let why = "Forbidden (user=system:serviceaccount:monitoring:exporter, verb=get, resource=nodes, \
                       subresource(s)=[pods proxy])\n";
            return answer(client, "403 Forbidden", &[], why.as_bytes());
        }
        if request.what() != "GET /pods" {
            return answer(client, "404 Not Found", &[], b"404 page not found\n");
        }
        let list =
            json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self.pods});
        answer(
            client,
            "200 OK",
            &[("Content-Type", "application/json")],
            list.to_string().as_bytes(),
        )
    }
}
