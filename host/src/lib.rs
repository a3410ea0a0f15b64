//! Prometheus exporter for custom eBPF metrics.
//!
//! The modules, in the order in which data flows through them:
//!
//! | module | does | never |
//! |---|---|---|
//! | [`cli`] | names the flags | decides anything |
//! | [`config`] | turns YAML into a checked plan, or into every fault it has | touches the kernel |
//! | [`system`] | knows the host's names: symbols, devices, cgroups, interfaces | fails a scrape |
//! | [`bpf`] | opens, checks, loads and attaches objects; reads maps | knows what a label is |
//! | [`decode`] | turns key bytes into label text | sees libbpf |
//! | [`series`] | sums rows into series, folds histograms | does I/O |
//! | [`exposition`] | turns series into bytes | sees a config |
//! | [`scrape`] | joins the four above | is run twice at once |
//! | [`serve`] | HTTP | holds logic |
//! | [`telemetry`] | the exporter's metrics about itself | |

pub mod bpf;
pub mod config;
pub mod decode;
pub mod exposition;
pub mod series;
pub mod system;
