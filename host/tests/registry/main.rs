//! Plugins in registries: in Debian's docker-registry, with and without TLS and credentials, and in registries
//! made here that mean harm. What people type is typed, and what they read is compared.
//!
//! Where docker-registry, openssl or oras are missing their trials are ignored, by name and with the reason;
//! with `CI=true` in the environment none is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "../trials/list.rs"]
mod list;

mod at_once;
mod bundles;
mod debian;
mod hostile;
mod kept;
mod let_in;
mod locked;
mod oras;
mod signed;
mod typed;

#[path = "../servers/certificates.rs"]
mod certificates;
#[path = "../guests/compose.rs"]
mod guests;
#[path = "../bundles/laid.rs"]
mod laid;
#[path = "../servers/made.rs"]
mod made;
#[path = "../servers/signer.rs"]
mod signer;
#[path = "../servers/tls.rs"]
mod tls;

use list::unless;

fn main() -> ExitCode {
    let all = real().chain(harmful()).collect();
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

/// Those that need Debian's registry, or certificates.
fn real() -> impl Iterator<Item = Trial> {
    let kept = trials![kept:
        a_component_goes_there_and_back,
        a_version_stays_what_it_is,
        tags_lead_to_the_newest_version,
        a_pull_uses_what_is_there,
        tls_needs_an_authority,
    ];
    let let_in = trials![let_in:
        passwords_are_those_of_docker,
        helpers_are_asked,
        tokens_are_fetched,
    ];
    let locked = trials![locked:
        what_configs_name_is_fetched_and_served,
        what_was_not_fetched_or_was_changed_is_not_served,
        what_was_swapped_is_not_served,
        what_cannot_be_fetched_keeps_nothing_else_away,
        what_fetches_have_left_is_removed,
        who_fetches_waits_for_who_does,
        that_nobody_is_asked_for_a_signature_is_said,
        what_is_newer_is_told,
        newer_ones_are_written_into_configs,
    ];
    let bundles = trials![bundles:
        a_bundle_goes_there_and_back,
        a_bundle_is_found_by_its_digest_without_a_registry,
        a_policy_is_for_bundles_too,
    ];
    let read = trials![oras: oras_reads_what_was_pushed, what_oras_pushes_is_read];
    let read = read
        .into_iter()
        .chain(trials![bundles: oras_reads_a_bundle, a_bundle_is_signed_in_its_registry, plugins_in_an_unsigned_bundle_are_held_against_the_policy]);
    let attached =
        trials![signed: what_is_signed_is_fetched_and_served, other_pushes_keep_no_signature_away];
    let read = read.chain(attached).map(|trial| unless(signer::lacks(), trial));
    let safe = trials![hostile: what_began_with_tls_goes_on_with_it, a_certificate_of_its_own_is_trusted_if_it_is_the_one_in_the_file];
    let beside = trials![signed: a_file_has_its_signature_beside_it, lists_of_registries_are_used, lists_of_signatures];
    let packed = trials![bundles: a_file_is_packed_with_the_signature_beside_it];
    let all = kept
        .into_iter()
        .chain(let_in)
        .chain(locked)
        .chain(bundles)
        .chain(read)
        .chain(safe)
        .chain(beside)
        .chain(packed);
    let lacks = || debian::lacks().into_iter().chain(certificates::lacks());
    all.map(move |trial| unless(lacks(), trial))
}

/// Those that need nothing.
fn harmful() -> impl Iterator<Item = Trial> {
    let all = trials![hostile:
        manifests,
        components,
        answers,
        tags,
        tokens,
        uploads,
        what_lets_in_goes_to_nobody_else,
        what_is_no_plugin_is_not_kept,
        a_pull_goes_on_where_it_stopped,
    ];
    let bundles = trials![bundles: what_a_registry_gives_otherwise_is_refused, a_bundle_goes_on_where_it_stopped];
    let at_once = trials![at_once: four_are_fetched_at_once_and_told_in_their_order, one_component_of_two_plugins_is_pulled_once];
    all.into_iter().chain(bundles).chain(at_once)
}
