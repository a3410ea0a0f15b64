//! What can be typed, and what a person reads.

use clap::{CommandFactory, Parser};

use super::*;
use crate::source::Way;

fn parse(arguments: &[&str]) -> Result<Flags, String> {
    let all = std::iter::once(&"ebpf_wasm_exporter").chain(arguments);
    Flags::try_parse_from(all).map_err(|error| error.to_string())
}

#[test]
fn is_sound() {
    Flags::command().debug_assert();
}

#[test]
fn help_fits_a_page() {
    let help = Flags::command().term_width(100).render_help().to_string();
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    insta::assert_snapshot!(help);
}

#[test]
fn version_has_the_layout_of_prometheus() {
    let text = Flags::command().render_version();
    let (first, rest) = text.split_once('\n').unwrap();
    let start = format!("ebpf_wasm_exporter, version {} (branch: ", version::VERSION);
    assert!(first.starts_with(&start) && first.ends_with(')'), "{first}");
    assert!(first.contains(&format!("revision: {}", version::REVISION)), "{first}");
    let keys: Vec<_> = rest.lines().map(|line| line.split_once(':').unwrap().0).collect();
    assert_eq!(keys, ["  build date", "  rust version", "  platform"]);
}

#[test]
fn defaults_are_those_of_the_peer() {
    let flags = parse(&[]).unwrap();
    assert_eq!(flags.config_dir, None);
    assert_eq!(flags.config_names, Vec::<String>::new());
    assert!(!flags.config_check && !flags.config_strict);
    assert!(!flags.debug && !flags.log_no_timestamps && !flags.web_enable_openmetrics);
    assert_eq!(flags.web_listen_address, [":9435"]);
    assert_eq!(flags.web_telemetry_path, "/metrics");
    assert_eq!(flags.web_max_unsent, "64MiB");
    assert_eq!(flags.capabilities_keep, "all");
    assert_eq!(flags.btf_path, None);
}

#[test]
fn values_follow_an_equals_sign_or_a_space() {
    let joined = parse(&[
        "--config.dir=/etc/x",
        "--config.names=a,b",
        "--config.names=c",
        "--config.check",
        "--config.strict",
        "--config.skip-cache-size=10",
        "--web.listen-address=127.0.0.1:1",
        "--web.telemetry-path=/m",
        "--web.enable-openmetrics",
        "--capabilities.keep=none",
        "--btf.path=/b",
        "--debug",
        "--log.no-timestamps",
    ]);
    let split = parse(&[
        "--config.dir",
        "/etc/x",
        "--config.names",
        "a",
        "--config.names",
        "b,c",
        "--config.check",
        "--config.strict",
        "--config.skip-cache-size",
        "10",
        "--web.listen-address",
        "127.0.0.1:1",
        "--web.telemetry-path",
        "/m",
        "--web.enable-openmetrics",
        "--capabilities.keep",
        "none",
        "--btf.path",
        "/b",
        "--debug",
        "--log.no-timestamps",
    ]);
    let flags = joined.unwrap();
    assert_eq!(flags.config_names, ["a", "b", "c"]);
    assert_eq!(flags.config_skip_cache_size, 10);
    assert!(flags.config_check && flags.config_strict && flags.debug && flags.log_no_timestamps);
    assert!(flags.web_enable_openmetrics);
    assert_eq!(flags, split.unwrap());
}

#[test]
fn of_a_switch_and_its_negation_the_last_counts() {
    let names = [
        "debug",
        "config.check",
        "config.strict",
        "log.no-timestamps",
        "web.enable-openmetrics",
        "web.enable-maps",
    ];
    for name in names {
        let (yes, no) = (format!("--{name}"), format!("--no-{name}"));
        let set = |arguments: &[&str]| {
            let flags = parse(arguments).unwrap();
            match name {
                "debug" => flags.debug,
                "config.check" => flags.config_check,
                "config.strict" => flags.config_strict,
                "web.enable-openmetrics" => flags.web_enable_openmetrics,
                "web.enable-maps" => flags.web_enable_maps,
                _ => flags.log_no_timestamps,
            }
        };
        assert!(set(&[&yes]), "{name}");
        assert!(!set(&[&no]), "{name}");
        assert!(!set(&[&yes, &no]), "{name}");
        assert!(set(&[&no, &yes]), "{name}");
        assert_eq!(parse(&[&no]).unwrap().refuses_maps(), name == "web.enable-maps");
        assert!(!parse(&[&no, &yes]).unwrap().refuses_maps(), "{name}");
    }
}

#[test]
fn says_what_is_wrong() {
    insta::assert_snapshot!(parse(&["--config.name=a"]).unwrap_err(), @"
    error: unexpected argument '--config.name' found

      tip: a similar argument exists: '--config.names'

    Usage: ebpf_wasm_exporter --config.names <NAMES>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(parse(&["--config.skip-cache-size=many"]).unwrap_err(), @"
    error: invalid value 'many' for '--config.skip-cache-size <N>': invalid digit found in string

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(parse(&["--config.file=/etc/exporter/config.yaml"]).unwrap_err(), @"
    error: invalid value '/etc/exporter/config.yaml' for '--config.file [<FILE>]': it is a flag of ebpf_exporter 1.x, whose one file held the programs too; 2.x and this exporter take --config.dir=/etc/exporter --config.names=config for config.yaml with `metrics:` and a compiled config.bpf.o

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(parse(&["--config.file", "x.yaml", "--debug"]).unwrap_err(), @"
    error: invalid value 'x.yaml' for '--config.file [<FILE>]': it is a flag of ebpf_exporter 1.x, whose one file held the programs too; 2.x and this exporter take --config.dir=. --config.names=x for x.yaml with `metrics:` and a compiled x.bpf.o

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(parse(&["--config.file"]).unwrap_err(), @"
    error: invalid value '' for '--config.file [<FILE>]': it is a flag of ebpf_exporter 1.x, whose one file held the programs too; 2.x and this exporter take --config.dir=DIR --config.names=NAME for NAME.yaml with `metrics:` and a compiled NAME.bpf.o

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(parse(&["timers"]).unwrap_err(), @"
    error: unrecognized subcommand 'timers'

    Usage: ebpf_wasm_exporter [OPTIONS]
           ebpf_wasm_exporter <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn exit_codes_are_in_order() {
    assert!(Exit::ALL.iter().enumerate().all(|(at, exit)| *exit as usize == at));
}

/// What `--help` behind these words says.
fn help(words: &[&str]) -> String {
    let mut command = Flags::command().term_width(100);
    command.build();
    let command = words.iter().fold(&mut command, |command, word| {
        command.find_subcommand_mut(word).unwrap_or_else(|| panic!("no {word}"))
    });
    let help = command.render_long_help().to_string();
    help.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn subcommands_explain_themselves() {
    insta::assert_snapshot!(help(&["config"]), @"
    Say what a config may hold

    Usage: ebpf_wasm_exporter config <COMMAND>

    Commands:
      schema  Print the JSON Schema of a config's YAML, for editors that complete and check it

    Options:
      -h, --help
              Print help
    ");
    insta::assert_snapshot!(help(&["config", "schema"]), @"
    Print the JSON Schema of a config's YAML, for editors that complete and check it

    Editors with a language server for YAML read it where a config names its file in the first line:

    # yaml-language-server: $schema=config.schema.json

    Usage: ebpf_wasm_exporter config schema

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["docs"]), @"
    Print what the program knows of itself: a man page, completions for a shell, tables

    A package has them made when it is built:

    ebpf_wasm_exporter docs man > ebpf_wasm_exporter.1

    ebpf_wasm_exporter docs completions bash > ebpf_wasm_exporter

    Usage: ebpf_wasm_exporter docs <COMMAND>

    Commands:
      man          Print the man page, as roff
      completions  Print a script that completes commands, flags and values
      reference    Print a table, as Markdown

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help(&["docs", "man"]), @"
    Print the man page, as roff

    Usage: ebpf_wasm_exporter docs man [COMMAND]...

    Arguments:
      [COMMAND]...
              A subcommand, such as `plugin run`, to have its page

    Options:
      -h, --help
              Print help
    ");
    insta::assert_snapshot!(help(&["docs", "completions"]), @"
    Print a script that completes commands, flags and values

    Usage: ebpf_wasm_exporter docs completions <SHELL>

    Arguments:
      <SHELL>
              Whose script

              [possible values: bash, zsh, fish]

    Options:
      -h, --help
              Print help
    ");
    insta::assert_snapshot!(help(&["docs", "reference"]), @"
    Print a table, as Markdown

    Usage: ebpf_wasm_exporter docs reference <NAME>

    Arguments:
      <NAME>
              Which one

              Possible values:
              - flags:       The flags, by what they are about
              - decoders:    The built-in decoders
              - exit-codes:  The exit codes
              - metrics:     The metrics about the exporter itself
              - config:      The keys of a config
              - policy:      The keys of a policy of signatures
              - web:         The keys of a web config
              - environment: The variables of the environment

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn maps_are_read_by_one_of_these_words() {
    let reading = |way: &str| {
        let flags = Flags::try_parse_from(["ebpf_wasm_exporter", "--maps.read", way]);
        flags.map(|flags| flags.maps_read)
    };
    for (word, expected) in [
        ("auto", Reading::Auto),
        ("copy", Reading::Pinned(Way::Copy)),
        ("harvest", Reading::Pinned(Way::Harvest)),
        ("batch", Reading::Pinned(Way::Batch)),
        ("keys", Reading::Pinned(Way::Keys)),
    ] {
        assert_eq!(reading(word).unwrap(), expected);
    }
    insta::assert_snapshot!(reading("Bach").unwrap_err().to_string().trim_end(), @"
    error: invalid value 'Bach' for '--maps.read <WAY>'
      [possible values: auto, copy, harvest, batch, keys]

      tip: a similar value exists: 'batch'

    For more information, try '--help'.
    ");
}
