//! TLS: whose certificate is shown, what clients have to show, and what is spoken.

use std::fmt;
use std::path::PathBuf;

use super::Check;
use crate::advice::{near, secrets};
use crate::config::raw::Field;
use crate::config::raw::web as raw;

const SECTION: &str = "tls_server_config";

/// What TLS is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPlan {
    /// The server's certificate, and those that lead to an authority.
    pub certificate: PemPlan,
    /// Its private key.
    pub key: PemPlan,
    /// Whether clients need certificates.
    pub clients: ClientAuth,
    /// The authorities of clients' certificates; there if those are looked at.
    pub authorities: Option<PemPlan>,
    /// Names of which a client's certificate has to have one; any if there are none.
    pub names: Vec<String>,
    /// Whether there is TLS 1.2, and 1.3. One of them is.
    pub versions: (bool, bool),
    /// The suites of TLS 1.2, the best first; what is usual if there are none.
    pub suites: Vec<SuitePlan>,
    /// Whether the server's order of suites counts.
    pub prefers: bool,
    /// The curves, likewise.
    pub curves: Vec<CurvePlan>,
}

/// Where a text in PEM format comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct PemPlan {
    /// Where it stands in the web config: `tls_server_config.cert_file`.
    pub path: &'static str,
    /// Its file, if it has one.
    pub file: Option<PathBuf>,
    /// Its text, if it has no file.
    pub text: String,
}

/// Whether clients need certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientAuth {
    /// They are not asked for one.
    NotAsked,
    /// They are asked, and need none. It is not looked at.
    Asked,
    /// They need none. One that they show has to be of an authority.
    VerifiedIfGiven,
    /// They need one. It is not looked at.
    Needed,
    /// They need one of an authority.
    NeededAndVerified,
}

/// A suite of TLS 1.2 that is known here. They agree upon keys by elliptic curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum SuitePlan {
    EcdsaAes128,
    EcdsaAes256,
    EcdsaChacha,
    RsaAes128,
    RsaAes256,
    RsaChacha,
}

/// A curve that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum CurvePlan {
    X25519,
    P256,
    P384,
}

/// A fault was told.
struct Told;

const SUITES: [(&str, Option<SuitePlan>); 9] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Some(SuitePlan::EcdsaAes128)),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Some(SuitePlan::EcdsaAes256)),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Some(SuitePlan::EcdsaChacha)),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some(SuitePlan::RsaAes128)),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Some(SuitePlan::RsaAes256)),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Some(SuitePlan::RsaChacha)),
    // Those of TLS 1.3 may be named, as in Go, and are there whether they are or not.
    ("TLS_AES_128_GCM_SHA256", None),
    ("TLS_AES_256_GCM_SHA384", None),
    ("TLS_CHACHA20_POLY1305_SHA256", None),
];

/// What Go calls suites with modes of old, which were broken more than once.
const OLD_MODES: [&str; 4] = ["_CBC_", "_RC4_", "_3DES_", "TLS_RSA_"];

const CURVES: [(&str, CurvePlan); 3] =
    [("X25519", CurvePlan::X25519), ("CurveP256", CurvePlan::P256), ("CurveP384", CurvePlan::P384)];

impl fmt::Debug for PemPlan {
    /// Without the text, which may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemPlan").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ClientAuth {
    /// Whether certificates are looked at.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifiedIfGiven | Self::NeededAndVerified)
    }

    /// Whether there is to be one.
    pub fn needs(self) -> bool {
        matches!(self, Self::Needed | Self::NeededAndVerified)
    }
}

impl Check<'_> {
    /// What is made of it is of no use if a fault was told.
    pub(super) fn tls(&self, raw: raw::Tls) -> TlsPlan {
        let certificate = self.pem(
            (raw.cert_file, "tls_server_config.cert_file"),
            (raw.cert, "tls_server_config.cert"),
        );
        let key = self
            .pem((raw.key_file, "tls_server_config.key_file"), (raw.key, "tls_server_config.key"));
        let authorities = self.pem(
            (raw.client_ca_file, "tls_server_config.client_ca_file"),
            (raw.client_ca, "tls_server_config.client_ca"),
        );
        let clients = self.client_auth(raw.client_auth_type);
        if let (Ok(clients), Ok(authorities)) = (&clients, &authorities) {
            self.clients_fit(*clients, authorities.as_ref());
        }
        let (authorities, clients) =
            (authorities.ok().flatten(), clients.unwrap_or(ClientAuth::NeededAndVerified));
        let names = self.names(raw.client_allowed_sans, clients);
        let versions = self.versions(raw.min_version, raw.max_version);
        let suites = self.suites(&raw.cipher_suites, versions);
        TlsPlan {
            certificate: self.needed(certificate, "the certificate", "cert"),
            key: self.needed(key, "the private key", "key"),
            clients,
            authorities: authorities.filter(|_| clients.verifies()),
            names,
            versions,
            suites,
            prefers: raw.prefer_server_cipher_suites.given().unwrap_or(true),
            curves: raw.curve_preferences.iter().filter_map(|curve| self.curve(curve)).collect(),
        }
    }

    /// What is in a file, or in a text; nothing if neither is written.
    fn pem(
        &self,
        (file, file_path): (Field<String>, &'static str),
        (text, path): (Field<String>, &'static str),
    ) -> Result<Option<PemPlan>, Told> {
        match (file, text) {
            (Field::Faulty, _) | (_, Field::Faulty) => Err(Told),
            (Field::Given(_), Field::Given(_)) => {
                let problem = format!("`{}` says the same", &path[SECTION.len() + 1..]);
                self.faults.error(file_path, problem, "leave one of the two out");
                Err(Told)
            }
            (Field::Given(name), _) if secrets::has_hash(&name) => {
                let problem = "it is the hash of a password, and not the name of a file";
                self.faults.error(
                    file_path,
                    problem,
                    "write it behind a user of `basic_auth_users`",
                );
                Err(Told)
            }
            (Field::Given(name), _) if name.contains('\n') || secrets::has_key(&name) => {
                let problem = "it is the text itself, and not the name of its file";
                let remedy = format!("write it under `{}`", &path[SECTION.len() + 1..]);
                self.faults.error(file_path, problem, remedy);
                Err(Told)
            }
            (Field::Given(name), _) => {
                let file = Some(self.beside(&name));
                Ok(Some(PemPlan { path: file_path, file, text: String::new() }))
            }
            (_, Field::Given(text)) => Ok(Some(PemPlan { path, file: None, text })),
            (Field::Absent, Field::Absent) => Ok(None),
        }
    }

    fn needed(&self, pem: Result<Option<PemPlan>, Told>, what: &str, key: &str) -> PemPlan {
        if let Ok(None) = pem {
            let problem = format!("{what} is missing");
            let remedy = format!("add `{key}_file` with its file, or `{key}` with its text");
            self.faults.error(SECTION, problem, remedy);
        }
        let nothing = PemPlan { path: SECTION, file: None, text: String::new() };
        pem.ok().flatten().unwrap_or(nothing)
    }

    fn client_auth(&self, word: Field<String>) -> Result<ClientAuth, Told> {
        const TYPES: [(&str, ClientAuth); 6] = [
            ("NoClientCert", ClientAuth::NotAsked),
            ("RequestClientCert", ClientAuth::Asked),
            ("RequireAnyClientCert", ClientAuth::Needed),
            ("RequireClientCert", ClientAuth::Needed),
            ("VerifyClientCertIfGiven", ClientAuth::VerifiedIfGiven),
            ("RequireAndVerifyClientCert", ClientAuth::NeededAndVerified),
        ];
        let word = match word {
            Field::Absent => return Ok(ClientAuth::NotAsked),
            Field::Faulty => return Err(Told),
            Field::Given(word) => word,
        };
        let found = TYPES.iter().find(|(known, _)| *known == word);
        found.map(|(_, auth)| *auth).ok_or_else(|| {
            let known = TYPES.map(|(known, _)| known);
            let problem = "no type is called so";
            let remedy = near::suggest(&word, &known, "write one of");
            self.faults.error("tls_server_config.client_auth_type", problem, remedy);
            Told
        })
    }

    /// Authorities without certificates that they are for, or the other way round.
    fn clients_fit(&self, clients: ClientAuth, authorities: Option<&PemPlan>) {
        match authorities {
            Some(authorities) if clients == ClientAuth::NotAsked => self.faults.error(
                authorities.path,
                "there are authorities of clients, who are not asked for a certificate",
                "add `client_auth_type: RequireAndVerifyClientCert`, or leave the authorities out",
            ),
            // Go would trust those of the host: whoever has a certificate of any name could come in.
            None if clients.verifies() => self.faults.error(
                "tls_server_config.client_auth_type",
                "clients' certificates are to be verified, and no authority is named",
                "add `client_ca_file` with the authorities that may certify clients",
            ),
            _ => {}
        }
    }

    fn names(&self, names: Option<Vec<(String, String)>>, clients: ClientAuth) -> Vec<String> {
        const PATH: &str = "tls_server_config.client_allowed_sans";
        let Some(names) = names else { return Vec::new() };
        if names.is_empty() {
            let problem = "no client can have one of no names";
            self.faults.error(PATH, problem, "name some, or leave the key out");
        } else if !clients.needs() {
            let problem = "names are allowed of clients, who need no certificate";
            let remedy = "add `client_auth_type: RequireAndVerifyClientCert`, or leave them out";
            self.faults.error(PATH, problem, remedy);
        }
        names.into_iter().map(|(_, name)| name).collect()
    }

    fn versions(&self, min: Field<String>, max: Field<String>) -> (bool, bool) {
        let min = self.version(min, "tls_server_config.min_version").unwrap_or(2);
        let max = self.version(max, "tls_server_config.max_version").unwrap_or(3);
        if min > max {
            let problem = "no TLS is at least 1.3 and at most 1.2";
            let remedy = "leave `max_version` out";
            self.faults.error("tls_server_config.max_version", problem, remedy);
        }
        (min == 2, max == 3)
    }

    /// The 2 of TLS 1.2.
    fn version(&self, word: Field<String>, path: &str) -> Option<u8> {
        let word = word.given()?;
        match &*word {
            "TLS12" => Some(2),
            "TLS13" => Some(3),
            "TLS10" | "TLS11" => {
                let problem = "TLS 1.0 and 1.1 are broken, and are not spoken here";
                self.faults.error(path, problem, "write TLS12 or TLS13");
                None
            }
            _ => {
                self.faults.error(path, "no version of TLS is called so", "write TLS12 or TLS13");
                None
            }
        }
    }

    /// Those of TLS 1.2. If there are any at all, one is to be of it if it is spoken.
    fn suites(&self, named: &[(String, String)], versions: (bool, bool)) -> Vec<SuitePlan> {
        let before = self.faults.errors();
        let suites: Vec<_> = named.iter().filter_map(|suite| self.suite(suite)).collect();
        let lacks = suites.is_empty() && !named.is_empty() && versions.0;
        if lacks && self.faults.errors() == before {
            let problem = "TLS 1.2 is spoken, and none of its suites is named";
            let remedy = "add one, or `min_version: TLS13`";
            self.faults.error("tls_server_config.cipher_suites", problem, remedy);
        }
        suites
    }

    fn suite(&self, (path, word): &(String, String)) -> Option<SuitePlan> {
        if let Some((_, suite)) = SUITES.iter().find(|(known, _)| known == word) {
            return *suite;
        }
        if word.starts_with("TLS_") && OLD_MODES.iter().any(|old| word.contains(old)) {
            let problem = "suites of this kind are old, and not spoken here";
            let remedy = "leave it out: who speaks TLS 1.2 knows a suite of GCM";
            self.faults.error(path, problem, remedy);
            return None;
        }
        let known = SUITES.map(|(known, _)| known);
        let remedy = near::suggest(word, &known, "write one of");
        self.faults.error(path, "no suite that is known here is called so", remedy);
        None
    }

    fn curve(&self, (path, word): &(String, String)) -> Option<CurvePlan> {
        if let Some((_, curve)) = CURVES.iter().find(|(known, _)| known == word) {
            return Some(*curve);
        }
        let known = CURVES.map(|(known, _)| known);
        match &**word {
            "CurveP521" => {
                let problem = "`CurveP521` is not spoken here";
                self.faults.error(path, problem, "leave it out: hardly anybody has no other");
            }
            _ => {
                let remedy = near::suggest(word, &known, "write one of");
                self.faults.error(path, "no curve that is known here is called so", remedy);
            }
        }
        None
    }
}
