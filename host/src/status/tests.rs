//! What is told of an exporter that has something of everything, as JSON and as a page.

use super::*;

/// 2026-01-02T03:04:05.678Z and so many seconds before.
fn before(seconds: u64) -> Moment {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
    Moment(now - Duration::from_secs(seconds))
}

fn program(name: &str, section: &str) -> ProgramState {
    ProgramState {
        name: name.to_owned(),
        section: section.to_owned(),
        id: Some(41),
        attached: true,
        reason: None,
        remedy: None,
        runs: Some(1_234_567),
        run_seconds: Some(0.54321),
        missed: Some(0),
    }
}

fn unattached() -> ProgramState {
    ProgramState {
        attached: false,
        id: None,
        reason: Some("this kernel has no function `tcp_v4_<b>`".to_owned()),
        remedy: Some("see whether it was inlined".to_owned()),
        runs: None,
        run_seconds: None,
        missed: None,
        ..program("enter", "kprobe/tcp_v4_<b>")
    }
}

fn map(name: &str, (entries, max_entries): (u64, u64)) -> MapState {
    MapState {
        name: name.to_owned(),
        metric: format!("ebpf_exporter_{name}"),
        r#type: "hash".to_owned(),
        entries,
        max_entries,
        when_full: "refuses",
        way: "copy",
        why: "dense",
        rows: entries,
        waiting: 0,
        series: 400,
        evicted: None,
        seconds: 0.000_123,
        last_success: Some(before(4)),
        error: None,
        events: None,
    }
}

fn plugin() -> PluginState {
    PluginState {
        name: "domain".to_owned(),
        world: "transform",
        digest: "0123456789abcdef".repeat(4),
        says: "ebpf-exporter-domain".to_owned(),
        version: "0.1.0".to_owned(),
        breaker: "open",
        calls: 1000,
        call_seconds: 0.25,
        inputs: 1_024_000,
        failures: [("deadline", 2), ("trap", 3)].into(),
        remembered: 812,
        deferred: 12,
        memory_peak_bytes: 1_153_434,
        limits: PluginLimits {
            memory_bytes: 16 << 20,
            deadline_seconds: 0.1,
            output_bytes: 1 << 20,
            answers_bytes: 4 << 20,
            text_bytes: 32 << 20,
        },
    }
}

fn config(name: &str) -> ConfigState {
    ConfigState {
        name: name.to_owned(),
        raw_name: name.to_owned(),
        file: format!("/etc/ebpf/{name}.yaml"),
        bundle: None,
        success: true,
        last_success: Some(before(4)),
        seconds: 0.0015,
        entries: 812,
        series: 400,
        decoder_errors: 0,
        insert_failures: None,
        lost_events: None,
        programs: vec![program("count", "tp_btf/timer_start")],
        maps: vec![map("timer_starts_total", (812, 1024))],
        plugins: Vec::new(),
    }
}

/// One in which all that can be wrong is.
fn ill() -> ConfigState {
    let bundle = BundleState { digest: "sha256:00ff".to_owned(), version: "1.2.3".to_owned() };
    let events = EventState { received: 9000, lost: Some(7), short: 0, beyond: 2 };
    let failed = MapState {
        error: Some("operation not permitted".to_owned()),
        last_success: Some(before(3700)),
        ..map("broken", (0, 64))
    };
    let evicts = MapState { when_full: "evicts", evicted: Some(31), ..map("recent", (64, 64)) };
    ConfigState {
        bundle: Some(bundle),
        success: false,
        last_success: None,
        decoder_errors: 5,
        insert_failures: Some(1),
        lost_events: Some(3),
        programs: vec![program("leave", "tp_btf/sys_exit"), unattached()],
        maps: vec![
            failed,
            map("full", (1000, 1024)),
            evicts,
            MapState { when_full: "none_come", ..map("slots", (8, 8)) },
            MapState {
                events: Some(events),
                way: "events",
                why: "streamed",
                ..map("records", (0, 0))
            },
        ],
        plugins: vec![plugin()],
        ..config("dns \"<script>alert(1)</script>")
    }
}

fn findings(configs: Vec<ConfigState>) -> Findings {
    let phases = ["read", "match", "decode", "render", "compress"];
    Findings {
        last: LastReading {
            at: before(4),
            seconds: 0.001_234,
            entries: 1624,
            series: 800,
            measured: true,
            phases: phases.map(|phase| (phase, 0.25)).into(),
        },
        cgroups: Some(CgroupCount { living: 120, dead: 3, watched: true, overflows: 0 }),
        spans: Some(SpanCount { read: 100, sent: 90, dropped: 8, waiting: 2 }),
        configs,
    }
}

fn known() -> Live<'static> {
    Live {
        now: before(0),
        exporter: Build {
            version: "0.1.0",
            branch: "main",
            revision: "0123abc",
            system: "Linux 6.12.9 (x86_64)".to_owned(),
            started: Some(before(93_784)),
        },
        health: Health { healthy: true, ready: true, reason: None },
        readings: (6252, 0),
        busy: None,
        reloads: None,
        http: Connections {
            open: 2,
            accepted: 60,
            closed: [("client", 50), ("idle", 4), ("response_timeout", 4)].into(),
            refused: 0,
            unsent_bytes: 0,
        },
        workers: vec![
            WorkerState { name: "log", up: true },
            WorkerState { name: "scrape", up: true },
        ],
        log: LogTail { lost_lines: 0, warnings: Vec::new() },
    }
}

/// That of an exporter with something of everything.
fn with_all<T>(show: impl FnOnce(&Status<'_>) -> T) -> T {
    let warning = |seconds, level, text: &str| LoggedWarning {
        at: before(seconds),
        level,
        text: text.to_owned(),
    };
    let text = "failed to reload, the old configs go on: 1 fault in the configs; <b>".to_owned();
    let remedy = Some("mend <b>".to_owned());
    let failed = LastReload { at: before(60), success: false, text, remedy };
    let known = Live {
        readings: (6252, 1),
        busy: Some(Duration::from_millis(2500)),
        reloads: Some(ReloadState { successes: 3, failures: 1, last: Some(failed) }),
        http: Connections { refused: 1, ..known().http },
        workers: vec![
            WorkerState { name: "log", up: true },
            WorkerState { name: "otlp", up: false },
        ],
        log: LogTail {
            lost_lines: 2,
            warnings: vec![
                warning(3, "error", "failed to scrape: <i>; this is a bug"),
                warning(93_000, "warning", "runs as root"),
            ],
        },
        ..known()
    };
    show(&Status::new(known, Some(&findings(vec![config("timers"), ill()]))))
}

fn links() -> Links {
    Links { metrics: "/a'&b".to_owned(), maps: true }
}

#[test]
fn as_json_all_is_there() {
    insta::assert_snapshot!("all_json", with_all(|status| status.json()));
}

#[test]
fn as_a_page_all_is_there() {
    let page = with_all(|status| page(status, &links()));
    let body = page.split_once("</style>").unwrap().1.replace("><", ">\n<");
    insta::assert_snapshot!("all_page", body);
}

#[test]
fn no_text_becomes_a_part_of_the_page() {
    let page = with_all(|status| page(status, &links()));
    assert!(!page.contains("<script") && !page.contains("<i>") && !page.contains("tcp_v4_<b>"));
    assert!(page.contains("href=\"./a'&amp;b\""));
}

#[test]
fn before_the_first_reading_it_says_so() {
    let reason = Some("the maps were not read yet".to_owned());
    let health = Health { healthy: true, ready: false, reason };
    let status = Status::new(Live { health, readings: (0, 0), ..known() }, None);
    let told: Vec<_> = status.problems.iter().map(|problem| &*problem.problem).collect();
    assert_eq!(told, ["not ready: the maps were not read yet"]);
    let page = page(&status, &Links { metrics: "/metrics".to_owned(), maps: false });
    assert!(page.contains("None was read yet.") && !page.contains("./maps"));
}

#[test]
fn who_is_well_has_nothing_to_look_at() {
    let findings = findings(vec![config("timers")]);
    let findings = Findings { spans: None, cgroups: None, ..findings };
    let status = Status::new(known(), Some(&findings));
    assert_eq!((&*status.problems, status.more_problems), (&[][..], 0));
    let page = page(&status, &links());
    assert!(
        page.contains("<title>ebpf_wasm_exporter</title>")
            && page.contains("Nothing: all programs")
    );
    assert!(page.contains("812 / 1,024, 79 %"));
}

/// A link asks for a config by its name, and not by what is shown of it.
#[test]
fn a_name_that_is_not_shown_as_it_is_can_be_asked_for() {
    let raw = format!("a\n&{}", "b".repeat(200));
    let config = ConfigState { name: named(&raw), raw_name: raw, ..config("a") };
    let status = findings(vec![config]);
    let status = Status::new(known(), Some(&status));
    let link = format!("?collect[]=a%0A%26{}\"", "b".repeat(200));
    let page = page(&status, &links());
    assert!(page.contains(&link) && page.contains("a\\n&amp;b"), "{page}");
    assert!(!status.json().contains("raw_name"));
}

/// However many there are, the page is bounded, folded but for what wants a look, and quickly made.
#[test]
fn a_thousand_configs_are_folded() {
    let findings =
        findings((0..1000).map(|n| config(&format!("config_{n}"))).chain([ill()]).collect());
    let status = Status::new(known(), Some(&findings));
    let page = page(&status, &links());
    assert_eq!((page.matches("<details").count(), page.matches(" open>").count()), (1001, 1));
    assert!(page.len() < 3 << 20, "{}", page.len());
    let ill = self::findings((0..100).map(|_| ill()).collect());
    let status = Status::new(known(), Some(&ill));
    assert_eq!((status.problems.len(), status.more_problems > 500), (50, true));
}

#[test]
fn a_moment_is_a_text_of_its_standard() {
    assert_eq!(before(0).to_string(), "2026-01-02T03:04:05.678Z");
    assert_eq!(
        Moment::of_seconds(1_767_323_045.5).unwrap().to_string(),
        "2026-01-02T03:04:05.500Z"
    );
    assert_eq!([f64::NAN, -1.0, f64::INFINITY].map(Moment::of_seconds), [None; 3]);
    assert_eq!(before(0).age(before(5)), Duration::ZERO);
    assert_eq!(named("a\u{202e}\n\"").as_str(), "a\\u{202e}\\n\"");
}

#[test]
fn the_policy_lets_in_the_style_of_the_page_alone() {
    let policy = content_security_policy();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = with_all(|status| page(status, &links()));
    assert_eq!((page.matches("<style>").count(), page.matches("style=").count()), (1, 0));
}
