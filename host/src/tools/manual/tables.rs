//! The tables of the manual's reference, as Markdown.

use clap::{Arg, ArgAction};

use super::{command, environment};
use crate::cli::{Exit, Reference};
use crate::config::schema;
use crate::decode::builtin::{self, Builtin, Sizes};
use crate::scrape;

/// The table of this name.
pub(super) fn table(name: Reference) -> String {
    match name {
        Reference::Flags => flags(),
        Reference::Decoders => decoders(),
        Reference::ExitCodes => exit_codes(),
        Reference::Metrics => metrics(),
        Reference::Config => keys(schema::tables()),
        Reference::Policy => keys(schema::policy_tables()),
        Reference::Web => keys(schema::web_tables()),
        Reference::Environment => variables(),
    }
}

/// A table with these columns.
fn markdown<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.join(" | "));
    let cell = |text: String| text.replace('|', "\\|").replace('\n', " ");
    let rows = rows.into_iter().map(|row| line(row.map(cell)));
    let head = [line(head.map(str::to_owned)), line([""; N].map(|_| "---".to_owned()))];
    head.into_iter().chain(rows).collect()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A table for each heading; of flags that have none, the last.
fn flags() -> String {
    let mut command = command();
    command.build();
    let shown = || command.get_arguments().filter(|flag| !flag.is_hide_set());
    let mut headings: Vec<_> = shown().map(Arg::get_help_heading).collect();
    headings.dedup();
    let (named, others): (Vec<_>, Vec<_>) = headings.into_iter().partition(Option::is_some);
    let part = |heading: Option<&str>| {
        let rows = shown().filter(|flag| flag.get_help_heading() == heading).map(flag);
        let table = markdown(["flag", "default", "meaning"], rows);
        format!("**{}**\n\n{table}", heading.unwrap_or("Others"))
    };
    let parts = named.into_iter().chain(others.into_iter().take(1)).map(part);
    parts.collect::<Vec<_>>().join("\n")
}

fn flag(flag: &Arg) -> [String; 3] {
    let takes_value = matches!(flag.get_action(), ArgAction::Set | ArgAction::Append);
    let value = flag.get_value_names().filter(|_| takes_value).unwrap_or_default();
    let value: String = value.iter().map(|name| format!(" {name}")).collect();
    let default = flag.get_default_values().iter().map(|text| code(&text.to_string_lossy()));
    let default: Vec<_> = default.filter(|_| takes_value).collect();
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    [code(&format!("--{}{value}", flag.get_long().unwrap_or_default())), default.join(", "), help]
}

fn decoders() -> String {
    let row = |builtin: &Builtin| {
        let about = builtin.about;
        let texts = [about.input, about.gives, about.otherwise].map(str::to_owned);
        let [input, gives, otherwise] = texts;
        [code(builtin.name), size(builtin.sizes), input, gives, otherwise]
    };
    let head = ["name", "size, if it comes first", "input", "gives", "if it cannot"];
    markdown(head, builtin::ALL.iter().map(row))
}

fn size(sizes: Sizes) -> String {
    match sizes {
        Sizes::Any => "any".to_owned(),
        Sizes::OneOf(sizes) => sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        Sizes::AtLeast(least) => format!("{least} or more"),
        Sizes::MultipleOf(unit) => format!("a multiple of {unit}"),
    }
}

fn exit_codes() -> String {
    let row = |exit: Exit| [(exit as u8).to_string(), exit.means().to_owned()];
    markdown(["code", "meaning"], Exit::ALL.map(row))
}

fn metrics() -> String {
    let report = scrape::own_families();
    let mut families: Vec<_> = report.families().iter().map(|kept| kept.family()).collect();
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = families.into_iter().map(|family| {
        let labels: Vec<_> = family.labels.iter().map(|label| code(label)).collect();
        let kind = family.kind.word().to_owned();
        [code(&family.name), kind, labels.join(", "), family.help.clone()]
    });
    markdown(["metric", "type", "labels", "meaning"], rows)
}

fn variables() -> String {
    let row = |(name, says): (String, String)| [code(&name), says];
    markdown(["variable", "says"], environment::all().into_iter().map(row))
}

fn keys(tables: Vec<schema::KeyTable>) -> String {
    let table = |table: schema::KeyTable| {
        let row =
            |row: schema::KeyRow| [code(row.name), row.kind, row.default, row.says.to_owned()];
        let rows = table.rows.into_iter().map(row);
        let rows = markdown(["key", "type", "default", "meaning"], rows);
        format!("**{}**\n\n{rows}", table.says.trim_end_matches('.'))
    };
    tables.into_iter().map(table).collect::<Vec<_>>().join("\n")
}
