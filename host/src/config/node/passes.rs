//! The two passes over a file: its shape, and along the shape its texts.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::Number;

use super::{Document, Entry, Map, Node, Plain, Value};
use crate::config::bounds::{Bounds, Full};

/// What `serde_yaml` is told when there is no room for another node, or for a text. Nobody reads it: the
/// bounds know.
const NO_ROOM: &str = "no room";

/// How many keys that do nothing are remembered.
const MOST_SHADOWED: usize = 1000;

/// Line and name of each key that does nothing, and how many more there are.
type Shadowed = (Vec<(usize, String)>, usize);

/// Why a text could not be read.
pub(super) struct Unparsed {
    pub(super) error: serde_yaml::Error,
    /// What there was no room for, if that is why.
    pub(super) full: Option<Full>,
}

/// Reads the first document of `text`, which has no byte order mark.
pub(super) fn read<'t>(text: &'t str, bounds: &Bounds) -> Result<Document<'t>, Unparsed> {
    let look = bounds.for_a_look();
    let full = || look.take_full().or(bounds.take_full());
    // What a text before had no room for is not this one's fault.
    full();
    both(text, &look, bounds).map_err(|error| Unparsed { error, full: full() })
}

fn both<'t>(
    text: &'t str,
    look: &Bounds,
    bounds: &Bounds,
) -> Result<Document<'t>, serde_yaml::Error> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        let root = Node { line: 1, plain: Plain::Text, value: Value::Null };
        return Ok(Document { root, more: false, shadowed: Vec::new(), unnamed: 0 });
    };
    let shape = ShapeSeed(look).deserialize(first)?;
    let more = documents.next().is_some();
    // Its events take more memory than the tree.
    drop(documents);

    let reading = Reading { text, lines: Lines::of(text), bounds, shadowed: RefCell::default() };
    let seed = NodeSeed { shape, line: 1, keyed: false, reading: &reading };
    let root = match serde_yaml::Deserializer::from_str(text).next() {
        Some(again) => seed.deserialize(again)?,
        None => Node { line: 1, plain: Plain::Text, value: Value::Null },
    };
    let (mut shadowed, unnamed) = reading.shadowed.into_inner();
    // An anchor's are found again wherever it is used.
    shadowed.sort_unstable();
    shadowed.dedup();
    Ok(Document { root, more, shadowed, unnamed })
}

/// Takes a node and its text out of what is left of the bounds.
fn spend<E: Error>(bounds: &Bounds, text: usize) -> Result<(), E> {
    bounds.node().map_err(|_| E::custom(NO_ROOM))?;
    bounds.text(text).map_err(|_| E::custom(NO_ROOM))
}

/// The tree without its texts.
enum Shape {
    Null,
    Scalar(Plain),
    List(Vec<Shape>),
    Map(Vec<Shape>),
}

#[derive(Clone, Copy)]
struct ShapeSeed<'b>(&'b Bounds);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<Shape, D::Error> {
        spend(self.0, 0)?;
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

    /// An alias of a long text costs as much as the text.
    fn visit_str<E: Error>(self, text: &str) -> Result<Shape, E> {
        self.0.text(text.len()).map_err(|_| E::custom(NO_ROOM))?;
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
        while let Some(key) = entries.next_key_seed(TextSeed)? {
            spend(self.0, key.len())?;
            shapes.push(entries.next_value_seed(self)?);
        }
        Ok(Shape::Map(shapes))
    }

    /// A value with a tag of its own (`!secret x`) is taken for what stands behind the tag.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Shape, A::Error> {
        let (tag, value) = tagged.variant_seed(TextSeed)?;
        self.0.text(tag.len()).map_err(|_| A::Error::custom(NO_ROOM))?;
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
struct Reading<'b> {
    text: &'b str,
    lines: Lines,
    bounds: &'b Bounds,
    shadowed: RefCell<Shadowed>,
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
        let bytes = text.as_bytes();
        let ends = |at: &usize| match bytes[*at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        Self((0..bytes.len()).filter(ends).collect())
    }

    /// The line, from 1, of the byte at `offset`.
    pub(super) fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

struct NodeSeed<'r, 'b> {
    shape: Shape,
    /// The line of its key, or of what it stands in.
    line: usize,
    /// Whether `line` is its key's: then it is the one to name.
    keyed: bool,
    reading: &'r Reading<'b>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, '_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<Node<'de>, D::Error> {
        let Self { shape, line, keyed, reading } = self;
        spend(reading.bounds, 0)?;
        let mut plain = Plain::Text;
        let (value, own) = match shape {
            Shape::Null => {
                node.deserialize_ignored_any(IgnoredAny)?;
                (Value::Null, None)
            }
            Shape::Scalar(kind) => {
                plain = kind;
                let text = TextSeed.deserialize(node)?;
                reading.bounds.text(text.len()).map_err(|_| D::Error::custom(NO_ROOM))?;
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
                (Value::Map(Box::new(resolve(entries, &mut reading.shadowed.borrow_mut()))), own)
            }
        };
        let line = if keyed { line } else { own.unwrap_or(line) };
        Ok(Node { line, plain, value })
    }
}

struct ListVisitor<'r, 'b> {
    shapes: Vec<Shape>,
    line: usize,
    reading: &'r Reading<'b>,
}

impl<'de> Visitor<'de> for ListVisitor<'_, '_> {
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

struct MapVisitor<'r, 'b> {
    shapes: Vec<Shape>,
    line: usize,
    reading: &'r Reading<'b>,
}

impl<'de> Visitor<'de> for MapVisitor<'_, '_> {
    type Value = Vec<Entry<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { shapes, mut line, reading } = self;
        let mut entries = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let Some(key) = map.next_key_seed(TextSeed)? else { break };
            spend(reading.bounds, key.len())?;
            line = reading.line(&key).unwrap_or(line);
            let seed = NodeSeed { shape, line, keyed: true, reading };
            entries.push((key, map.next_value_seed(seed)?));
        }
        Ok(entries)
    }
}

/// Does the merges of a mapping and leaves each key once: the last one written wins, and any
/// written here wins over one that is merged in; of merged ones, the first.
fn resolve<'t>(entries: Vec<Entry<'t>>, (shadowed, unnamed): &mut Shadowed) -> Map<'t> {
    let (merges, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(merges);
    let maps = merges.into_iter().flat_map(|(_, node)| match node.value {
        Value::List(items) => items,
        value => vec![Node { value, ..node }],
    });
    let mut all = Vec::with_capacity(own.len());
    for map in maps {
        if let Value::Map(map) = map.value {
            all.extend(map.entries);
        }
    }
    // The last of equal keys stays: written ones come after merged ones, and those backwards.
    all.reverse();
    let first_own = all.len();
    all.extend(own);
    let stays = last_of_each(&all);
    let mut index = 0;
    all.retain(|(key, node)| {
        let stays = stays[index];
        match !stays && index >= first_own {
            true if shadowed.len() < MOST_SHADOWED => {
                shadowed.push((node.line, key.clone().into_owned()));
            }
            true => *unnamed += 1,
            false => {}
        }
        index += 1;
        stays
    });
    Map::new(all)
}

/// Whether an entry merges others in.
fn merges((key, node): &Entry<'_>) -> bool {
    key == "<<"
        && match &node.value {
            Value::Map(_) => true,
            Value::List(items) => items.iter().all(is_map),
            Value::Null | Value::Text(_) => false,
        }
}

/// For each entry, whether no later one has its key.
fn last_of_each(entries: &[Entry<'_>]) -> Vec<bool> {
    let mut by_key: Vec<usize> = (0..entries.len()).collect();
    by_key.sort_unstable_by(|one, other| (&entries[*one].0, one).cmp(&(&entries[*other].0, other)));
    let mut stays = vec![true; entries.len()];
    for pair in by_key.windows(2) {
        stays[pair[0]] = entries[pair[0]].0 != entries[pair[1]].0;
    }
    stays
}

fn is_map(node: &Node<'_>) -> bool {
    matches!(node.value, Value::Map(_))
}
