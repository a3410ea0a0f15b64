//! Pages, read by nothing of the exporter's: all of a page has to be as its format says.

use std::collections::HashSet;

use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::MetricFamily;
use prost::Message as _;

/// A number with its labels, in the order of the page.
#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

/// All that a page says.
#[derive(Debug, Default)]
pub struct Page {
    pub samples: Vec<Sample>,
    /// How the names of all families begin that it is to have of those that were counted.
    pub of: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    OpenMetrics,
    Protobuf,
}

impl Form {
    /// What asks for it.
    pub fn accept(self) -> &'static str {
        match self {
            Self::Text => "text/plain;version=0.0.4",
            Self::OpenMetrics => "application/openmetrics-text;version=1.0.0",
            Self::Protobuf => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
        }
    }

    /// How its `Content-Type` begins.
    pub fn content_type(self) -> &'static str {
        let accept = self.accept();
        &accept[..accept.find(';').unwrap_or(accept.len())]
    }
}

impl Page {
    /// Reads a whole page.
    pub fn read(form: Form, body: &[u8]) -> Result<Self, String> {
        let samples = match form {
            Form::Protobuf => messages(body)?,
            Form::Text | Form::OpenMetrics => {
                let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
                lines(form, text)?
            }
        };
        Ok(Self { samples, of: String::new() })
    }

    /// The sum of all series of this name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| sample.label(key) == Some(*value))
        };
        self.samples.iter().filter(has).map(|sample| sample.value as u64).sum()
    }

    /// When the maps of so many configs began to be read, in seconds since 1970: the first of them.
    pub fn read_at(&self, configs: usize) -> Result<f64, String> {
        let name = "ebpf_exporter_scrape_last_success_timestamp_seconds";
        let all = self.samples.iter().filter(|sample| sample.name == name);
        let told: Vec<_> = all.map(|sample| sample.value).collect();
        let first = told.iter().copied().reduce(f64::min).filter(|_| told.len() == configs);
        first.ok_or_else(|| format!("{name} has {} series for {configs} configs", told.len()))
    }

    /// How often the program of each config did not run because the kernel was at work with BPF on that processor.
    pub fn missed(&self) -> impl Iterator<Item = (&str, u64)> {
        let name = "ebpf_exporter_program_misses_total";
        let of = move |sample: &&Sample| {
            sample.name == name && sample.label("cause") == Some("recursion")
        };
        let all = self.samples.iter().filter(of);
        all.filter_map(|sample| Some((sample.label("config")?, sample.value as u64)))
    }
}

fn lines(form: Form, text: &str) -> Result<Vec<Sample>, String> {
    let text = match form {
        Form::OpenMetrics => text.strip_suffix("# EOF\n").ok_or("it has no end")?,
        _ => text,
    };
    if !text.ends_with('\n') {
        return Err("its last line has no end".to_owned());
    }
    let (mut samples, mut families, mut series) = (Vec::new(), HashSet::new(), HashSet::new());
    let mut family = "";
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("# ") {
            let name = said.split(' ').nth(1).ok_or_else(|| format!("a comment: {line}"))?;
            match said.split(' ').next() {
                Some("TYPE") if families.insert(name) => family = name,
                Some("HELP" | "UNIT") => {}
                _ => return Err(format!("out of place: {line}")),
            }
            continue;
        }
        let (id, value) = line.rsplit_once(' ').ok_or_else(|| format!("no number: {line}"))?;
        if !series.insert(id) || family.is_empty() || !id.starts_with(family) {
            return Err(format!("twice, or in no family: {line}"));
        }
        samples.push(sample(id, value).ok_or_else(|| format!("no sample: {line}"))?);
    }
    Ok(samples)
}

fn sample(id: &str, value: &str) -> Option<Sample> {
    let value = value.parse().ok()?;
    let Some((name, rest)) = id.split_once('{') else {
        return Some(Sample { name: id.to_owned(), labels: Vec::new(), value });
    };
    let (mut rest, mut labels) = (rest.strip_suffix('}')?, Vec::new());
    while !rest.is_empty() {
        let (key, behind) = rest.split_once("=\"")?;
        let end = closing(behind)?;
        labels.push((key.to_owned(), behind[..end].to_owned()));
        rest = &behind[end + 1..];
        rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')? };
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Where the quote is that ends a text.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn messages(mut body: &[u8]) -> Result<Vec<Sample>, String> {
    let (mut samples, mut families) = (Vec::new(), HashSet::new());
    while !body.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut body);
        let family = family.map_err(|error| error.to_string())?;
        if !families.insert(family.name.clone()) {
            return Err(format!("twice: {}", family.name));
        }
        for metric in family.metric {
            let labels = metric.label.into_iter().map(|label| (label.name, label.value)).collect();
            let (name, value) = match (&metric.counter, &metric.gauge, &metric.histogram) {
                (Some(counter), ..) => (family.name.clone(), counter.value),
                (_, Some(gauge), _) => (family.name.clone(), gauge.value),
                (.., Some(it)) => (format!("{}_count", family.name), it.sample_count as f64),
                _ => (family.name.clone(), f64::NAN),
            };
            samples.push(Sample { name, labels, value });
        }
    }
    Ok(samples)
}
