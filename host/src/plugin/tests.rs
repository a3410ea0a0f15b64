//! Loading: files, pins, worlds, starts.

use std::fs;

use super::instance::Failure;
use super::*;

struct Files(tempfile::TempDir);

impl Files {
    fn of(guests: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in guests {
            let file = dir.path().join(format!("{name}.wasm"));
            fs::write(file, guests::component(name)).unwrap();
        }
        Self(dir)
    }

    fn load(&self, file: &str, pin: Option<Digest>) -> Result<Plugin, PluginError> {
        Loader::default().load(&Request {
            config: "config",
            name: "zone",
            file: Path::new(file),
            places: &[Path::new("/nowhere"), self.0.path()],
            held: None,
            pin,
            settings: "{}",
            data: &[],
            limits: Limits::default(),
        })
    }

    fn refusal(&self, file: &str) -> String {
        self.say(&self.load(file, None).err().expect("it is refused"))
    }

    fn say(&self, error: &PluginError) -> String {
        let text = error.advice().to_string();
        text.replace(&self.0.path().display().to_string(), "DIR")
    }
}

#[test]
fn files_are_found_where_the_config_is_or_where_plugins_are() {
    let files = Files::of(&["echo"]);
    assert_eq!(files.load("echo.wasm", None).unwrap().world(), World::Decoder);
    insta::assert_snapshot!(files.refusal("zone.wasm"), @"there is no /nowhere/zone.wasm and no DIR/zone.wasm; put the file there, or into the directory of --plugins.dir");
}

#[test]
fn what_is_no_file_of_this_size_is_refused() {
    let files = Files::of(&[]);
    fs::create_dir(files.0.path().join("folder")).unwrap();
    insta::assert_snapshot!(files.refusal("folder"), @"DIR/folder is no regular file; name a file that holds a component");
    let large = fs::File::create(files.0.path().join("large")).unwrap();
    large.set_len(limits::LARGEST_FILE + 1).unwrap();
    insta::assert_snapshot!(files.refusal("large"), @"the file has 67108865 bytes, more than 67108864; strip it, or build it smaller");
}

#[test]
fn a_pin_is_checked_before_anything_is_compiled() {
    let files = Files::of(&["echo"]);
    fs::write(files.0.path().join("junk"), "junk").unwrap();
    let echo = Digest::of(&guests::component("echo"));
    assert!(files.load("echo.wasm", Some(echo)).is_ok());
    let error = files.load("junk", Some(echo)).err().unwrap();
    insta::assert_snapshot!(files.say(&error), @"the file's SHA-256 is ef875a1705a5fdac206be996f4dc1f726ea6b68861eb741c37def7277f179e37, not the one that is pinned; find out where the file comes from, and if it is right write `sha256: ef875a1705a5fdac206be996f4dc1f726ea6b68861eb741c37def7277f179e37`");
}

#[test]
fn what_is_no_plugin_is_refused() {
    let files = Files::of(&["core"]);
    insta::assert_snapshot!(files.refusal("core.wasm"), @"found a core module, expected a component; make a component of it: `ebpf_wasm_exporter plugin componentize`");
}

#[test]
fn what_only_looks_like_a_component_does_not_compile() {
    let files = Files::of(&[]);
    // The name is there, and nothing stands behind it.
    let text = r#"(component (instance $none)
        (export "ebpf-exporter:plugin/decoding@0.1.0" (instance $none)))"#;
    fs::write(files.0.path().join("hollow"), wat::parse_str(text).unwrap()).unwrap();
    let error = files.load("hollow", None).unwrap().decoder().err().unwrap();
    insta::assert_snapshot!(files.say(&error), @"the component does not fit the contract: instance export `ebpf-exporter:plugin/decoding@0.1.0` does not have export `configure`; build it again against wit/0.1.0 of this exporter");
    let mut echo = guests::component("echo");
    let at = echo.windows(5).position(|bytes| bytes == b"\x20\x00\x41\x07\x6a").unwrap_or(200);
    echo[at] = 0xff;
    fs::write(files.0.path().join("forged"), echo).unwrap();
    let error = files.load("forged", None).err().unwrap();
    assert!(files.say(&error).starts_with("f"), "{error}");
}

#[test]
fn a_world_is_not_the_other() {
    let files = Files::of(&["echo", "pass"]);
    let error = files.load("pass.wasm", None).unwrap().decoder().err().unwrap();
    insta::assert_snapshot!(files.say(&error), @"the plugin is a transform, not a decoder; name a plugin that is a decoder");
    let shape = MetricShape { name: "m".to_owned(), histogram: false, labels: vec![] };
    let error = files.load("echo.wasm", None).unwrap().transform(shape).err().unwrap();
    insta::assert_snapshot!(files.say(&error), @"the plugin is a decoder, not a transform; name a plugin that is a transform");
}

#[test]
fn a_start_that_fails_is_told() {
    let files = Files::of(&["start", "refuse", "mute"]);
    let start = |file: &str| {
        let error = files.load(file, None).unwrap().decoder().err().unwrap();
        files.say(&error)
    };
    insta::assert_snapshot!(start("start.wasm"), @"the plugin failed at its start: it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system; try it with `ebpf_wasm_exporter plugin check`, and tell its author");
    insta::assert_snapshot!(start("refuse.wasm"), @r"the plugin refuses its configuration: `zones` is missing\n\u{1b}[31m; write one; correct its `settings`");
    insta::assert_snapshot!(start("mute.wasm"), @"the plugin refuses its configuration: it does not say why; correct its `settings`");
}

#[test]
fn memory_that_is_there_at_the_start_counts() {
    let files = Files::of(&["echo"]);
    let mut loader = Loader::default();
    let limits = Limits { memory: 65536, ..Limits::default() };
    let request = Request {
        config: "config",
        name: "zone",
        file: Path::new("echo.wasm"),
        places: &[files.0.path()],
        held: None,
        pin: None,
        settings: "{}",
        data: &[],
        limits,
    };
    let error = loader.load(&request).unwrap().decoder().err().unwrap();
    insta::assert_snapshot!(files.say(&error), @"the plugin failed at its start: it wanted more memory than `limits.memory` allows; raise that limit, or use a plugin that wants less");
    let few = Limits { instances: 0, ..Limits::default() };
    let error = loader.load(&Request { limits: few, ..request.clone() }).unwrap().decoder().err();
    insta::assert_snapshot!(files.say(&error.unwrap()), @"the plugin failed at its start: it wanted more than `limits.instances` allows: instance count too high at 1; raise that limit, or use a plugin that wants less");
    // The same bytes again, with another limit.
    let request = Request { limits: Limits::default(), ..request };
    assert!(loader.load(&request).unwrap().decoder().is_ok());
    assert_eq!(loader.linked.len(), 1);
}

#[test]
fn a_system_that_forbids_compiled_code_is_told_of() {
    let error = PluginError::Load("unable to make memory executable: EACCES".to_owned());
    insta::assert_snapshot!(error.remedy().unwrap(), @"allow this process memory that is writable, then executable (systemd: MemoryDenyWriteExecute=no)");
}

#[test]
fn a_system_without_room_is_told_of() {
    let error = wasmtime::Error::from(rustix::io::Errno::NOMEM).context("failed to set it aside");
    let error = PluginError::from(Failure::from(error));
    insta::assert_snapshot!(error.advice(), @"the plugin failed at its start: the system gave it no memory: cannot allocate memory; lift the limit on the process's addresses (`ulimit -v`, systemd: LimitAS), of which each memory of an instance has 4 GiB set aside and uses little");
}
