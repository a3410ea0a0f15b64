//! Names of pods: a kubelet that is made here is asked over TLS with a token, as `pods` does, and what it answers
//! becomes labels.
//!
//! Where openssl or the built plugin is missing the trials that need it are ignored, by name and with the
//! reason; with `CI=true` in the environment none is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "../trials/list.rs"]
mod list;

mod kept;
mod kubelet;
mod named;
mod refused;
mod typed;

#[path = "../servers/certificates.rs"]
mod certificates;
#[path = "../servers/made.rs"]
mod made;
#[path = "../servers/tls.rs"]
mod tls;

use list::unless;

fn main() -> ExitCode {
    let all = safe().chain(plain()).collect();
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

/// Those that need certificates.
fn safe() -> impl Iterator<Item = Trial> {
    let kept = trials![kept:
        a_list_is_kept_once,
        tokens_are_read_anew,
        certificates_may_say_who_asks,
    ];
    let refused = trials![refused: certificates, whom_a_kubelet_does_not_let_in];
    let named = trials![named: series_come_and_go_with_their_pods];
    let named = named.map(|trial| unless(named::lacks(), trial));
    let all = kept.into_iter().chain(refused).chain(named);
    all.map(|trial| unless(certificates::lacks(), trial))
}

/// Those that need nothing.
fn plain() -> impl Iterator<Item = Trial> {
    let kept = trials![kept:
        a_list_is_printed,
        only_a_file_is_replaced,
        what_there_is_stays_until_there_is_better,
        a_list_is_emptied_when_it_was_said_three_times,
    ];
    let refused = trials![refused: answers, what_has_no_end];
    kept.into_iter().chain(refused)
}
