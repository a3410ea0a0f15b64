//! Recordings that are part of the repository, replayed as anybody may: no kernel, no privilege. So are decoding,
//! merging, histograms, plugins and formats tested. `tests/recordings/README.md` says what was recorded.
//!
//! Some need plugins that `make plugins` has built, or judges of what is served: where those are missing they
//! are ignored, by name and with the reason; with `CI=true` in the environment none is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "../trials/list.rs"]
mod list;

mod bundles;
mod data;
mod exact;
mod formats;
mod hostile_files;
mod merged;
mod plugins;
mod printed;
mod pushed;
mod served;
mod tape;

#[allow(dead_code, reason = "that of trials of the kernel, which start it from configs")]
#[path = "../kernel/exporter.rs"]
mod exporter;
#[path = "../guests/compose.rs"]
mod guests;
#[path = "../recordings/hostile.rs"]
mod hostile;
#[path = "../judges/ask.rs"]
mod judges;
#[path = "../bundles/laid.rs"]
mod laid;
#[path = "../trials/lines.rs"]
mod lines;
#[path = "../servers/otelcol.rs"]
mod otelcol;

use list::unless;

fn main() -> ExitCode {
    // The longest first, so that none is left alone at the end.
    let all = collected().chain(judged()).chain(others()).collect();
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

/// What is pushed, as a collector has it.
fn collected() -> impl Iterator<Item = Trial> {
    let real = trials![pushed:
        a_collector_has_every_reading_over_http,
        a_collector_has_every_reading_over_grpc,
        a_collector_has_every_reading_as_json,
        a_collector_has_every_reading_over_tls,
        a_collector_sums_differences_up,
        a_collector_has_exponential_buckets_where_they_are_exact,
        a_collector_that_comes_late_has_all_that_was_counted,
    ];
    let prometheus = trials![pushed: prometheus_calls_all_as_when_it_scrapes];
    let prometheus = prometheus.map(|trial| unless(pushed::lacks_prometheus(), trial));
    let made = trials![pushed:
        whatever_a_collector_answers_nothing_is_lost_or_doubled,
        a_collector_that_never_answers_keeps_nobody_waiting,
        points_that_are_rejected_are_counted,
        to_the_console_they_are_lines_of_json,
        nobody_pushes_unless_asked_to,
    ];
    let real = real.map(|trial| unless(otelcol::lacks(), trial));
    real.into_iter().chain(prometheus).chain(made)
}

/// What is served, read by others.
fn judged() -> impl Iterator<Item = Trial> {
    let lacks = judges::lacks().map(str::to_owned);
    let named = trials![formats: dotted_names_in_every_format_and_escaping];
    let named = named.map(|trial| unless(judges::newest_lacks(), trial));
    let formats = trials![formats:
        any_bytes,
        hostile_bytes,
        names_that_meet_in_openmetrics,
    ];
    formats.into_iter().chain(named).map(move |trial| unless(lacks.clone(), trial))
}

fn others() -> impl Iterator<Item = Trial> {
    let plugins = trials![plugins:
        a_hostile_guest_costs_its_own_labels,
        those_that_never_return_share_the_time_of_one_scrape,
        keys_that_did_not_get_their_turn_come_first,
        a_good_guest_gives_what_a_native_decoder_gives,
        a_new_key_with_a_known_input_asks_nobody,
        answers_that_change_are_counted_and_hold,
        the_text_of_a_plugins_labels_is_bounded,
        a_transform_sees_label_sets_after_decoding,
        what_a_failing_label_becomes_is_the_configs_choice,
        a_faulty_plugin_is_exit_code_three,
    ];
    let languages = trials![plugins: guests_in_c_javascript_and_python_label_one_metric];
    let languages = languages.map(|trial| unless(plugins::lacks(), trial));
    let exact = trials![exact:
        no_labels_and_padding,
        cpus_as_a_label,
        bytes_decoded_more_than_once,
        a_bucket_that_reuses_bytes,
        exp2,
        exp2zero,
        linear,
        fixed,
        a_histogram_a_cpu,
    ];
    let merged = trials![merged:
        keys_that_become_equal_are_summed,
        two_configs_share_a_family,
        regexp_leaves_rows_out,
        errors_are_counted_and_become_what_on_error_says,
        keys_that_differ_only_in_what_is_no_text_are_summed,
        every_scrape_says_what_is_there_then,
    ];
    let printed = trials![printed:
        the_first_reading_and_the_last,
        no_series_falls_from_one_reading_to_the_next,
        another_config_takes_the_place_of_the_recorded_one,
        what_cannot_be_replayed_is_said,
    ];
    let hostile = trials![hostile_files:
        no_file_is_read_for_a_recorded_config,
        a_recording_brings_no_plugins,
        names_of_another_host_are_not_used,
        faults_of_recorded_configs_name_the_recording,
        a_replay_ends_although_no_map_feeds_a_metric,
        a_reading_that_is_not_there_is_told,
        a_plugin_that_takes_too_long_is_an_error,
        a_small_file_takes_no_memory,
    ];
    let printed = printed.into_iter().chain(hostile);
    let bundles = trials![bundles:
        a_bundle_proves_itself_anywhere,
        a_bit_that_was_turned_is_told_wherever_it_is,
        what_becomes_something_else_is_told,
        what_cannot_be_packed_is_said,
        files_of_the_host_are_none_of_a_bundle,
        bundles_and_other_configs_have_names_of_their_own,
        what_proves_nothing_is_told,
    ];
    let plugins = plugins.into_iter().chain(bundles);
    let data = trials![data:
        labels_follow_a_file_that_is_replaced,
        a_file_that_is_missing_is_told_of,
    ];
    languages.into_iter().chain(data).chain(plugins).chain(exact).chain(merged).chain(printed)
}
