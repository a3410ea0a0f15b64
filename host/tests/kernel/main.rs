//! Tests against the running kernel: real objects loaded, real hooks pulled, exact counts.
//!
//! They need BTF and the capabilities to load programs. Where those are missing the tests are
//! ignored, by name and with the reason; with `CI=true` in the environment none is.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test has no outside, and may panic")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod attach;
mod check;
mod configs;
mod exact;
mod load;
mod merged;
mod object;
mod open;
mod plan;
mod read;
mod workload;

/// The trials of the functions of a module, named as the functions are.
macro_rules! trials {
    ($module:ident: $($test:ident),+ $(,)?) => {
        [$(Trial::test(concat!(stringify!($module), "::", stringify!($test)), || {
            $module::$test();
            Ok(())
        })),+]
    };
}

fn main() -> ExitCode {
    let missing = missing();
    if let Some(missing) = missing {
        eprintln!("kernel tests are ignored: {missing}");
    }
    // These take no privilege, so they always run.
    let anywhere = trials![check:
        layouts_of_every_type_of_map,
        the_workload_fits_its_config,
        the_examples_fit_their_configs,
        misfits,
        sections_that_nothing_attaches,
        kaddrs_that_are_not_there,
    ]
    .into_iter()
    .chain(trials![open:
        needs_no_capability,
        a_missing_file,
        a_file_that_is_no_object,
        embedded_bytes,
        names_that_are_no_text,
    ]);
    let kernel = trials![load:
        without_capabilities,
        a_field_that_no_kernel_has,
        a_program_that_the_verifier_refuses,
        a_file_of_types_that_is_none,
        fentry_of_a_function_that_no_kernel_has,
        fentry_works_or_says_why_not,
        constants_reach_the_program,
    ]
    .into_iter()
    .chain(trials![attach:
        counts_in_every_type_of_map,
        counts_on_the_cpu_that_counted,
        odd_bytes_in_keys_stay_as_they_are,
        every_kind_of_hook,
        what_does_not_attach_costs_only_itself,
        a_kprobe_works_or_says_why_not,
        dropping_detaches,
        programs_are_described,
        costs_are_measured,
    ])
    .chain(trials![read:
        ways_agree_on_hashes,
        ways_agree_on_lru_hashes,
        ways_agree_on_arrays,
        a_mappable_array_is_read_by_mmap,
        a_harvest_of_a_still_map_is_exact,
        what_cannot_be_harvested_says_so,
        no_stable_row_is_lost_or_doubled_under_churn,
    ])
    .chain(trials![exact:
        every_type_of_map,
        no_labels_and_padding,
        cpus_as_a_label,
        exp2,
        exp2zero,
        linear,
        fixed,
        a_histogram_a_cpu,
    ])
    .chain(trials![merged:
        keys_that_become_equal_are_summed,
        two_configs_share_a_family,
        regexp_leaves_rows_out,
        errors_are_counted_and_become_what_on_error_says,
        keys_that_differ_only_in_what_is_no_text_are_summed,
    ])
    .map(|trial| trial.with_ignored_flag(missing.is_some()));

    libtest_mimic::run(&Arguments::from_args(), anywhere.chain(kernel).collect()).exit_code()
}

/// Why the kernel tests cannot run here; nothing if they have to.
fn missing() -> Option<&'static str> {
    use caps::{CapSet::Effective, Capability, has_cap};

    if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
        return None;
    }
    let has = |capability| has_cap(None, Effective, capability).unwrap_or(false);
    let may_load = has(Capability::CAP_BPF) && has(Capability::CAP_PERFMON);
    if !may_load && !has(Capability::CAP_SYS_ADMIN) {
        return Some("loading programs takes root, or CAP_BPF and CAP_PERFMON");
    }
    let types = std::path::Path::new("/sys/kernel/btf/vmlinux");
    (!types.exists()).then_some("this kernel has no BTF")
}
