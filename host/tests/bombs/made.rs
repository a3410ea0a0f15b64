//! The files: each behaves as a decoder, and has too much of one thing.

use std::fmt::Write as _;

use crate::guests;

/// A decoder of this text before its own module, and behind the instance of it.
fn decoder(before: &str, behind: &str) -> Vec<u8> {
    of_text(&guests::decoder("", before, behind))
}

/// A decoder whose module has these fields too.
fn with_fields(fields: &str) -> Vec<u8> {
    of_text(&guests::decoder(fields, "", ""))
}

fn of_text(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a component")
}

fn each(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{}", line(n));
        text
    })
}

/// An import whose type has twice as many functions with each level, and a name of so many bytes.
pub(crate) fn shared_types(levels: usize, name: usize) -> Vec<u8> {
    let mut text = "(type $t0 (instance (export \"f\" (func))))\n".to_owned();
    text += &each(levels, |n| {
        let (inner, outer) = (n, n + 1);
        let part = |name| format!("(export \"{name}\" (instance (type $t{inner})))");
        format!("(type $t{outer} (instance {} {}))", part("a"), part("b"))
    });
    let _ = writeln!(text, "(import \"{}\" (instance (type $t{levels})))", "a".repeat(name));
    decoder(&text, "")
}

/// Functions that are imported from one instance, with names of so many bytes.
pub(crate) fn named(start: &str, bytes: usize, count: usize) -> Vec<u8> {
    let functions = each(count, |n| format!("(export \"{start}{}{n}\" (func))", "b".repeat(bytes)));
    decoder(&format!("(import \"x\" (instance {functions}))"), "")
}

pub(crate) fn imports(count: usize) -> Vec<u8> {
    decoder(&each(count, |n| format!("(import \"f{n}\" (func))")), "")
}

/// One function, by many names.
pub(crate) fn component_exports(count: usize) -> Vec<u8> {
    let exports = each(count, |n| format!("(export \"e{n}\" (func $f))"));
    decoder(&format!("(import \"f\" (func $f)) {exports}"), "")
}

/// An instance in an instance in an instance, imported.
pub(crate) fn deep_instances(depth: usize) -> Vec<u8> {
    let mut text = "(type $t0 (instance (export \"f\" (func))))\n".to_owned();
    text += &each(depth, |n| {
        format!("(type $t{} (instance (export \"a\" (instance (type $t{n})))))", n + 1)
    });
    decoder(&format!("{text}(import \"x\" (instance (type $t{depth})))"), "")
}

/// Types of components that refer to each other, `depth` of them.
pub(crate) fn deep_types(depth: usize) -> Vec<u8> {
    let mut text = "(type $t0 (component (export \"f\" (func))))\n".to_owned();
    text += &each(depth, |n| {
        format!("(type $t{} (component (export \"a\" (component (type $t{n})))))", n + 1)
    });
    decoder(&format!("{text}(import \"x\" (component (type $t{depth})))"), "")
}

/// Types that stand within each other in the file: written by hand, as no text nests so deep.
pub(crate) fn nested_types(depth: usize) -> Vec<u8> {
    // An instance type with one declaration, a type.
    let mut body = vec![0x42, 0x00];
    for _ in 0..depth {
        body.splice(0..0, [0x42, 0x01, 0x01]);
    }
    body.insert(0, 0x01);
    section(7, &body)
}

pub(crate) fn deep_lists(depth: usize) -> Vec<u8> {
    let mut text = "(type $t0 (list u8))\n".to_owned();
    text += &each(depth, |n| format!("(type $t{} (list $t{n}))", n + 1));
    decoder(&format!("{text}(import \"x\" (func (param \"a\" $t{depth})))"), "")
}

/// Components within each other, `depth` of them, around nothing.
pub(crate) fn nested_components(depth: usize) -> Vec<u8> {
    const HEADER: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    // Built from within, each with its header before what it holds.
    let mut parts = Vec::new();
    let mut size = HEADER.len();
    for _ in 0..depth {
        let length = leb(size);
        size += HEADER.len() + 1 + length.len();
        parts.push(length);
    }
    let mut all = Vec::with_capacity(size);
    for length in parts.iter().rev() {
        all.extend(HEADER);
        all.push(4);
        all.extend(length);
    }
    all.extend(HEADER);
    append(&decoder("", ""), 4, &all)
}

pub(crate) fn aliases(count: usize) -> Vec<u8> {
    let mut text = "(import \"i\" (instance $i0 (export \"f\" (func))))\n".to_owned();
    text += &each(count, |n| format!("(instance $i{} (export \"f\" (instance $i{n})))", n + 1));
    decoder(&text, "")
}

/// A function with the same instruction many times.
pub(crate) fn repeated(instruction: &str, count: usize) -> Vec<u8> {
    let code = each(count, |_| instruction.to_owned());
    with_fields(&format!("(table $t 10 funcref) (func {code})"))
}

/// Many functions that each compute something.
pub(crate) fn functions(count: usize) -> Vec<u8> {
    let code = "(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 7)) (local.get 1)))";
    with_fields(&each(count, |_| {
        format!("(func (param i32 i32) (result i32) {} (local.get 0))", code.repeat(8))
    }))
}

pub(crate) fn branches(ways: usize) -> Vec<u8> {
    let ways = "0 ".repeat(ways);
    with_fields(&format!("(func (param i32) (block (br_table {ways} (local.get 0))))"))
}

pub(crate) fn locals(count: usize, functions: usize) -> Vec<u8> {
    let locals = "i64 ".repeat(count);
    with_fields(&each(functions, |_| format!("(func (local {locals}))")))
}

/// Segments of a table with so many elements each.
pub(crate) fn segments(count: usize, elements: usize) -> Vec<u8> {
    let functions = "$empty ".repeat(elements);
    let segment = format!("(elem (table $big) (i32.const 0) func {functions})");
    with_fields(&format!(
        "(table $big {elements} funcref) (func $empty) {}",
        each(count, |_| segment.clone())
    ))
}

pub(crate) fn data(count: usize) -> Vec<u8> {
    with_fields(&each(count, |_| "(data (i32.const 0) \"a\")".to_owned()))
}

pub(crate) fn custom(bytes: usize) -> Vec<u8> {
    let mut body = vec![1, b'x'];
    body.resize(bytes, 0);
    append(&decoder("", ""), 0, &body)
}

pub(crate) fn modules(count: usize) -> Vec<u8> {
    decoder(&each(count, |_| "(core module)".to_owned()), "")
}

/// Components that make two instances of the one within them.
pub(crate) fn doubled(levels: usize) -> Vec<u8> {
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=levels {
        let twice = format!("(instance (instantiate $c{}))", level - 1).repeat(2);
        text = format!("(component $c{level} {text} {twice})");
    }
    decoder(&text, &format!("(instance (instantiate $c{levels}))"))
}

pub(crate) fn instances(count: usize) -> Vec<u8> {
    let instances = each(count, |_| "(core instance (instantiate $empty))".to_owned());
    decoder("(core module $empty)", &instances)
}

pub(crate) fn exports(count: usize) -> Vec<u8> {
    with_fields(&format!("(func $f) {}", each(count, |n| format!("(export \"f{n}\" (func $f))"))))
}

/// Instances of a module with so many globals.
pub(crate) fn globals(count: usize, instances: usize) -> Vec<u8> {
    let module = "(global i32 (i32.const 0))".repeat(count);
    let instances = each(instances, |_| "(core instance (instantiate $many))".to_owned());
    decoder(&format!("(core module $many {module})"), &instances)
}

/// A component with one section.
fn section(id: u8, body: &[u8]) -> Vec<u8> {
    append(&decoder("", ""), id, body)
}

fn append(component: &[u8], id: u8, body: &[u8]) -> Vec<u8> {
    [component, &[id], &leb(body.len()), body].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}
