//! TLS, passwords and all else that a web config says, with those who ask: curl, openssl and Prometheus.
//!
//! Where one of them is missing the trials that need it are ignored, by name and with the reason; with `CI=true` in
//! the environment none is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "a test has no outside, and may panic"
)]

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "../trials/list.rs"]
mod list;

mod bounds;
mod changes;
mod clients;
mod exporter;
mod frames;
mod keys;
mod scraped;
mod site;
mod spoken;
mod users;

#[path = "../servers/certificates.rs"]
mod certificates;
#[path = "../http/server.rs"]
mod server;

use list::unless;

fn main() -> ExitCode {
    let all = trials![spoken:
        a_page_is_the_same_with_tls,
        versions_are_those_of_the_file,
        suites_are_those_of_the_file,
        curves_are_those_of_the_file,
        texts_may_stand_in_the_file,
        who_has_no_tls_is_told,
        responses_have_the_headers_of_the_file,
    ];
    let clients = trials![clients:
        each_type_lets_in_whom_go_does,
        names_are_allowed_by_kind,
        one_that_is_its_own_authority_is_let_in,
    ];
    let users = trials![users: users_are_let_in_with_their_passwords, a_flood_keeps_no_scraper_out];
    let changes = trials![changes:
        certificates_are_swapped,
        a_pair_that_does_not_fit_is_said_and_mended,
        who_cannot_be_served_is_told,
        users_and_rates_change,
        what_is_secret_is_not_shown,
        clients_who_came_to_need_certificates_go_on_needing_them,
    ];
    let bounds = trials![bounds:
        handshakes_that_say_nothing_make_room,
        a_handshake_that_takes_too_long_ends,
        who_has_not_asked_is_not_waited_for,
    ];
    let frames = trials![frames:
        requests_of_a_connection_are_answered_one_by_one,
        who_takes_nothing_is_cut_off,
        resets_leave_nothing_behind,
    ];
    let keys = trials![keys:
        those_that_can_be_used_are_used,
        others_are_named,
        what_is_wrong_with_a_file_is_said,
        authorities_that_nobody_can_look_at_are_refused,
        a_client_with_such_a_key_is_turned_away,
        clients_turn_away_from_one_that_has_expired,
    ];
    let exporter = trials![exporter:
        the_exporter_itself_serves_so,
        a_flood_of_resets_is_counted_and_says_nothing,
        faults_are_told_together,
        one_that_has_expired_is_served_unless_all_is_to_be_good,
        several_addresses_are_one_server,
        health_is_asked_wherever_it_listens,
    ];
    let scraped = trials![scraped: prometheus_logs_in, prometheus_shows_its_certificate];
    let all = all.into_iter().chain(clients).chain(users).chain(changes);
    let all = all.chain(bounds).chain(frames).chain(keys).chain(exporter);
    let scraped = scraped.map(|trial| unless(lacks("prometheus", "--version"), trial));
    let needed = |trial: Trial| {
        unless(certificates::lacks().into_iter().chain(lacks("curl", "--version")), trial)
    };
    let all = all.chain(scraped).map(needed).collect();
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

fn lacks(program: &str, version: &str) -> Option<String> {
    let mut command = Command::new(program);
    let status = command.arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = status.is_ok_and(|status| status.success());
    (!there).then(|| format!("no {program}; `make test` gets it"))
}
