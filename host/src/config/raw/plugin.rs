//! The `plugins` section as it was typed.

use super::Field;
use super::fields::Fields;
use super::keys;
use crate::advice::quote;
use crate::config::bounds;
use crate::config::faults::Faults;
use crate::config::node::{Node, Plain, Value};

pub(in crate::config) struct Plugin {
    pub(in crate::config) path: String,
    pub(in crate::config) name: String,
    pub(in crate::config) file: Field<String>,
    pub(in crate::config) oci: Field<String>,
    pub(in crate::config) sha256: Field<String>,
    pub(in crate::config) settings: Field<Setting>,
    pub(in crate::config) data: Vec<Data>,
    pub(in crate::config) limits: Limits,
}

/// A file of the host that a plugin reads.
pub(in crate::config) struct Data {
    pub(in crate::config) path: String,
    /// None if it is the only one.
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) file: Field<String>,
    pub(in crate::config) refresh: Field<String>,
    pub(in crate::config) size: Field<String>,
}

#[derive(Default)]
pub(in crate::config) struct Limits {
    pub(in crate::config) memory: Option<String>,
    pub(in crate::config) deadline: Option<String>,
    pub(in crate::config) output: Option<String>,
    pub(in crate::config) table: Option<i128>,
    pub(in crate::config) instances: Option<i128>,
    pub(in crate::config) answers: Option<String>,
    pub(in crate::config) text: Option<String>,
    pub(in crate::config) hold: Option<String>,
    pub(in crate::config) compile: Compile,
}

#[derive(Default)]
pub(in crate::config) struct Compile {
    pub(in crate::config) time: Option<String>,
    pub(in crate::config) memory: Option<String>,
}

/// Any YAML, as JSON has it; mappings keep their order.
pub(in crate::config) enum Setting {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// The plugins of a file.
pub(super) fn all(fields: &Fields<'_, '_>) -> Vec<Plugin> {
    let (faults, path) = (fields.faults, fields.at("plugins"));
    let mut plugins = Vec::new();
    for (name, node) in fields.entries("plugins") {
        if faults.bounds.plugin().is_err() {
            let problem = format!("the configs have more than {} plugins", bounds::PLUGINS);
            faults.error(&path, problem, "let labels share plugins, or serve fewer configs");
            break;
        }
        if name.chars().nth(bounds::NAME).is_some() {
            let problem = format!("the plugin's name {} is too long", quote(name));
            faults.error(&path, problem, format!("use {} characters at most", bounds::NAME));
            continue;
        }
        plugins.push(one(node, format!("{path}.{name}"), name, faults));
    }
    plugins
}

fn one(node: &Node<'_>, path: String, name: &str, faults: &Faults<'_>) -> Plugin {
    let name = name.to_owned();
    let Some(fields) = Fields::open(node, &path, &keys::PLUGIN, faults) else {
        let (file, oci, sha256) = (Field::Faulty, Field::Faulty, Field::Faulty);
        let (settings, data, limits) = (Field::Faulty, Vec::new(), Limits::default());
        return Plugin { path, name, file, oci, sha256, settings, data, limits };
    };
    let settings = match fields.get("settings") {
        None => Field::Absent,
        Some(node) => Field::Given(setting(node)),
    };
    Plugin {
        name,
        file: fields.word("file"),
        oci: fields.word("oci"),
        sha256: fields.word("sha256"),
        settings,
        data: data(&fields),
        limits: limits(&fields),
        path,
    }
}

/// The files that a plugin reads: a mapping of names to them, or one without a name.
fn data(fields: &Fields<'_, '_>) -> Vec<Data> {
    let (at, faults) = (fields.at("data"), fields.faults);
    let one = |node: &Node<'_>, path: String, name: Option<&str>| {
        let fields = Fields::open(node, &path, &keys::DATA, faults)?;
        let [file, refresh, size] = ["file", "refresh", "size"].map(|key| fields.word(key));
        Some(Data { name: name.map(ToOwned::to_owned), file, refresh, size, path })
    };
    let is_text = |node: &Node<'_>| matches!(node.value, Value::Text(_));
    match fields.get("data") {
        Some(node) if node.get("file").is_some_and(is_text) => {
            one(node, at, None).into_iter().collect()
        }
        _ => {
            let entries = fields.entries("data").iter();
            entries
                .filter_map(|(name, node)| one(node, format!("{at}.{name}"), Some(name)))
                .collect()
        }
    }
}

fn limits(fields: &Fields<'_, '_>) -> Limits {
    let at = fields.at("limits");
    let Some(node) = fields.get("limits") else { return Limits::default() };
    let Some(fields) = Fields::open(node, &at, &keys::LIMITS, fields.faults) else {
        return Limits::default();
    };
    Limits {
        memory: fields.word("memory").given(),
        deadline: fields.word("deadline").given(),
        output: fields.word("output").given(),
        table: fields.integer("table").given(),
        instances: fields.integer("instances").given(),
        answers: fields.word("answers").given(),
        text: fields.word("text").given(),
        hold: fields.word("hold").given(),
        compile: compile(&fields),
    }
}

fn compile(fields: &Fields<'_, '_>) -> Compile {
    let at = fields.at("compile");
    let Some(node) = fields.get("compile") else { return Compile::default() };
    let Some(fields) = Fields::open(node, &at, &keys::COMPILE, fields.faults) else {
        return Compile::default();
    };
    Compile { time: fields.word("time").given(), memory: fields.word("memory").given() }
}

/// A value as JSON has it.
pub(in crate::config) fn setting(node: &Node<'_>) -> Setting {
    match &node.value {
        Value::Null => Setting::Null,
        Value::Text(text) => match &node.plain {
            Plain::Text => Setting::Text(text.clone().into_owned()),
            Plain::Bool(value) => Setting::Bool(*value),
            Plain::Number(number) => Setting::Number(number.clone()),
        },
        Value::List(items) => Setting::List(items.iter().map(setting).collect()),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, node)| (key.to_string(), setting(node)));
            Setting::Map(entries.collect())
        }
    }
}
