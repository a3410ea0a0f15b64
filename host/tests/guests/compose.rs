//! Guests for tests, made of text: most of them behave badly.
//!
//! A file of this folder is the core module of one, without what all have in common.

#![allow(dead_code, reason = "not every test needs all of it")]

macro_rules! text {
    ($name:literal) => {
        include_str!($name)
    };
}

/// The modules of decoders.
const DECODERS: [(&str, &str); 20] = [
    ("busy", text!("busy.wat")),
    ("chatter", text!("chatter.wat")),
    ("data", text!("data.wat")),
    ("echo", text!("echo.wat")),
    ("few", text!("few.wat")),
    ("fickle", text!("fickle.wat")),
    ("flood", text!("flood.wat")),
    ("grow", text!("grow.wat")),
    ("import", text!("import.wat")),
    ("loop", text!("loop.wat")),
    ("many", text!("many.wat")),
    ("panic", text!("panic.wat")),
    ("picky", text!("picky.wat")),
    ("mute", text!("mute.wat")),
    ("refuse", text!("refuse.wat")),
    ("stack", text!("stack.wat")),
    ("start", text!("start.wat")),
    ("wild", text!("wild.wat")),
    ("wordy", text!("wordy.wat")),
    ("late", text!("late.wat")),
];

/// The modules of transforms.
const TRANSFORMS: [(&str, &str); 3] =
    [("cut", text!("cut.wat")), ("names", text!("names.wat")), ("pass", text!("pass.wat"))];

const RANDOM: &str = r#"(import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (core func $get (canon lower (func $random "get-random-u64")))"#;

const LOG: &str = r#"(import "ebpf-exporter:plugin/log@0.1.0" (instance $log
    (type $level (enum "error" "warn" "info" "debug"))
    (export "level" (type $named (eq $level)))
    (export "log" (func (param "level" $named) (param "message" string)))))
  (core module $shared (memory (export "memory") 2))
  (core instance $shared (instantiate $shared))
  (core func $write (canon lower (func $log "log") (memory (core memory $shared "memory"))))"#;

const DATA: &str = r#"(import "ebpf-exporter:plugin/data@0.1.0" (instance $data
    (type $content' (record (field "version" u64) (field "bytes" (list u8))))
    (export "content" (type $content (eq $content')))
    (type $reading' (variant (case "unnamed") (case "unread") (case "unchanged") (case "changed" $content)))
    (export "reading" (type $reading (eq $reading')))
    (export "read" (func (param "name" string) (param "known" (option u64)) (result $reading)))))
  (core module $shared ;; MEMORY
  )
  (core instance $shared (instantiate $shared))
  (core func $read (canon lower (func $data "read")
    (memory (core memory $shared "memory")) (realloc (core func $shared "realloc"))))"#;

/// The component of the guest `name`.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let text = match name {
        "core" => "(module)".to_owned(),
        "foreign" => text!("foreign.wat").to_owned(),
        "older-decoder" => older(text!("0.0.1/decoder.wat")),
        "older-transform" => older(text!("0.0.1/transform.wat")),
        "newer" => component_text("echo").replace("@0.1.0", "@0.2.0"),
        name => component_text(name),
    };
    wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A whole component of 0.0.1, with the memory that all guests have.
fn older(component: &str) -> String {
    let memory = text!("memory.wat").replace("(memory (export \"memory\") 2)", "");
    component.replace(";; MEMORY", &memory)
}

/// The text of a guest that behaves, with more `fields` in its module, and text `before` its module
/// and `behind` its instance.
pub(crate) fn decoder(fields: &str, before: &str, behind: &str) -> String {
    let (memory, configure, echo) =
        (text!("memory.wat"), text!("configure.wat"), text!("echo.wat"));
    let module = format!("(core module $guest\n{memory}\n{configure}\n{echo}\n{fields})");
    let instance = "(core instance $core (instantiate $guest (;WITH;)))";
    text!("decoder.wat")
        .replace(";; IMPORTS", before)
        .replace(";; MODULE", &module)
        .replace(instance, &format!("{instance}\n{behind}"))
}

/// A component with a custom section behind all that it has, whatever is in it.
pub(crate) fn with_section(mut component: Vec<u8>, name: &str, content: &[u8]) -> Vec<u8> {
    let length = |mut rest: usize| {
        let mut bytes = Vec::new();
        while rest >= 0x80 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    };
    let section = [&*length(name.len()), name.as_bytes(), content].concat();
    component.push(0);
    component.extend(length(section.len()));
    component.extend(section);
    component
}

/// The settings of [`described`].
pub(crate) const SCHEMA: &str = r#"{
    "properties": {
        "prefixes": {"type": "object", "additionalProperties": {"type": "string"}},
        "order": {"enum": ["network", "host"]},
        "default": {"type": "string"}
    },
    "required": ["prefixes"],
    "additionalProperties": false
}"#;

/// A component that says what it is, and that it takes these settings.
pub(crate) fn described(name: &str) -> Vec<u8> {
    let says = [
        ("version", "1.2.0"),
        ("description", "Says what it\u{1b}[31m is\nand more"),
        ("licenses", "MIT OR Apache-2.0"),
        ("homepage", "https://example.org/"),
        ("ebpf-exporter:settings", SCHEMA),
    ];
    let add =
        |component, (name, text): (&str, &str)| with_section(component, name, text.as_bytes());
    let component = says.into_iter().fold(component(name), add);
    // The name is one of a section's many.
    with_section(component, "component-name", b"\0\x05\x04zone")
}

fn component_text(name: &str) -> String {
    let find = |all: &[(&str, &'static str)]| {
        all.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    };
    let (frame, module) = match find(&DECODERS) {
        Some(module) => (text!("decoder.wat"), module),
        None => (text!("transform.wat"), find(&TRANSFORMS).expect("a guest of this name")),
    };
    let is_decoder = find(&DECODERS).is_some();
    let configure =
        if is_decoder && !module.contains("\"configure\"") { text!("configure.wat") } else { "" };
    let memory = text!("memory.wat");
    // What a module has that others are to use.
    let shared = memory
        .replace("(func $alloc", "(func $alloc (export \"alloc\")")
        .replace("(func $reset", "(func $reset (export \"reset\")")
        .replace("(func $pair", "(func $pair (export \"pair\")");
    let data = DATA.replace(";; MEMORY", &shared);
    let (imports, with, import, memory) = match name {
        "import" => (
            RANDOM,
            r#"(with "host" (instance (export "random" (func $get))))"#,
            r#"(import "host" "random" (func $random (result i64)))"#,
            memory.to_owned(),
        ),
        // Its memory has to be there before what it imports is, so another module has it.
        "chatter" => (
            LOG,
            r#"(with "host" (instance
                (export "log" (func $write)) (export "memory" (memory $shared "memory"))))"#,
            r#"(import "host" "log" (func $log (param i32 i32 i32)))
               (import "host" "memory" (memory 2)) (export "memory" (memory 0))"#,
            memory.replace("(memory (export \"memory\") 2)", ""),
        ),
        // Likewise, with what gives memory out.
        "data" => (
            &*data,
            r#"(with "host" (instance
                (export "read" (func $read)) (export "memory" (memory $shared "memory"))
                (export "alloc" (func $shared "alloc")) (export "realloc" (func $shared "realloc"))
                (export "reset" (func $shared "reset")) (export "pair" (func $shared "pair"))))"#,
            r#"(import "host" "read" (func $read (param i32 i32 i32 i64 i32)))
               (import "host" "alloc" (func $alloc (param i32) (result i32)))
               (import "host" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
               (import "host" "reset" (func $reset))
               (import "host" "pair" (func $pair (param i32 i32) (result i32)))
               (import "host" "memory" (memory 2)) (export "memory" (memory 0))
               (export "realloc" (func $realloc))"#,
            String::new(),
        ),
        _ => ("", "", "", memory.to_owned()),
    };
    let module = format!("(core module $guest {import}\n{memory}\n{configure}\n{module})");
    frame.replace(";; IMPORTS", imports).replace(";; MODULE", &module).replace("(;WITH;)", with)
}
