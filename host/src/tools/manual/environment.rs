//! The variables of the environment that are read, and what they say.

use crate::otlp;

/// A variable that is of no signal of OpenTelemetry.
const OTHERS: [(&str, &str); 14] = [
    ("RUST_LOG", "What is logged, instead of what --log.level says."),
    ("NO_COLOR", "If it is set, nothing that is printed has colours."),
    ("CACHE_DIRECTORY", "Where compiled plugins are kept, unless --plugins.cache-dir says."),
    ("REGISTRY_AUTH_FILE", "The file that says who asks a registry, as podman writes it."),
    ("DOCKER_CONFIG", "The directory of the file that says so, as docker writes it."),
    ("XDG_RUNTIME_DIR", "Where the file of podman is, unless REGISTRY_AUTH_FILE names it."),
    ("HOME", "Where the directory of docker is, .docker, unless DOCKER_CONFIG names it."),
    ("SOURCE_DATE_EPOCH", "When what plugin push pushes was made, in seconds after 1970."),
    ("SSL_CERT_FILE", "A PEM file of the authorities that count as this host's."),
    ("SSL_CERT_DIR", "The same: a directory of such files."),
    ("LISTEN_FDS", "How many sockets systemd passes. It sets LISTEN_PID too."),
    ("LISTEN_PID", "Which process they are for."),
    ("NOTIFY_SOCKET", "Where systemd is told that the exporter is ready, and that it lives."),
    ("WATCHDOG_USEC", "How often systemd wants to be told that, in microseconds."),
];

/// Every variable, with what it says.
pub(super) fn all() -> Vec<(String, String)> {
    let others = OTHERS.map(|(name, says)| (name.to_owned(), says.to_owned()));
    let otlp = otlp::VARIABLES.iter().flat_map(of_signals);
    others.into_iter().chain(otlp).collect()
}

/// A variable of OpenTelemetry. Those of single signals are told of by what they come before.
fn of_signals(variable: &otlp::Variable) -> Vec<(String, String)> {
    let names = variable.names();
    let own = names[1..].iter().map(|name| {
        (name.clone(), format!("The same, of its signal alone. It comes before {}.", variable.name))
    });
    [(names[0].clone(), variable.says.to_owned())].into_iter().chain(own).collect()
}
