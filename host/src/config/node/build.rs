//! One pass over a file: from the events of a parser to the tree.
//!
//! Nothing is kept but the tree. What is too much is refused where it is read. An alias shares what
//! it stands for, and counts as much as it would written out: whoever walks the tree finds it there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::plain::{self, Plain};
use super::{Document, Entry, Lent, Map, NoYaml, Node, Shadowed, Value};
use crate::config::bounds::{Bounds, DEPTH};

/// How many keys that do nothing are remembered.
const MOST_SHADOWED: usize = 1000;

/// Reads the first document of `text`.
pub(super) fn document<'t>(text: &'t str, bounds: &Bounds) -> Result<Document<'t>, NoYaml> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
        // As Go has it.
        bom_inside_document_as_content: true,
        block_scalar_eof_without_line_feed: true,
    };
    let events = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        text,
        events,
        bounds: bounds.for_a_file(),
        anchors: HashMap::new(),
        lent: HashMap::new(),
        shadowed: Shadowed::default(),
    };
    let root = builder.root()?;
    bounds.take_file(&builder.bounds);
    // What follows is not read, be it no YAML.
    let next = builder.events.find(|event| !matches!(event, Ok((Event::DocumentEnd, _))));
    let more = match next {
        None | Some(Ok((Event::StreamEnd, _))) => None,
        Some(Ok((_, span))) => Some(span.start.line()),
        Some(Err(error)) => Some(error.marker().line()),
    };
    let mut shadowed = builder.shadowed;
    shadowed.named.sort_unstable();
    let mut lent: Vec<_> = builder.lent.into_values().collect();
    lent.sort_unstable_by_key(|lent| lent.line);
    Ok(Document { root, more, shadowed, lent })
}

struct Builder<'t> {
    text: &'t str,
    events: Parser<'t, StrInput<'t>>,
    bounds: Bounds,
    /// What stands at each anchor that is read to its end, by the parser's number for it.
    anchors: HashMap<usize, Whole<'t>>,
    /// Those of them that aliases stand for.
    lent: HashMap<usize, Lent>,
    shadowed: Shadowed,
}

/// A node, and how much it is with its aliases written out.
#[derive(Clone)]
struct Whole<'t> {
    node: Node<'t>,
    size: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    /// Keys, items and texts.
    nodes: usize,
    /// Bytes of keys and texts.
    text: usize,
    /// Levels of lists and mappings in each other.
    levels: usize,
}

impl Size {
    fn add(&mut self, part: Self) {
        self.nodes += part.nodes;
        self.text += part.text;
        self.levels = self.levels.max(part.levels + 1);
    }
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), NoYaml> {
        let end = || Ok((Event::StreamEnd, Span::default()));
        self.events.next().unwrap_or_else(end).map_err(|error| NoYaml::new(self.text, &error))
    }

    fn root(&mut self) -> Result<Node<'t>, NoYaml> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => {
                    return Ok(Node { line: 1, plain: Plain::Text, value: Value::Null });
                }
                (event, span) => return Ok(self.node(event, span, 0)?.node),
            }
        }
    }

    /// The node that begins with this event, below so many lists and mappings.
    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Whole<'t>, NoYaml> {
        let (anchor, whole) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, self.scalar(text, style, tag.as_deref(), span)?)
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(span, depth + 1)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(span, depth + 1)?),
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            // No other begins a node.
            _ => (0, self.scalar(Cow::Borrowed(""), ScalarStyle::Plain, None, span)?),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, whole.clone());
        }
        Ok(whole)
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Whole<'t>, NoYaml> {
        // What is not read to its end holds this alias.
        let whole = self.anchors.get(&anchor).cloned().ok_or_else(|| NoYaml::deep(span.start))?;
        if depth + whole.size.levels > DEPTH {
            return Err(NoYaml::deep(span.start));
        }
        self.spend(whole.size, span.start)?;
        let (line, here) = (whole.node.line, span.start.line());
        let lent = self.lent.entry(anchor).or_insert(Lent { line, first: here, last: here });
        lent.last = here;
        Ok(whole)
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Whole<'t>, NoYaml> {
        let long = text.len() + tag.map_or(0, |tag| tag.suffix().len());
        let size = Size { nodes: 1, text: long, levels: 0 };
        self.spend(size, span.start)?;
        let is_plain = style == ScalarStyle::Plain;
        let plain = plain::tagged(&text, is_plain, tag).map_err(|expected| {
            let at = span.tag_start().unwrap_or(span.start);
            NoYaml::invalid(&format!("value: string {text:?}, expected {expected}"), at)
        })?;
        let value = if plain.is_some() { Value::Text(text) } else { Value::Null };
        let plain = plain.unwrap_or(Plain::Text);
        Ok(Whole { node: Node { line: span.start.line(), plain, value }, size })
    }

    fn list(&mut self, span: Span, depth: usize) -> Result<Whole<'t>, NoYaml> {
        let mut size = self.open(span.start, depth)?;
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(whole(span, Value::List(items.into()), size));
            }
            let item = self.node(event, at, depth);
            let item = item.map_err(|error| error.below(&format!("[{}]", items.len())))?;
            size.add(item.size);
            items.push(item.node);
        }
    }

    fn map(&mut self, span: Span, depth: usize) -> Result<Whole<'t>, NoYaml> {
        let mut size = self.open(span.start, depth)?;
        let mut entries = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                let map = Value::Map(Arc::new(resolve(entries, &mut self.shadowed)));
                return Ok(whole(span, map, size));
            }
            let (key, own) = self.key(event, at, depth)?;
            size.add(own);
            let (event, behind) = self.next()?;
            let value = self.node(event, behind, depth);
            let value = value.map_err(|error| error.below(&format!(".{key}")))?;
            size.add(value.size);
            entries.push((key, Node { line: at.start.line(), ..value.node }));
        }
    }

    fn key(
        &mut self,
        event: Event<'t>,
        span: Span,
        depth: usize,
    ) -> Result<(Cow<'t, str>, Size), NoYaml> {
        let Whole { node, size } = self.node(event, span, depth)?;
        let kind = match node.value {
            Value::Null => return Ok((Cow::Borrowed(""), size)),
            Value::Text(text) => return Ok((text, size)),
            Value::List(_) => "sequence",
            Value::Map(_) => "map",
        };
        let problem = format!("type: {kind}, expected a key that is a single text");
        Err(NoYaml::invalid(&problem, span.start))
    }

    /// What a list or mapping is before anything is in it.
    fn open(&self, at: Marker, depth: usize) -> Result<Size, NoYaml> {
        if depth > DEPTH {
            return Err(NoYaml::deep(at));
        }
        let size = Size { nodes: 1, text: 0, levels: 1 };
        self.spend(size, at)?;
        Ok(size)
    }

    fn spend(&self, size: Size, at: Marker) -> Result<(), NoYaml> {
        self.bounds.nodes(size.nodes).map_err(|_| NoYaml::too_many(at))?;
        self.bounds.text(size.text).map_err(|_| NoYaml::too_long(at))
    }
}

fn whole(span: Span, value: Value<'_>, size: Size) -> Whole<'_> {
    Whole { node: Node { line: span.start.line(), plain: Plain::Text, value }, size }
}

/// Does the merges of a mapping and leaves each key once: the last one written wins, and any
/// written here wins over one that is merged in; of merged ones, the first.
fn resolve<'t>(entries: Vec<Entry<'t>>, shadowed: &mut Shadowed) -> Map<'t> {
    let (merges, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(merges);
    let mut all = Vec::with_capacity(own.len());
    for (_, node) in &merges {
        let items = match &node.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(node),
        };
        for item in items {
            if let Value::Map(map) = &item.value {
                all.extend(map.iter().cloned());
            }
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
            true if shadowed.named.len() < MOST_SHADOWED => {
                shadowed.named.push((node.line, key.clone().into_owned()));
            }
            true => shadowed.more += 1,
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
