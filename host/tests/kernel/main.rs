//! Tests against the running kernel, and of the built binary from end to end: real objects loaded, real hooks
//! pulled, exact counts, real readers of what is served. What becomes of counts, whatever kernel they are from,
//! is replayed: `tests/replay`.
//!
//! They need BTF and the capabilities to load programs; some need Prometheus and the parser of Python's
//! client. Where those are missing the tests are ignored, by name and with the reason; with `CI=true` in the
//! environment none is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test talks to who runs it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[macro_use]
#[path = "../trials/list.rs"]
mod list;

mod attach;
mod bpffs;
mod bundles;
mod cases;
mod cgroups;
mod check;
mod configs;
mod descriptors;
mod events;
mod exact;
mod examples;
mod exits;
mod exporter;
mod fired;
mod format;
mod handover;
mod hooks;
mod load;
mod machine;
mod merged;
mod names;
mod native;
mod object;
mod open;
#[path = "../servers/otelcol.rs"]
mod otelcol;
mod own_cgroup;
mod pins;
mod plain;
mod plan;
mod plugins;
mod process;
mod prometheus;
mod read;
mod recording;
mod records;
mod refused;
mod reload;
mod remade;
mod sandbox;
mod schema;
mod shipped;
mod spans;
mod status;
mod steady;
mod surveyor;
mod switch;
mod symbols;
mod uncounted;
mod untyped;
mod which;
mod workload;

#[path = "../guests/compose.rs"]
mod guests;
#[path = "../recordings/hostile.rs"]
mod hostile;
#[path = "../judges/ask.rs"]
mod judges;
#[path = "../trials/lines.rs"]
mod lines;
#[path = "../trials/loads.rs"]
mod loads;

use list::{ci, unless};

#[global_allocator]
static COUNTING: steady::Counting = steady::Counting;

fn main() -> ExitCode {
    if let Some(code) = sandbox::child() {
        return code;
    }
    let arguments = Arguments::from_args();
    if machine::found().is_some() {
        return libtest_mimic::run(&arguments, in_machine(&arguments)).exit_code();
    }
    let (kernel, judges) = if ci() { (None, None) } else { (loads::lacks(), judges::lacks()) };
    for reason in kernel.iter().chain(&judges) {
        eprintln!("some tests are ignored: {reason}");
    }
    let ignored_if = |lacks: bool| {
        move |trial: Trial| {
            let ignored = lacks || trial.has_ignored_flag();
            trial.with_ignored_flag(ignored)
        }
    };
    let of_kernel = in_kernel().map(ignored_if(kernel.is_some()));
    let judged = judged().map(ignored_if(kernel.is_some() || judges.is_some()));
    // The longest first, so that none is left alone at the end.
    let all = judged.chain(of_kernel).chain(anywhere()).collect();
    libtest_mimic::run(&arguments, all).exit_code()
}

/// These take no privilege.
fn anywhere() -> impl Iterator<Item = Trial> {
    let check = trials![check:
        layouts_of_every_type_of_map,
        the_workload_fits_its_config,
        the_examples_fit_their_configs,
        misfits,
        misfits_that_are_faulty_in_themselves,
        sections_that_nothing_attaches,
        kaddrs_that_are_not_there,
    ];
    let kept = trials![cgroups: a_map_that_cannot_hold_cgroups_is_a_fault];
    let open = trials![open:
        needs_no_capability,
        maps_have_the_names_of_their_types,
        a_missing_file,
        a_file_that_is_no_object,
        a_file_that_was_cut_short,
        embedded_bytes,
        names_that_are_no_text,
    ];
    let exits = trials![exits:
        two_for_the_command_line,
        three_for_faults_of_all_configs_at_once,
        three_for_symbols_of_faulty_files_too,
    ];
    let plugins = trials![plugins:
        a_guest_that_cannot_start_is_told_before_anything_is_loaded,
        plugins_may_have_a_directory_of_their_own,
    ];
    check.into_iter().chain(kept).chain(open).chain(exits).chain(plugins)
}

/// These load programs.
fn in_kernel() -> impl Iterator<Item = Trial> {
    let read = trials![read:
        ways_agree_on_hashes,
        ways_agree_on_lru_hashes,
        ways_agree_on_arrays,
        a_mappable_array_is_read_by_mmap,
        no_stable_row_is_lost_or_doubled_under_churn,
        a_harvest_of_a_still_map_is_exact,
        what_cannot_be_copied_is_harvested,
        what_cannot_be_read_quickly_says_so,
        a_type_that_is_not_known_is_read_by_batch,
    ];
    let elsewhere = "maps are copied on x86_64".to_owned();
    let lacks = (!cfg!(target_arch = "x86_64")).then_some(elsewhere);
    let copied = trials![read:
        a_copy_of_a_still_map_is_exact,
        a_map_with_few_entries_is_not_copied,
        a_map_that_has_filled_since_is_copied_at_once,
        a_per_cpu_map_with_few_entries_is_not_copied,
        maps_of_both_kinds_are_copied_side_by_side,
    ];
    let copied = copied.map(|trial| unless(lacks.clone(), trial));
    let load = trials![load:
        the_kernels_types_once,
        without_capabilities,
        a_field_that_no_kernel_has,
        a_program_that_the_verifier_refuses,
        a_helper_that_takes_the_gpl,
        a_file_of_types_that_is_none,
        the_line_of_the_source_that_the_verifier_refuses,
        fentry_works_or_says_why_not,
        constants_reach_the_program,
    ];
    let attach = trials![attach:
        counts_in_every_type_of_map,
        counts_on_the_cpu_that_counted,
        odd_bytes_in_keys_stay_as_they_are,
        every_kind_of_hook,
        perf_events_run_on_every_cpu,
        packets_of_an_interface,
        what_does_not_attach_costs_only_itself,
        what_names_no_hook_costs_only_itself,
        a_kprobe_works_or_says_why_not,
        dropping_detaches,
        programs_are_described,
        costs_are_measured,
    ];
    let handover = trials![handover:
        counts_go_on_in_maps_that_are_handed_over,
        maps_of_another_shape_begin_anew,
        programs_take_the_place_of_others,
        the_kernel_puts_one_in_the_place_of_another_where_it_can,
        what_does_not_attach_leaves_all_as_it_was,
        what_is_new_may_fail,
        what_has_come_can_be_taken_back,
        a_program_may_go_to_another_hook,
        a_program_stays_at_a_file_that_has_gone,
    ];
    let events = trials![events:
        all_are_in_the_next_scrape,
        what_is_lost_is_counted,
        records_shorter_than_the_labels_are_counted_as_such,
        keys_that_nothing_comes_of_are_forgotten,
        a_ring_buffer_goes_round,
        what_a_ring_buffer_has_lost_its_program_says,
        a_ring_buffer_without_a_reader_wakes_nobody,
    ];
    let uncounted = trials![uncounted:
        a_full_map_is_told_of,
        evicted_rows_are_estimated,
        misses_of_programs_are_told,
    ];
    let symbols = trials![symbols:
        the_list_says_where_a_function_is,
        the_kernel_names_what_it_lists,
        addresses_of_nothing_are_not_known,
        without_capabilities_none_can_be_asked,
        no_list_is_read_for_decoders,
    ];
    let surveyor = trials![surveyor:
        programs_and_maps_of_the_whole_host_are_told,
        without_it_the_rest_is_told,
        the_switch_is_put_back_however_the_exporter_ends,
        top_shows_what_runs,
    ];
    let read = read.into_iter().chain(copied).chain(symbols).chain(surveyor);
    let attach = attach.into_iter().chain(handover);
    read.chain(load).chain(attach).chain(events).chain(uncounted).chain(pipeline()).chain(binary())
}

/// For a machine that was started to try a kernel: what kernels differ in, or those trials that are asked for.
fn in_machine(arguments: &Arguments) -> Vec<Trial> {
    if arguments.filter.is_some() {
        return machine::trials().chain(in_kernel()).chain(machine::last()).collect();
    }
    let attach = trials![attach: what_names_no_hook_costs_only_itself, dropping_detaches];
    let fired = if machine::fires() { fired() } else { Vec::new() };
    let all = machine::trials().chain(attach).chain(untyped()).chain(fired);
    all.chain(machine::last()).collect()
}

/// From the kernel's maps to the exposition, in this process.
fn pipeline() -> impl Iterator<Item = Trial> {
    let exact = trials![exact: every_type_of_map, a_number_without_labels_may_be_set_lower];
    let native = trials![native:
        each_nanosecond_is_in_its_bucket,
        the_example_has_the_bounds_of_its_schema,
    ];
    let merged = trials![merged: a_churning_map_is_exact_in_every_scrape];
    let plugins = trials![plugins: their_threads_have_no_capabilities];
    let steady = trials![steady:
        a_warm_scrape_allocates_nothing_for_a_row,
        shortcuts_give_what_the_plain_path_gives,
        entries_that_stay_are_right_while_others_write,
    ];
    let recording = trials![recording:
        a_replay_gives_the_bytes_that_were_served,
        those_of_the_repository_are_what_this_kernel_counts,
    ];
    exact.into_iter().chain(native).chain(merged).chain(plugins).chain(steady).chain(recording)
}

/// Spans that come to a collector.
fn traced() -> impl Iterator<Item = Trial> {
    let traced = trials![spans:
        a_collector_that_is_away_costs_spans_and_no_records,
        headers_are_sent_and_what_is_rejected_is_counted,
        to_the_console_they_are_lines_of_json,
        nobody_makes_spans_that_go_nowhere,
        a_span_asks_again_for_a_plugin_that_got_no_turn,
    ];
    let collected = trials![spans:
        a_collector_has_every_span_over_http,
        a_collector_has_every_span_as_json,
        a_collector_has_every_span_over_grpc,
        a_collector_has_every_span_over_tls,
        a_collector_has_every_span_over_grpc_and_tls,
    ];
    let collected = collected.map(|trial| unless(otelcol::lacks(), trial));
    traced.into_iter().chain(collected)
}

/// The built binary as a process.
fn binary() -> impl Iterator<Item = Trial> {
    let process = trials![process:
        sigterm_drains_and_leaves_nothing,
        calls_a_mark_once_all_is_attached,
        without_capabilities_it_still_reads,
        debug_shows_raw_entries,
        a_large_map_is_shown_whole,
        several_names_of_one_directory,
        a_socket_from_systemd,
    ];
    let exits = trials![exits:
        zero_when_checked,
        one_when_something_is_unexpected,
        three_for_a_warning_only_when_strict,
        four_when_an_object_does_not_load,
        four_for_all_objects_that_do_not_load,
        five_when_a_program_does_not_attach_and_that_matters,
        a_section_that_names_nothing_costs_its_program,
        a_map_that_cannot_be_pinned_says_why,
        six_when_the_address_is_taken,
        checked_without_privileges,
        four_when_nothing_of_the_default_set_loads,
    ];
    let recorded = trials![recording:
        a_recording_shows_texts_unless_told_not_to,
        a_recording_may_be_interrupted,
    ];
    let recorded = recorded.into_iter().chain(trials![bundles: its_programs_count]);
    let examples = trials![examples:
        the_default_set_counts_programs_and_system_calls,
        kfree_skb_counts_dropped_packets,
        biolatency_names_the_disk,
        usdt_counts_imports_of_python,
        xdp_counts_packets_that_come_in,
    ];
    let held = trials![sandbox:
        refuses_what_serving_does_not_need,
        a_thread_from_before_is_filtered_too,
        the_exporter_serves_in_it,
        a_user_has_the_capabilities_that_are_named,
        each_wall_can_be_left_out,
    ];
    let reloaded = trials![reload:
        what_is_the_same_goes_on,
        a_metric_that_has_not_changed_keeps_what_its_map_has_forgotten,
        metrics_come_and_go,
        after_a_fault_the_old_goes_on,
        another_object_counts_on,
        no_count_is_lost_in_two_hundred_reloads,
        another_plugin_is_asked,
        who_has_no_capabilities_reloads_what_takes_none,
        who_may_open_no_events_is_told_so,
        a_plugin_is_asked_anew_for_a_map_that_began_anew,
        configs_of_one_family_change_together,
        by_a_signal_and_only_if_it_may,
    ];
    let refused = trials![refused:
        a_hook_that_is_mistyped_changes_nothing,
        what_is_certain_to_fail_misses_nothing,
        a_program_that_is_new_may_fail_and_is_named,
        totals_that_begin_anew_are_told_or_a_fault,
        records_that_are_counted_anew_are_told_or_a_fault,
        of_several_configs_all_change_or_none,
    ];
    let linked = trials![refused: a_directory_that_is_a_link_to_another_one_is_said];
    let linked = linked.map(|trial| unless(sandbox::lacks(), trial));
    let refused = refused.into_iter().chain(linked);
    let remade = trials![remade:
        each_record_is_one_span_whatever_spans_are_made_of_it,
        another_ring_buffer_is_read_after_the_old_one,
        what_stands_in_a_ring_buffer_becomes_spans_as_before,
        configs_with_spans_come_and_go,
        spans_ask_another_plugin,
        the_first_spans_take_a_restart_unless_they_go_nowhere,
        a_ring_buffer_is_not_counted_after_spans,
        a_ring_buffer_that_no_spans_are_made_of_is_counted,
        a_ring_buffer_is_not_counted_while_spans_are_made_of_what_stands_in_it,
        records_are_counted_by_other_labels,
    ];
    let which = trials![which:
        a_scrape_may_be_of_some_configs,
        series_beyond_a_bound_are_one,
        labels_may_be_left_out,
    ];
    let process = process.into_iter().chain(reloaded).chain(refused).chain(remade).chain(which);
    let surveyor = trials![surveyor: it_has_one_right_and_ends_with_the_exporter];
    let held = held.into_iter().chain(surveyor);
    let process = process.chain(held.map(|trial| unless(sandbox::lacks(), trial)));
    let [ready, told, shown] = trials![status:
        it_is_ready_once_it_has_read_its_maps,
        all_that_runs_is_told,
        a_browser_shows_it_on_a_phone_and_in_the_dark,
    ];
    let status = [ready, told, unless(status::lacks(), shown)];
    let without = trials![shipped: the_default_set_leaves_out_a_config_whose_plugin_is_no_use];
    let named = trials![names: may_be_those_of_maps];
    let examples =
        examples.into_iter().chain(named).chain(rstat()).chain(cgroup_id_maps()).chain(fired());
    let examples = examples.chain(records()).chain(traced());
    let pins = trials![pins:
        counts_go_on_while_no_exporter_runs,
        a_changed_object_goes_on_with_what_it_can,
        a_strict_start_that_is_refused_changes_nothing,
        of_several_configs_all_change_or_none,
        what_a_reload_makes_is_what_goes_on,
        a_reload_that_is_refused_leaves_nothing_pinned,
        a_config_that_goes_in_a_reload_takes_its_pins_along,
        a_program_at_a_file_stays_there_and_goes_with_it,
        what_cannot_stay_is_said,
        what_is_unpinned_counts_no_more,
        what_is_not_its_own_is_left_alone,
        a_directory_that_cannot_be_had_is_said,
        a_check_pins_nothing,
    ];
    let descriptors = trials![descriptors:
        at_most_two_a_map,
        as_many_as_the_hard_limit_allows,
        running_out_says_what_to_raise,
        what_is_its_own_has_its_name,
    ];
    let watched = trials![cgroups:
        one_that_lived_for_a_moment_has_its_name,
        without_fanotify_those_that_live_have_names,
        a_burst_leads_to_a_walk,
        a_hash_of_ids_is_kept_in_step,
        storage_of_cgroups_is_kept_in_step,
        a_hash_of_ids_is_kept_in_step_by_walks,
        storage_of_cgroups_is_kept_in_step_by_walks,
        a_reload_that_is_refused_fills_no_map,
        a_map_is_kept_while_it_is_recorded,
        a_full_map_is_said_once,
    ];
    let watched = watched.map(|trial| unless(cgroups::unwatched(), trial));
    let process = process.chain(pins).chain(descriptors).chain(watched);
    process
        .chain(status)
        .chain(exits)
        .chain(recorded)
        .chain(examples)
        .chain(untyped())
        .chain(without)
        .chain(with_shipped_plugins())
}

/// Tracepoints at the lock came with Linux 6.10.
fn rstat() -> impl Iterator<Item = Trial> {
    let has = hooks::tracepoint("cgroup_rstat_locked");
    let all = trials![examples: cgroup_rstat_flushing_counts_locks];
    let lacks = shipped::no_cgroups();
    all.into_iter().filter(move |_| has).map(move |trial| unless(lacks.clone(), trial))
}

/// Each cgroup has a place for programs since Linux 6.2.
fn cgroup_id_maps() -> Vec<Trial> {
    let lacks = shipped::no_cgroups();
    let [hash, storage] = trials![examples:
        cgroup_id_map_tells_cgroups_apart,
        cgroup_id_map_cgrp_storage_tells_cgroups_apart,
    ];
    let mut all = vec![unless(lacks.clone(), hash)];
    if hooks::symbol("bpf_cgrp_storage_get") {
        all.push(unless(lacks, storage));
    }
    all
}

/// Of a kernel without types.
fn untyped() -> impl Iterator<Item = Trial> {
    let untyped = trials![untyped:
        what_takes_no_types_is_served,
        what_takes_types_says_where_they_are_missing,
    ];
    untyped.into_iter()
}

/// Those of functions that are probed are no part of this where none can be: `make test-kernels` has kernels that can.
fn fired() -> Vec<Trial> {
    if !hooks::kprobes() {
        return Vec::new();
    }
    let mut all = Vec::from(trials![fired:
        accept_latency,
        bpf_jit,
        cachestat,
        ext4dist,
        icmp_ip,
        inet_frags,
        kstack,
        pci,
        tcp_retransmit,
        tcp_syn_backlog,
        tcp_syn_backlog_exp2zero,
        tcp_window_clamps,
        unix_accept_latency,
        unix_socket_backlog,
    ]);
    let [xfs, cpu, memory, oom] = trials![fired: xfsdist, cfs_throttling, shrinklat, oomkill];
    all.push(unless(fired::no_disk("xfs"), xfs));
    all.push(unless(fired::no_controller("cpu"), cpu));
    all.push(unless(fired::no_controller("memory"), memory));
    all.push(unless(fired::no_controller("memory"), oom));
    if hooks::tracepoint("cgroup_rstat_locked") {
        all.extend(trials![fired: cgroup_rstat_flushing]);
    }
    all
}

/// What examples with spans write; not all of them take probes of functions.
fn records() -> Vec<Trial> {
    let mut all = Vec::from(trials![records: bio_trace, exec_trace, sched_trace, sock_trace]);
    if hooks::kprobes() {
        let [throttled] = trials![records: cfs_throttling_trace];
        all.push(unless(fired::no_controller("cpu"), throttled));
    }
    all
}

/// The built binary with plugins that `make plugins` has built.
fn with_shipped_plugins() -> impl Iterator<Item = Trial> {
    use shipped::{lacks, no_cgroups, no_ipv6};

    let trial = |(lacks, [trial]): (Vec<Option<String>>, [Trial; 1])| {
        unless(lacks.into_iter().flatten(), trial)
    };
    let (cidr, domain) = (lacks("tcp-connections"), lacks("dns-queries"));
    let all = [
        (vec![cidr.clone()], trials![shipped: cidr_names_zones_of_tcp_connections]),
        (vec![cidr.clone(), no_ipv6()], trials![shipped: cidr_names_zones_of_ipv6]),
        (vec![cidr.clone()], trials![shipped: the_file_beside_a_config_decides_its_label]),
        (vec![cidr], trials![shipped: the_default_set_takes_in_a_config_whose_plugin_is_there]),
        (vec![domain.clone()], trials![shipped: domain_sums_dns_queries]),
        (vec![domain, no_ipv6()], trials![shipped: domain_sums_dns_queries_over_ipv6]),
        (
            vec![lacks("runqlat-pods"), no_cgroups()],
            trials![shipped: cgroup_pod_names_pods_and_containers],
        ),
        (vec![lacks("exec-paths")], trials![shipped: redact_hashes_users_and_paths]),
        (vec![lacks("syscall-errors")], trials![shipped: relabel_makes_services_of_threads]),
    ];
    all.into_iter().map(trial)
}

/// What the built binary serves, read by others.
fn judged() -> impl Iterator<Item = Trial> {
    let examples = format::examples().into_iter().map(|name| {
        let lacks = shipped::lacks(&name);
        let trial = Trial::test(format!("format::example_{name}"), move || {
            format::example(&name);
            Ok(())
        });
        unless(lacks, trial)
    });
    let prometheus = trials![prometheus:
        answers_what_was_counted,
        answers_the_same_in_openmetrics,
        answers_the_same_in_protobuf,
        sees_names_as_they_are_documented,
        takes_hostile_labels,
    ];
    let native = trials![native:
        a_server_has_every_bucket_and_finds_quantiles,
        a_server_has_as_much_of_openmetrics_2,
        a_server_makes_native_ones_of_classic_ones,
        a_server_knows_when_a_counter_began,
    ];
    let native = native.map(|trial| unless(native::lacks(), trial));
    let format = trials![format:
        the_default_set,
        the_default_set_in_openmetrics,
    ];
    prometheus.into_iter().chain(native).chain(format).chain(examples)
}
