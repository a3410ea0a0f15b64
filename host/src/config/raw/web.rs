//! A web config as it was typed: the file of `--web.config.file`, and the keys that it may have. They are those of
//! Prometheus' exporter-toolkit.

use super::Field;
use super::fields::Fields;
use super::section::{Choice, Section, Unwritten, ValueKind, key, section};
use crate::config::faults::Faults;
use crate::config::node::Node;

use Unwritten::{NeededWithout, Nothing, Written};

pub(in crate::config) static WEB: Section = section(
    "web config",
    "A web config: with what the exporter serves whom.",
    &[
        key(
            "tls_server_config",
            ValueKind::Optional(&TLS),
            Nothing,
            "TLS. Without it, or if it is empty, plain HTTP is served.",
        ),
        key("http_server_config", ValueKind::Optional(&HTTP), Nothing, "HTTP."),
        key(
            "basic_auth_users",
            ValueKind::Pairs,
            Nothing,
            "Users and the bcrypt hashes of their passwords. With any, nobody else is served.",
        ),
        key("rate_limit", ValueKind::Optional(&RATE), Nothing, "How many requests are answered."),
    ],
);

pub(in crate::config) static TLS: Section = section(
    "tls_server_config",
    "TLS, `tls_server_config`. A relative file is beside the web config.",
    &[
        key(
            "cert_file",
            ValueKind::Word,
            NeededWithout("cert"),
            "The file of the server's certificate, and of those that lead to an authority, in PEM format.",
        ),
        key("cert", ValueKind::Word, NeededWithout("cert_file"), "The same, as a text here."),
        key(
            "key_file",
            ValueKind::Word,
            NeededWithout("key"),
            "The file of its private key, in PEM format, without a passphrase.",
        ),
        key("key", ValueKind::Word, NeededWithout("key_file"), "The same, as a text here."),
        key(
            "client_auth_type",
            ValueKind::Choice(client_auth_types),
            Written("NoClientCert"),
            "Whether clients need a certificate, and whether it has to be of an authority in `client_ca_file`.",
        ),
        key(
            "client_ca_file",
            ValueKind::Word,
            Nothing,
            "The file of the authorities that clients' certificates are of, in PEM format.",
        ),
        key("client_ca", ValueKind::Word, Nothing, "The same, as a text here."),
        key(
            "client_allowed_sans",
            ValueKind::Texts,
            Nothing,
            "DNS names, addresses, mail addresses or URIs, one of which a client's certificate has to have, letter by letter.",
        ),
        key("min_version", ValueKind::Choice(versions), Written("TLS12"), "The oldest TLS."),
        key("max_version", ValueKind::Choice(versions), Written("TLS13"), "The newest TLS."),
        key(
            "cipher_suites",
            ValueKind::Texts,
            Nothing,
            "The suites of TLS 1.2, by the names that Go has for them, the best first. Those of TLS 1.3 are always there.",
        ),
        key(
            "prefer_server_cipher_suites",
            ValueKind::Boolean,
            Written("true"),
            "Whether this order counts, and not the client's.",
        ),
        key(
            "curve_preferences",
            ValueKind::Texts,
            Nothing,
            "The curves of the key exchange, the best first: `X25519`, `CurveP256`, `CurveP384`.",
        ),
    ],
);

pub(in crate::config) static HTTP: Section = section(
    "http_server_config",
    "HTTP, `http_server_config`.",
    &[
        key(
            "http2",
            ValueKind::Boolean,
            Written("true"),
            "Whether clients get HTTP/2 that ask for it. It needs TLS.",
        ),
        key(
            "headers",
            ValueKind::Optional(&HEADERS),
            Nothing,
            "Headers that each response has beside its own.",
        ),
    ],
);

pub(in crate::config) static HEADERS: Section = section(
    "headers",
    "Headers, `headers`. One that is empty is left out.",
    &[
        key(
            "Strict-Transport-Security",
            ValueKind::Word,
            Nothing,
            "That browsers use TLS for this host from now on, and for how long.",
        ),
        key("X-Content-Type-Options", ValueKind::Word, Nothing, "`nosniff`."),
        key("X-Frame-Options", ValueKind::Word, Nothing, "`deny` or `sameorigin`."),
        key("X-XSS-Protection", ValueKind::Word, Nothing, "What old browsers looked for."),
        key("Content-Security-Policy", ValueKind::Word, Nothing, "What pages may load."),
    ],
);

pub(in crate::config) static RATE: Section = section(
    "rate_limit",
    "Rate, `rate_limit`. Whoever asks beyond it is answered with 429.",
    &[
        key(
            "interval",
            ValueKind::Duration(None),
            Written("0"),
            "The time between two requests, such as `100ms`; 0 for none.",
        ),
        key(
            "burst",
            ValueKind::Whole((0, u32::MAX as u64)),
            Written("0"),
            "How many may come at once behind a quiet time. Needed with an `interval`.",
        ),
    ],
);

fn client_auth_types() -> Vec<Choice> {
    let choice = |(word, says): (_, &str)| Choice { word, says: says.to_owned() };
    [
        ("NoClientCert", "they are not asked for one"),
        ("RequestClientCert", "they are asked, and need none"),
        ("RequireAnyClientCert", "they need one, of whomever"),
        ("RequireClientCert", "the same"),
        ("VerifyClientCertIfGiven", "they need none, and one that they show has to be good"),
        ("RequireAndVerifyClientCert", "they need a good one"),
    ]
    .map(choice)
    .to_vec()
}

fn versions() -> Vec<Choice> {
    ["TLS12", "TLS13"].map(|word| Choice { word, says: String::new() }).to_vec()
}

/// A header that each response is to have.
pub(in crate::config) struct Header {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) path: String,
    pub(in crate::config) value: String,
}

/// A user, and the hash of the password.
pub(in crate::config) struct User {
    pub(in crate::config) path: String,
    pub(in crate::config) name: String,
    pub(in crate::config) hash: String,
}

/// A whole file. What stands in sections that are not there is absent.
pub(in crate::config) struct Web {
    pub(in crate::config) tls: Option<Tls>,
    pub(in crate::config) http2: Field<bool>,
    /// Those that have a value.
    pub(in crate::config) headers: Vec<Header>,
    pub(in crate::config) users: Vec<User>,
    pub(in crate::config) interval: Field<String>,
    pub(in crate::config) burst: Field<i128>,
}

pub(in crate::config) struct Tls {
    pub(in crate::config) cert_file: Field<String>,
    pub(in crate::config) cert: Field<String>,
    pub(in crate::config) key_file: Field<String>,
    pub(in crate::config) key: Field<String>,
    pub(in crate::config) client_auth_type: Field<String>,
    pub(in crate::config) client_ca_file: Field<String>,
    pub(in crate::config) client_ca: Field<String>,
    /// If they are written at all.
    pub(in crate::config) client_allowed_sans: Option<Vec<(String, String)>>,
    pub(in crate::config) min_version: Field<String>,
    pub(in crate::config) max_version: Field<String>,
    pub(in crate::config) cipher_suites: Vec<(String, String)>,
    pub(in crate::config) prefer_server_cipher_suites: Field<bool>,
    pub(in crate::config) curve_preferences: Vec<(String, String)>,
    /// Whether there is anything in it.
    pub(in crate::config) says: bool,
}

/// Reads the root of a file that is not empty; it has to be a mapping.
pub(in crate::config) fn web(root: &Node<'_>, faults: &Faults<'_>) -> Option<Web> {
    let fields = Fields::open(root, "", &WEB, faults)?;
    let below = |key: &'static str, section| {
        let node = fields.get(key)?;
        Fields::open(node, key, section, faults)
    };
    let (http, rate) = (below("http_server_config", &HTTP), below("rate_limit", &RATE));
    let user = |(name, hash): (String, String)| User {
        path: format!("basic_auth_users.{name}"),
        name,
        hash,
    };
    Some(Web {
        tls: below("tls_server_config", &TLS).map(|fields| tls(&fields)),
        http2: http.as_ref().map_or(Field::Absent, |fields| fields.boolean("http2")),
        headers: http.map(|fields| headers(&fields, faults)).unwrap_or_default(),
        users: fields.pairs("basic_auth_users").into_iter().map(user).collect(),
        interval: rate.as_ref().map_or(Field::Absent, |fields| fields.word("interval")),
        burst: rate.as_ref().map_or(Field::Absent, |fields| fields.integer("burst")),
    })
}

fn tls(fields: &Fields<'_, '_>) -> Tls {
    Tls {
        cert_file: fields.word("cert_file"),
        cert: fields.word("cert"),
        key_file: fields.word("key_file"),
        key: fields.word("key"),
        client_auth_type: fields.word("client_auth_type"),
        client_ca_file: fields.word("client_ca_file"),
        client_ca: fields.word("client_ca"),
        client_allowed_sans: fields
            .get("client_allowed_sans")
            .map(|_| fields.texts("client_allowed_sans")),
        min_version: fields.word("min_version"),
        max_version: fields.word("max_version"),
        cipher_suites: fields.texts("cipher_suites"),
        prefer_server_cipher_suites: fields.boolean("prefer_server_cipher_suites"),
        curve_preferences: fields.texts("curve_preferences"),
        says: TLS.keys.iter().any(|key| fields.has(key.name)),
    }
}

fn headers(http: &Fields<'_, '_>, faults: &Faults<'_>) -> Vec<Header> {
    let Some(node) = http.get("headers") else { return Vec::new() };
    let path = http.at("headers");
    let Some(fields) = Fields::open(node, &path, &HEADERS, faults) else { return Vec::new() };
    let value = |key: &super::section::Key| {
        let value = fields.word(key.name).given()?;
        Some(Header { name: key.name, path: fields.at(key.name), value })
    };
    HEADERS.keys.iter().filter_map(value).collect()
}
