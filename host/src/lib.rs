//! Prometheus exporter for custom eBPF metrics.
//!
//! The modules, in the order in which data flows through them:
//!
//! | module | does | never |
//! |---|---|---|
//! | [`advice`] | says what is wrong and what to do about it, as two fields | takes a message apart |
//! | [`cli`] | names the flags | decides anything |
//! | [`config`] | turns YAML into a checked plan, or into every fault it has | touches the kernel |
//! | [`system`] | knows the host's names: symbols, devices, cgroups, interfaces | fails a scrape |
//! | [`bpf`] | opens, checks, loads and attaches objects; reads maps | decodes a key |
//! | [`decode`] | turns key bytes into label text | sees libbpf |
//! | [`transform`] | turns label sets into other label sets | counts |
//! | [`plugin`] | runs decoders and transforms that are Wasm components | trusts them |
//! | [`series`] | sums rows into series, folds histograms | does I/O |
//! | [`escaping`] | names what not every client can name | knows a format |
//! | [`exposition`] | turns series into bytes | sees a config |
//! | [`scrape`] | joins the four above | is run twice at once |
//! | [`serve`] | HTTP | holds logic |
//! | [`signals`] | notes signals that would end the process | decides what ends it |
//! | [`startup`] | takes configs from files to running programs | decides what a failure means |
//! | `files` | reads files that users name | waits for one |
//! | [`descriptors`] | has as many as it may, and says what to raise | closes any |
//! | [`privileges`] | gives up capabilities, user, system calls and files | gains any, or trusts threads that are older |
//! | [`logging`] | writes the log | decides what is worth a line, keeps anybody waiting |
//! | [`output`] | writes to standard output and standard error | panics |
//! | [`version`] | knows which build this is | |
//! | [`tools`] | shows what a plugin is and does, and what the program knows of itself | prints, or needs a kernel |
//! | [`telemetry`] | the exporter's metrics about itself | |

pub mod advice;
pub mod bpf;
pub mod cli;
pub mod config;
pub mod decode;
pub mod descriptors;
pub mod digest;
pub mod escaping;
pub mod exposition;
mod files;
pub mod link;
pub mod logging;
pub mod output;
pub mod plugin;
pub mod privileges;
pub mod scrape;
pub mod series;
pub mod serve;
pub mod settings;
pub mod signals;
pub mod source;
pub mod startup;
pub mod system;
pub mod telemetry;
pub mod tools;
pub mod transform;
pub mod version;
