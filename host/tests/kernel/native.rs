//! Native histograms: the buckets that a BPF program counts in, held against exact arithmetic, and what a Prometheus
//! that knows native histograms makes of them.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ebpf_wasm_exporter::source::Reading;
use libbpf_rs::{MapCore as _, MapFlags};
use serde_json::Value;

use crate::configs::Configs;
use crate::exact::Pipeline;
use crate::exporter::{Exporter, HANG};
use crate::prometheus::{Prometheus, Setup};
use crate::workload::Session;

/// What the third number of [`Session::observe`] is.
const DURATION: usize = 0;
const SIZE: usize = 1;
const ADD: usize = 2;

const CONFIG: &str = "metrics:
  counters:
    - name: native_calls_total
      help: A counter whose series comes while it is scraped
      labels: [{name: id, size: 4, decoders: [{name: uint}]}]
  histograms:
    - name: native_some_seconds
      help: From a microsecond to a second
      bucket_type: native
      bucket_schema: 3
      bucket_min: 80
      bucket_max: 240
      labels: &labels [{name: bucket, size: 4, decoders: [{name: uint}]}]
    - name: native_schema1_seconds
      help: All that there can be
      bucket_type: native
      bucket_schema: 1
      bucket_max: 128
      classic: false
      labels: *labels
    - name: native_exp2_size
      help: Powers of two
      bucket_type: exp2
      bucket_max: 64
      native: true
      labels: *labels
    - name: native_exp2zero_size
      help: Zero, and powers of two
      bucket_type: exp2zero
      bucket_max: 65
      bucket_multiplier: 0.0009765625
      native: true
      labels: *labels
    - name: native_empty_size
      help: Nothing was ever counted
      bucket_type: exp2zero
      bucket_max: 65
      native: true
      labels: *labels
    - name: native_decimal_seconds
      help: Microseconds
      bucket_type: exp2
      bucket_max: 27
      bucket_multiplier: 1e-6
      labels: *labels
";

/// The newest Prometheus, with all that it knows of native histograms.
const NEWEST: Setup = Setup {
    program: "prometheus3",
    scrape: "scrape_native_histograms: true, convert_classic_histograms_to_nhcb: true,",
    flag: Some("--enable-feature=created-timestamp-zero-ingestion"),
};

/// The same, which takes OpenMetrics 2.0 and nothing else.
const OPENMETRICS2: Setup = Setup {
    scrape: "scrape_native_histograms: true, scrape_protocols: [OpenMetricsText2.0.0],",
    flag: Some("--enable-feature=openmetrics2,created-timestamp-zero-ingestion"),
    ..NEWEST
};

/// Why it cannot be asked here.
pub fn lacks() -> Option<String> {
    let mut command = Command::new(NEWEST.program);
    let status = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = status.is_ok_and(|status| status.success());
    (!there).then(|| "no prometheus3; `make test` gets it".to_owned())
}

/// A natural number of any size: 32 bits in each part, the lowest first, none of the highest 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wide(Vec<u32>);

impl Wide {
    /// `factor` to this power, times 2 to the other.
    fn power(factor: u64, exponent: u32, shift: u32) -> Self {
        let mut wide = Self(vec![1]);
        for _ in 0..exponent {
            let high = wide.times((factor >> 32) as u32).shifted(1);
            wide = wide.times(factor as u32).plus(&high);
        }
        let wide = wide.times(1 << (shift % 32)).shifted(shift as usize / 32);
        wide.trimmed()
    }

    fn times(&self, factor: u32) -> Self {
        let mut carry = 0;
        let mut parts: Vec<_> = self.0.iter().map(|part| step(part, factor, &mut carry)).collect();
        parts.push(carry);
        Self(parts)
    }

    fn shifted(self, parts: usize) -> Self {
        Self([vec![0; parts], self.0].concat())
    }

    fn plus(&self, other: &Self) -> Self {
        let part = |parts: &Self, n: usize| u64::from(parts.0.get(n).copied().unwrap_or(0));
        let mut carry = 0;
        let sum = (0..=self.0.len().max(other.0.len())).map(|n| {
            carry += part(self, n) + part(other, n);
            let low = carry as u32;
            carry >>= 32;
            low
        });
        Self(sum.collect()).trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn at_most(&self, other: &Self) -> bool {
        let order = |wide: &Self| (wide.0.len(), wide.0.iter().rev().copied().collect::<Vec<_>>());
        order(self) <= order(other)
    }
}

/// A part times a factor; what does not fit is carried on.
fn step(part: &u32, factor: u32, carry: &mut u32) -> u32 {
    let product = u64::from(*part) * u64::from(factor) + u64::from(*carry);
    *carry = (product >> 32) as u32;
    product as u32
}

/// The first of the numbers from 0 to `most` that this holds for, as it does for all behind it; `most` if for none.
fn first(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low) / 2;
        match holds(middle) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

/// The last nanosecond in each bucket of schema 3 but the last, which all others have too. So many nanoseconds are at
/// most 2^(key/8 - 30) seconds if they are so to the power of eight, and those are whole numbers.
fn bounds() -> Vec<u64> {
    let bound = |key: u32| {
        let end = Wide::power(1_000_000_000, 8, key);
        let is_within = |nanoseconds| Wide::power(nanoseconds, 8, 8 * 30).at_most(&end);
        let near = 1e9 * (f64::from(key) / 8.0 - 30.0).exp2();
        let slack = (near * 1e-12) as u64 + 2;
        let low = (near as u64).saturating_sub(slack);
        assert!(is_within(low));
        low + first(2 * slack, |more| !is_within(low + more)) - 1
    };
    (0..8 * 64).map(bound).collect()
}

/// The bucket of a duration.
fn key(nanoseconds: u64, schema: u32, bounds: &[u64]) -> usize {
    bounds.iter().step_by(8 >> schema).filter(|bound| **bound < nanoseconds).count()
}

fn configs(yaml: &str) -> (Configs, Session) {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("native", yaml, &session.object_of("native"));
    (configs, session)
}

pub fn each_nanosecond_is_in_its_bucket() {
    let histogram = |schema: u32| {
        format!(
            "    - name: native_schema{schema}_seconds\n      help: h\n      bucket_type: native\n      \
             bucket_schema: {schema}\n      bucket_max: {}\n      \
             labels: [{{name: bucket, size: 4, decoders: [{{name: uint}}]}}]\n",
            64 << schema
        )
    };
    let yaml: String = (0..4).map(histogram).collect();
    let (configs, session) = configs(&format!("metrics:\n  histograms:\n{yaml}"));
    let pipeline = Pipeline::of(&configs, Reading::Auto);

    let bounds = bounds();
    let around = bounds.iter().flat_map(|last| [*last, last + 1]);
    let any =
        (0..64).flat_map(|n| [1 << n, ((1u128 << n) * 1_000_003 / 999_983) as u64, u64::MAX >> n]);
    let values: Vec<u64> = around.chain(any).collect();
    values.iter().for_each(|value| session.observe(DURATION, *value));

    for schema in 0..4 {
        let (sum, entries) = (64 << schema | 1, (64 << schema) + 2);
        let mut expected = vec![0u64; entries];
        for value in &values {
            expected[key(*value, schema, &bounds)] += 1;
            expected[sum] = expected[sum].wrapping_add(*value);
        }
        let map = pipeline.maps.map(&format!("native_schema{schema}_seconds"));
        let found = (0..entries as u32).map(|key| {
            let value = map.lookup(&key.to_ne_bytes(), MapFlags::ANY).unwrap().unwrap();
            u64::from_ne_bytes(value.try_into().unwrap())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "schema {schema}");
    }
}

/// Numbers that look like chance, between `least` and 2^`octaves` of it, as many of each size.
fn numbers(least: f64, octaves: f64) -> Vec<u64> {
    let mut state = 14u64;
    let number = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (state >> 11) as f64 / (1u64 << 53) as f64;
        (least * (share * octaves).exp2()) as u64
    };
    (0..10_000).map(number).collect()
}

/// The smallest number that this share of all is not above.
fn quantile(mut numbers: Vec<u64>, share: f64) -> u64 {
    numbers.sort_unstable();
    numbers[(share * numbers.len() as f64).ceil() as usize - 1]
}

fn start(setup: Setup) -> (Exporter, Prometheus, Session) {
    let (configs, session) = configs(CONFIG);
    let openmetrics = ["--web.enable-openmetrics".to_owned()];
    let exporter = Exporter::start(configs.flags().into_iter().chain(openmetrics));
    let prometheus = Prometheus::of(&exporter, setup);
    (exporter, prometheus, session)
}

/// Waits until the first series of the answer is `expected` by what `part` finds in it.
fn until_it_is(
    prometheus: &Prometheus,
    query: &str,
    part: impl Fn(&Value) -> Option<f64>,
    expected: f64,
) {
    let start = Instant::now();
    loop {
        let answer = prometheus.result(query);
        if answer.iter().flatten().next().and_then(&part) == Some(expected) {
            return;
        }
        if start.elapsed() > HANG {
            panic!("{query}: not {expected}, but {answer:?}\n{}", prometheus.log());
        }
        sleep(Duration::from_millis(50));
    }
}

fn number(series: &Value) -> Option<f64> {
    series["value"][1].as_str()?.parse().ok()
}

fn one(prometheus: &Prometheus, query: &str) -> f64 {
    let answer = prometheus.result(query).unwrap();
    let [series] = &answer[..] else { panic!("{query}: {answer:?}") };
    number(series).unwrap_or_else(|| panic!("{query}: {answer:?}"))
}

/// The buckets of a native histogram as the server has it: lower and upper bound, count.
fn buckets(prometheus: &Prometheus, metric: &str) -> Vec<[f64; 3]> {
    let answer = prometheus.result(metric).unwrap();
    let [series] = &answer[..] else { panic!("{metric}: {answer:?}") };
    let buckets = series["histogram"][1]["buckets"].as_array();
    let buckets = buckets.unwrap_or_else(|| panic!("{metric} is not native: {series}"));
    let read = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    buckets.iter().map(|bucket| [1, 2, 3].map(|n| read(&bucket[n]))).collect()
}

pub fn a_server_has_every_bucket_and_finds_quantiles() {
    finds_quantiles(NEWEST);
}

pub fn a_server_has_as_much_of_openmetrics_2() {
    finds_quantiles(OPENMETRICS2);
}

fn finds_quantiles(setup: Setup) {
    let (_exporter, prometheus, session) = start(setup);
    // Microseconds to half a second, and a few that are below and above all buckets.
    let durations: Vec<_> = numbers(1000.0, 19.0).into_iter().chain([0, 7, 999]).collect();
    durations.iter().for_each(|duration| session.observe(DURATION, *duration));
    let sizes: Vec<u64> = (0..=1000).collect();
    sizes.iter().for_each(|size| session.observe(SIZE, *size));

    let seconds: Vec<_> = durations.iter().map(|duration| *duration as f64 * 1e-9).collect();
    let plain: Vec<_> = sizes.iter().map(|size| *size as f64).collect();
    let thousandths: Vec<_> = plain.iter().map(|size| size / 1024.0).collect();
    for (metric, values, finest) in [
        ("native_some_seconds", &seconds, 3),
        ("native_schema1_seconds", &seconds, 1),
        ("native_exp2_size", &plain, 0),
        ("native_exp2zero_size", &thousandths, 0),
    ] {
        let metric = format!("ebpf_exporter_{metric}");
        let count = format!("histogram_count({metric})");
        until_it_is(&prometheus, &count, number, values.len() as f64);
        let sum = one(&prometheus, &format!("histogram_sum({metric})"));
        let exact: f64 = values.iter().sum();
        assert!((sum / exact - 1.0).abs() < 1e-9, "{metric}: {sum} {exact}");

        let buckets = buckets(&prometheus, &metric);
        for [lower, upper, count] in &buckets {
            let is_in = |value: &&f64| {
                // The zero bucket has both ends.
                (lower < value || *lower <= 0.0) && *value <= upper
            };
            assert_eq!(values.iter().filter(is_in).count() as f64, *count, "{metric} {upper}");
        }
        let counted: f64 = buckets.iter().map(|[_, _, count]| count).sum();
        assert_eq!(counted, values.len() as f64, "{metric}");

        let scaled: Vec<_> = values.iter().map(|value| (value * 1e9) as u64).collect();
        for share in [0.1, 0.5, 0.9, 0.99] {
            let exact = quantile(scaled.clone(), share) as f64 * 1e-9;
            let query = format!("histogram_quantile({share}, {metric})");
            let found = one(&prometheus, &query);
            let width = 2f64.powf(1.0 / f64::from(1 << finest));
            assert!(found / exact < width && exact / found < width, "{query}: {found} {exact}");
        }
        let classic = prometheus.result(&format!("{metric}_bucket")).unwrap();
        assert_eq!(classic, [] as [Value; 0], "{metric}");
    }

    let empty = "histogram_count(ebpf_exporter_native_empty_size)";
    until_it_is(&prometheus, empty, number, 0.0);
    assert_eq!(
        prometheus.result("ebpf_exporter_native_empty_size_bucket").unwrap(),
        [] as [Value; 0]
    );
}

pub fn a_server_makes_native_ones_of_classic_ones() {
    let (_exporter, prometheus, session) = start(NEWEST);
    let durations = numbers(1000.0, 19.0);
    durations.iter().for_each(|duration| session.observe(DURATION, *duration));
    let metric = "ebpf_exporter_native_decimal_seconds";
    let count = format!("histogram_count({metric})");
    until_it_is(&prometheus, &count, number, durations.len() as f64);
    let exact = quantile(durations, 0.5) as f64 * 1e-9;
    let found = one(&prometheus, &format!("histogram_quantile(0.5, {metric})"));
    assert!(found / exact < 2.0 && exact / found < 2.0, "{found} {exact}");
    assert!(!buckets(&prometheus, metric).is_empty());
}

pub fn a_server_knows_when_a_counter_began() {
    for setup in [NEWEST, OPENMETRICS2] {
        knows_when_a_counter_began(setup);
    }
}

fn knows_when_a_counter_began(setup: Setup) {
    let (_exporter, prometheus, session) = start(setup);
    session.observe(ADD, 1000);
    let at = |n: usize| move |series: &Value| series["values"][n][1].as_str()?.parse().ok();
    // It was read once without it: so it was 0 then, and `increase` sees all that it has counted.
    let samples = "ebpf_exporter_native_calls_total[5m]";
    until_it_is(&prometheus, samples, at(1), 1000.0);
    until_it_is(&prometheus, samples, at(0), 0.0);
}

pub fn the_example_has_the_bounds_of_its_schema() {
    let exporter = crate::examples::serve("runqlat-native");
    let metrics = exporter.metrics();
    // From a microsecond to 64 seconds, four from a power of two to the next, and what is above.
    let bounds: Vec<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("ebpf_exporter_run_queue_wait_seconds_bucket{le=\""))
        .map(|line| line.split('"').next().unwrap())
        .collect();
    assert_eq!(bounds.len(), 4 * 26 + 2);
    assert_eq!(bounds[..2], ["9.5367431640625e-07", "1.1341162824656687e-06"]);
    assert_eq!(bounds[bounds.len() - 3..], ["53.81737057623772", "64", "+Inf"]);
    let count = "ebpf_exporter_run_queue_wait_seconds_count";
    crate::exporter::until("tasks have waited", || {
        crate::examples::value(&exporter.metrics(), count) > 0
    });
}
