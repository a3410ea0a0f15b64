//! The two passes over a file: its shape, and along the shape its texts.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::Number;

use super::{Document, EXPANDS, Node, Plain, Value};

/// How much a file may come to when its aliases are written out: bytes of text, and
/// [`NODE_COST`] for each node. What people write by hand is far below, and a few lines of
/// aliases to aliases are stopped before they fill the memory.
const BUDGET: usize = 32 << 20;
const NODE_COST: usize = 64;

/// Reads the first document of `text`, which has no byte order mark.
pub(super) fn read(text: &str) -> Result<Document<'_>, serde_yaml::Error> {
    let budget = Budget(Cell::new(BUDGET));
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        let root = Node { line: 1, plain: Plain::Text, value: Value::Null };
        return Ok(Document { root, more: false, shadowed: Vec::new() });
    };
    let shape = ShapeSeed(&budget).deserialize(first)?;
    let more = documents.next().is_some();

    let budget = Budget(Cell::new(BUDGET));
    let reading = Reading { text, lines: Lines::of(text), budget, shadowed: RefCell::default() };
    let seed = NodeSeed { shape, line: 1, keyed: false, reading: &reading };
    let root = match serde_yaml::Deserializer::from_str(text).next() {
        Some(again) => seed.deserialize(again)?,
        None => Node { line: 1, plain: Plain::Text, value: Value::Null },
    };
    let mut shadowed = reading.shadowed.into_inner();
    // An anchor's are found again wherever it is used.
    shadowed.sort_unstable();
    shadowed.dedup();
    Ok(Document { root, more, shadowed })
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

/// The tree without its texts.
enum Shape {
    Null,
    Scalar(Plain),
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

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar(Plain::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar(Plain::Number(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar(Plain::Number(value.into())))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar(Plain::Text))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar(Plain::Text))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar(Number::from_f64(value).map_or(Plain::Text, Plain::Number)))
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar(Plain::Text))
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
    shadowed: RefCell<Vec<(usize, String)>>,
}

impl Reading<'_> {
    /// The line of a text, if it is borrowed from the file.
    fn line(&self, part: &str) -> Option<usize> {
        let offset = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        (offset <= self.text.len()).then(|| self.lines.at(offset))
    }
}

/// Where the lines of a text end.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, of the byte at `offset`.
    pub(super) fn at(&self, offset: usize) -> usize {
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
        let mut plain = Plain::Text;
        let (value, own) = match shape {
            Shape::Null => {
                node.deserialize_ignored_any(IgnoredAny)?;
                (Value::Null, None)
            }
            Shape::Scalar(kind) => {
                plain = kind;
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
                (Value::Map(resolve(entries, &mut reading.shadowed.borrow_mut())), own)
            }
        };
        let line = if keyed { line } else { own.unwrap_or(line) };
        Ok(Node { line, plain, value })
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
fn resolve<'t>(entries: Entries<'t>, shadowed: &mut Vec<(usize, String)>) -> Entries<'t> {
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
            value => own.push((key, Node { value, ..node })),
        }
    }
    // The last of equal keys stays: written ones come after merged ones, and those backwards.
    let first_own = merged.len();
    let mut all: Entries<'_> = merged.into_iter().rev().chain(own).collect();
    let mut last = HashMap::with_capacity(all.len());
    for (index, (key, _)) in all.iter().enumerate() {
        last.insert(key.clone(), index);
    }
    let mut index = 0;
    all.retain(|(key, node)| {
        let stays = last.get(key) == Some(&index);
        if !stays && index >= first_own {
            shadowed.push((node.line, key.clone().into_owned()));
        }
        index += 1;
        stays
    });
    all
}

fn is_map(node: &Node<'_>) -> bool {
    matches!(node.value, Value::Map(_))
}
