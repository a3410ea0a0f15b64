//! What a scraper exposes of one metric, as tests compare it.

use ebpf_wasm_exporter::scrape::Scraper;

/// The samples of a metric at the next reading, sorted.
pub fn lines(scraper: &mut Scraper, metric: &str) -> String {
    let text = String::from_utf8(scraper.scrape().concat()).unwrap();
    let name = format!("ebpf_exporter_{metric}");
    let mut lines: Vec<_> = text.lines().filter(|line| line.starts_with(&name)).collect();
    lines.sort_unstable();
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}
