//! A YAML file as a tree of texts: every scalar as it was written, every entry with its line.
//!
//! `serde_yaml` resolves scalars by YAML 1.2 and forgets how they were written. Config files rely
//! on the looser 1.1 and on `static_map: {010: a, 0x1F: on}` keeping its texts. So a file is read
//! twice: once to see the shape of its tree, and once along that shape, asking for a text at
//! every scalar. What such a text means (a number, a yes) is decided where it is wanted, with
//! [`super::scalar`]. Lines come for free: a text that is borrowed from the file says where in
//! the file it stands.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// How much a file may come to when its aliases are written out: bytes of text, and
/// [`NODE_COST`] for each node. What people write by hand is far below, and a few lines of
/// aliases to aliases are stopped before they fill the memory.
const BUDGET: usize = 32 << 20;
const NODE_COST: usize = 64;

/// A place in the tree.
#[derive(Debug)]
pub(crate) struct Node<'t> {
    /// The line it is on, from 1: of its key if it has one.
    pub(crate) line: usize,
    pub(crate) value: Value<'t>,
}

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum Value<'t> {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, as it was written but for quotes and escapes.
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    /// Keys are unique and merges (`<<`) done.
    Map(Vec<(Cow<'t, str>, Node<'t>)>),
}

/// A file's first document.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    pub(crate) root: Node<'t>,
    /// Whether others follow it.
    pub(crate) more: bool,
}

/// Reads the first document of `text`.
///
/// # Errors
///
/// When it is no YAML, or is nested or expands beyond any sense.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, serde_yaml::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let budget = Budget(Cell::new(BUDGET));
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Ok(Document { root: Node { line: 1, value: Value::Null }, more: false });
    };
    let shape = ShapeSeed(&budget).deserialize(first)?;
    let more = documents.next().is_some();

    let budget = Budget(Cell::new(BUDGET));
    let reading = Reading { text, lines: Lines::of(text), budget };
    let seed = NodeSeed { shape, line: 1, keyed: false, reading: &reading };
    let root = match serde_yaml::Deserializer::from_str(text).next() {
        Some(again) => seed.deserialize(again)?,
        None => Node { line: 1, value: Value::Null },
    };
    Ok(Document { root, more })
}

impl<'t> Node<'t> {
    /// The entry of a mapping; none if this is no mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'t>> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, n)| n),
            _ => None,
        }
    }

    /// The line of the node at `path` (`metrics.counters[2].name`), or of the nearest one above
    /// it that is there.
    pub(crate) fn line_of(&self, path: &str) -> usize {
        match self.step(path) {
            Some((node, rest)) => node.line_of(rest),
            None => self.line,
        }
    }

    /// The child that `path` starts with and the path below it. Keys may hold dots: the longest
    /// that fits is meant.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(&'n Node<'t>, &'p str)> {
        match &self.value {
            Value::Map(entries) => {
                let below = path.strip_prefix('.').unwrap_or(path);
                let rest = |key: &str| below.strip_prefix(key).or_else(|| path.strip_prefix(key));
                entries
                    .iter()
                    .filter_map(|(key, node)| Some((node, rest(key)?)))
                    .filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
                    .min_by_key(|(_, rest)| rest.len())
            }
            Value::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            }
            Value::Null | Value::Text(_) => None,
        }
    }
}

/// What is left of [`BUDGET`].
struct Budget(Cell<usize>);

impl Budget {
    fn spend<E: Error>(&self, text: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(NODE_COST + text);
        self.0.set(left.ok_or_else(|| E::custom(EXPANDS))?);
        Ok(())
    }
}

const EXPANDS: &str = "its aliases expand to more than 32 MiB";

/// The tree without its texts.
enum Shape {
    Null,
    Text,
    List(Vec<Shape>),
    Map(Vec<Shape>),
}

#[derive(Clone, Copy)]
struct ShapeSeed<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<Shape, D::Error> {
        self.0.spend(0)?;
        node.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut shapes = Vec::new();
        while let Some(shape) = items.next_element_seed(self)? {
            shapes.push(shape);
        }
        Ok(Shape::List(shapes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut shapes = Vec::new();
        while entries.next_key_seed(TextSeed)?.is_some() {
            shapes.push(entries.next_value_seed(self)?);
        }
        Ok(Shape::Map(shapes))
    }

    /// A value with a tag of its own (`!secret x`) is taken for what stands behind the tag.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Shape, A::Error> {
        let (IgnoredAny, value) = tagged.variant()?;
        value.newtype_variant_seed(self)
    }
}

/// A scalar's text, borrowed from the file unless it was written with escapes or folded.
struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<Cow<'de, str>, D::Error> {
        node.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a single text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What the second reading needs everywhere.
struct Reading<'t> {
    text: &'t str,
    lines: Lines,
    budget: Budget,
}

impl Reading<'_> {
    /// The line of a text that is borrowed from the file.
    fn line(&self, part: &Cow<'_, str>) -> Option<usize> {
        let Cow::Borrowed(part) = part else { return None };
        let offset = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        (offset <= self.text.len()).then(|| self.lines.at(offset))
    }
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

struct NodeSeed<'r, 't> {
    shape: Shape,
    /// The line of its key, or of what it stands in.
    line: usize,
    /// Whether `line` is its key's: then it is the one to name.
    keyed: bool,
    reading: &'r Reading<'t>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, 'de> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<Node<'de>, D::Error> {
        let Self { shape, line, keyed, reading } = self;
        let (value, own) = match shape {
            Shape::Null => {
                node.deserialize_ignored_any(IgnoredAny)?;
                (Value::Null, None)
            }
            Shape::Text => {
                let text = TextSeed.deserialize(node)?;
                reading.budget.spend(text.len())?;
                let own = reading.line(&text);
                (Value::Text(text), own)
            }
            Shape::List(shapes) => {
                let items = node.deserialize_seq(ListVisitor { shapes, line, reading })?;
                let own = items.first().map(|item| item.line);
                (Value::List(items), own)
            }
            Shape::Map(shapes) => {
                let entries = node.deserialize_map(MapVisitor { shapes, line, reading })?;
                let own = entries.first().map(|(_, node)| node.line);
                (Value::Map(resolve(entries)), own)
            }
        };
        let line = if keyed { line } else { own.unwrap_or(line) };
        Ok(Node { line, value })
    }
}

struct ListVisitor<'r, 't> {
    shapes: Vec<Shape>,
    line: usize,
    reading: &'r Reading<'t>,
}

impl<'de> Visitor<'de> for ListVisitor<'_, 'de> {
    type Value = Vec<Node<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Self { shapes, mut line, reading } = self;
        let mut items = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let seed = NodeSeed { shape, line, keyed: false, reading };
            let Some(item) = list.next_element_seed(seed)? else { break };
            line = item.line;
            items.push(item);
        }
        Ok(items)
    }
}

struct MapVisitor<'r, 't> {
    shapes: Vec<Shape>,
    line: usize,
    reading: &'r Reading<'t>,
}

type Entries<'t> = Vec<(Cow<'t, str>, Node<'t>)>;

impl<'de> Visitor<'de> for MapVisitor<'_, 'de> {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { shapes, mut line, reading } = self;
        let mut entries = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let Some(key) = map.next_key_seed(TextSeed)? else { break };
            reading.budget.spend(key.len())?;
            line = reading.line(&key).unwrap_or(line);
            let seed = NodeSeed { shape, line, keyed: true, reading };
            entries.push((key, map.next_value_seed(seed)?));
        }
        Ok(entries)
    }
}

/// Does the merges of a mapping and leaves each key once: the last one written wins, and any
/// written here wins over one that is merged in; of merged ones, the first.
fn resolve(entries: Entries<'_>) -> Entries<'_> {
    let mut own = Vec::with_capacity(entries.len());
    let mut merged = Vec::new();
    for (key, node) in entries {
        match node.value {
            Value::Map(more) if key == "<<" => merged.extend(more),
            Value::List(items) if key == "<<" && items.iter().all(is_map) => {
                for item in items {
                    if let Value::Map(more) = item.value {
                        merged.extend(more);
                    }
                }
            }
            value => own.push((key, Node { line: node.line, value })),
        }
    }
    // The last of equal keys stays: written ones come after merged ones, and those backwards.
    let mut all: Entries<'_> = merged.into_iter().rev().chain(own).collect();
    let mut last = HashMap::with_capacity(all.len());
    for (index, (key, _)) in all.iter().enumerate() {
        last.insert(key.clone(), index);
    }
    let mut index = 0;
    all.retain(|(key, _)| {
        index += 1;
        last.get(key) == Some(&(index - 1))
    });
    all
}

fn is_map(node: &Node<'_>) -> bool {
    matches!(node.value, Value::Map(_))
}
