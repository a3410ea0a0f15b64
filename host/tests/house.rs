//! Which module uses which: no two use each other, by whatever way. So each can be read, and moved,
//! without those that use it.
//!
//! A module may use what is below it in its own folder, and the other way round: they are one thing.
//!
//! And no two rooms have types of one name for others, so that a name says which one is meant.
//!
//! And the exporter parses no component in its own process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

/// A module's path from the top of its crate: `config::check::label`.
type Name = Vec<String>;

/// The modules of a crate, each with its text, but for those that only test.
fn modules(dir: &Path, above: &[String], all: &mut BTreeMap<Name, syn::File>) {
    for entry in fs::read_dir(dir).expect("a folder of sources").flatten() {
        let path = entry.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut name = above.to_vec();
        match &*stem {
            "tests" | "testing" | "guests" | "main" => continue,
            "lib" => {}
            _ => name.push(stem),
        }
        if path.is_dir() {
            modules(&path, &name, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a text");
            all.insert(name, syn::parse_file(&text).expect("a file that compiles"));
        }
    }
}

/// The modules that one uses.
struct Uses<'a> {
    here: &'a [String],
    all: &'a BTreeMap<Name, syn::File>,
    found: BTreeSet<Name>,
}

impl Uses<'_> {
    /// Notes the module that a path leads to, or into.
    fn note(&mut self, path: &[String]) {
        let mut full = self.here.to_vec();
        for part in path {
            match &**part {
                "crate" => full.clear(),
                "self" => {}
                "super" => drop(full.pop()),
                _ => full.push(part.clone()),
            }
        }
        while !full.is_empty() && !self.all.contains_key(&full) {
            full.pop();
        }
        if !full.is_empty() && full != self.here {
            self.found.insert(full);
        }
    }

    fn tree(&mut self, tree: &UseTree, path: &mut Name) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.tree(&step.tree, path);
                path.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, path)),
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.note(path);
                path.pop();
            }
            UseTree::Rename(_) | UseTree::Glob(_) => self.note(path),
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Name = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.note(&parts);
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let tests = module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !tests {
            visit::visit_item_mod(self, module);
        }
    }
}

/// Which module uses which others, in the crate in this folder.
fn uses(folder: &str) -> BTreeMap<Name, BTreeSet<Name>> {
    let mut all = BTreeMap::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &[], &mut all);
    let of = |(here, file): (&Name, &syn::File)| {
        let mut uses = Uses { here, all: &all, found: BTreeSet::new() };
        uses.visit_file(file);
        (here.clone(), uses.found)
    };
    all.iter().map(of).collect()
}

/// A way from a module back to itself, if there is one.
fn circle(graph: &BTreeMap<Name, BTreeSet<Name>>) -> Option<String> {
    let mut without = graph.clone();
    // Who uses nobody that is left is in no circle.
    while let Some(end) = without
        .iter()
        .find(|(_, uses)| uses.iter().all(|other| !without.contains_key(other)))
        .map(|(name, _)| name.clone())
    {
        without.remove(&end);
    }
    let next = |name: &Name| without[name].iter().find(|other| without.contains_key(*other));
    let mut way = vec![without.keys().next()?];
    loop {
        let to = next(way[way.len() - 1])?;
        if let Some(from) = way.iter().position(|name| *name == to) {
            way.push(to);
            let names: Vec<_> = way[from..].iter().map(|name| name.join("::")).collect();
            return Some(names.join(" → "));
        }
        way.push(to);
    }
}

#[test]
fn no_room_uses_one_that_uses_it() {
    let mut rooms: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    for (name, uses) in uses("src").iter().filter(|(name, _)| !name.is_empty()) {
        let others = uses.iter().map(|other| other[..1].to_vec());
        rooms
            .entry(name[..1].to_vec())
            .or_default()
            .extend(others.filter(|room| *room != name[..1]));
    }
    assert!(rooms.len() > 20 && rooms[&vec!["scrape".to_owned()]].len() > 5, "{rooms:?}");
    assert_eq!(circle(&rooms), None);
}

#[test]
fn no_file_uses_one_that_uses_it() {
    for folder in ["src", "../decoders-wasm/relabel/src", "../decoders-wasm/sdk/src"] {
        let mut files = uses(folder);
        for (name, uses) in &mut files {
            uses.retain(|other| !other.starts_with(name) && !name.starts_with(other));
        }
        assert_eq!(circle(&files), None, "{folder}");
    }
}

#[test]
fn a_circle_is_found() {
    let name = |text: &str| vec![text.to_owned()];
    let uses = |others: &[&str]| others.iter().map(|other| name(other)).collect();
    let mut graph = BTreeMap::from([
        (name("a"), uses(&["b", "c"])),
        (name("b"), uses(&["c"])),
        (name("c"), uses(&[])),
    ]);
    assert_eq!(circle(&graph), None);
    graph.insert(name("c"), uses(&["b"]));
    assert_eq!(circle(&graph).as_deref(), Some("b → c → b"));
}

/// The names by which other rooms may know a type of this item: it is `pub` or `pub(crate)`. That it can be
/// reached, if it is `pub`, is what rustc's `unreachable_pub` holds.
fn for_others(item: &Item) -> Vec<String> {
    let (visibility, names) = match item {
        Item::Struct(item) => (&item.vis, vec![item.ident.to_string()]),
        Item::Enum(item) => (&item.vis, vec![item.ident.to_string()]),
        Item::Trait(item) => (&item.vis, vec![item.ident.to_string()]),
        Item::Type(item) => (&item.vis, vec![item.ident.to_string()]),
        Item::Union(item) => (&item.vis, vec![item.ident.to_string()]),
        Item::Use(item) => (&item.vis, renamed(&item.tree)),
        _ => return Vec::new(),
    };
    match visibility {
        Visibility::Public(_) => names,
        Visibility::Restricted(to) if to.path.is_ident("crate") => names,
        _ => Vec::new(),
    }
}

/// The names that a `use` gives with `as`.
fn renamed(tree: &UseTree) -> Vec<String> {
    match tree {
        UseTree::Path(step) => renamed(&step.tree),
        UseTree::Group(group) => group.items.iter().flat_map(renamed).collect(),
        UseTree::Rename(name) => vec![name.rename.to_string()],
        UseTree::Name(_) | UseTree::Glob(_) => Vec::new(),
    }
}

/// Each name of types that several rooms have for others, with the files.
fn namesakes(all: &BTreeMap<Name, syn::File>) -> Vec<String> {
    let mut places: BTreeMap<String, BTreeSet<&Name>> = BTreeMap::new();
    for (file, text) in all.iter().filter(|(file, _)| !file.is_empty()) {
        for name in text.items.iter().flat_map(for_others) {
            places.entry(name).or_default().insert(file);
        }
    }
    places.retain(|_, files| {
        files.iter().any(|file| files.first().is_some_and(|one| one[0] != file[0]))
    });
    let told = |(name, files): (&String, &BTreeSet<&Name>)| {
        let files: Vec<_> = files.iter().map(|file| format!("{}.rs", file.join("/"))).collect();
        format!("{name}: {}", files.join(", "))
    };
    places.iter().map(told).collect()
}

#[test]
fn no_two_rooms_have_types_of_one_name() {
    let mut all = BTreeMap::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut all);
    let types = all.values().flat_map(|file| file.items.iter().flat_map(for_others)).count();
    assert!(types > 200, "{types}");
    assert_eq!(namesakes(&all), Vec::<String>::new());
}

#[test]
fn types_of_one_name_are_found() {
    let file = |path: &str, text: &str| {
        let name = path.split('/').map(str::to_owned).collect();
        (name, syn::parse_file(text).unwrap())
    };
    let all = BTreeMap::from([
        file("a", "pub struct One; pub(crate) trait Two {} pub(super) enum Three {}"),
        file("a/b", "pub type One = u8; enum Four {}"),
        file("c", "pub use d::{Two, y, z::Y as Five};"),
        file("c/d", "pub enum Two {} pub struct Three; pub struct Four;"),
        file("e", "pub union Five { one: u8 }"),
    ]);
    assert_eq!(namesakes(&all), ["Five: c.rs, e.rs", "Two: a.rs, c/d.rs"]);
}

/// Whether a file does more with `inspect_here` than to make it, to give it on and to speak of it.
fn inspects_here(text: &str) -> bool {
    let allowed = Regex::new(r"//[^\n]*|pub fn inspect_here\b|pub use [^;]*;").expect("a pattern");
    text.contains("inspect_here as") || allowed.replace_all(text, "").contains("inspect_here")
}

/// All files of a folder and those below it.
fn texts(dir: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(dir).expect("a folder of sources").flatten();
    let of = |path: std::path::PathBuf| {
        if path.is_dir() {
            return texts(&path);
        }
        let text = fs::read_to_string(&path).expect("a text");
        vec![(path.display().to_string(), text)]
    };
    entries.flat_map(|entry| of(entry.path())).collect()
}

#[test]
fn components_are_parsed_in_the_child_alone() {
    let texts = texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(texts.iter().any(|(_, text)| text.contains("pub fn inspect_here(")));
    let found = texts.iter().filter(|(_, text)| inspects_here(text)).map(|(path, _)| path);
    assert_eq!(found.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn a_component_that_is_parsed_here_is_found() {
    for text in [
        "fn a() { inspect_here(b); }",
        "use super::inspect_here;",
        "pub use child::inspect_here as look;",
        "fn a() { vec![crate::plugin::inspect_here(b)] }",
    ] {
        assert!(inspects_here(text), "{text}");
    }
    assert!(!inspects_here(
        "pub use child::{a,\n inspect_here};\n// inspect_here\npub fn inspect_here() {}"
    ));
}
