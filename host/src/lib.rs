//! Prometheus exporter for custom eBPF metrics.
//!
//! The modules, in the order in which data flows through them:
//!
//! | module | does | never |
//! |---|---|---|
//! | [`advice`] | says what is wrong and what to do about it, as two fields | takes a message apart |
//! | [`digest`] | SHA-256: what files are known by | |
//! | [`cli`] | names the flags | decides anything |
//! | [`config`] | turns YAML into a checked plan, or into every fault it has | touches the kernel |
//! | [`system`] | knows the host's names: symbols, devices, cgroups, interfaces | fails a scrape |
//! | [`bpf`] | opens, checks, loads and attaches objects; says what bytes mean | decodes a key |
//! | [`decode`] | turns key bytes into label text | sees libbpf |
//! | [`transform`] | turns label sets into other label sets | counts |
//! | [`plugin`] | runs decoders and transforms that are Wasm components | trusts them |
//! | [`reference`](mod@reference) | names artifacts in registries | assumes a registry that is not named |
//! | [`manifest`] | knows which component a manifest of OCI names | opens a file, or asks a registry |
//! | [`signature`](mod@signature) | says who has signed a plugin, and whether they may | opens a file, or asks a registry |
//! | [`bundle`] | a config with all that it needs and a recording, under one digest | runs anything, or asks a registry |
//! | [`lock`] | knows which file each reference of a config means, `plugins.lock` | asks a registry |
//! | [`registry`] | plugins in OCI registries: pushed, listed, pulled | is used by an exporter that starts or serves |
//! | [`kubelet`] | asks a kubelet which pods it runs | is used by an exporter that serves |
//! | [`link`] | makes decoders, chains and transforms of plans | reads a map |
//! | [`source`] | hands out the entries of a map, or of a recording | knows labels |
//! | [`rows`] | knows the row of each entry, and by what its numbers moved | knows labels |
//! | [`series`] | sums rows into series, folds histograms | does I/O |
//! | [`escaping`] | names what not every client can name | knows a format |
//! | [`exposition`] | turns series into bytes | sees a config |
//! | [`scrape`] | joins all these, one unit for each config | is run twice at once |
//! | [`otlp`] | sends messages to a collector of OpenTelemetry | knows what is in one |
//! | [`spans`] | turns records of ring buffers into spans, and sends them | keeps a ring buffer waiting |
//! | [`push`] | sends everything that is served to a collector, again and again | keeps a scrape waiting |
//! | [`surveyor`] | looks at all BPF programs and maps of the host, in a process of its own | takes any input but the question |
//! | [`status`] | the state of the exporter as one value, as JSON and as a page | asks anybody |
//! | [`serve`] | HTTP | holds logic |
//! | `bell` | has a worker that waits end | says why |
//! | [`signals`] | notes signals that would end the process | decides what ends it |
//! | [`settings`] | says what all flags mean, in one value | acts on it |
//! | [`startup`] | takes configs from files to running programs | decides what a failure means |
//! | [`reload`] | configs read again while they are served: what has changed is made anew | touches what has not |
//! | `index` | finds numbers by the hash of what they stand for | knows what that is |
//! | `files` | reads files that users name | waits for one |
//! | [`descriptors`] | has as many as it may, and says what to raise | closes any |
//! | [`privileges`] | gives up capabilities, user, system calls and files | gains any, or trusts threads that are older |
//! | [`logging`] | writes the log | decides what is worth a line, keeps anybody waiting |
//! | [`workers`] | threads that live as long as the exporter | starts one again, or knows what it does |
//! | [`output`] | writes to standard output and standard error | panics |
//! | [`version`] | knows which build this is | |
//! | [`templates`] | holds what a new plugin begins as, and the contract | writes a file |
//! | [`tools`] | shows what a plugin is and does, and what the program knows of itself | prints, or needs a kernel |
//! | [`process`] | what this process is and takes | fails a scrape |
//! | [`trust`] | whom TLS trusts, and who it says that one is | asks anybody |
//! | [`telemetry`] | how each room tells its own metrics | decides what is said |

pub mod advice;
mod bell;
pub mod bpf;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod decode;
pub mod descriptors;
pub mod digest;
pub mod escaping;
pub mod exposition;
mod files;
mod index;
pub mod kubelet;
pub mod link;
pub mod lock;
pub mod logging;
pub mod manifest;
pub mod otlp;
pub mod output;
pub mod plugin;
pub mod privileges;
pub mod process;
pub mod push;
pub mod reference;
pub mod registry;
pub mod reload;
pub mod rows;
pub mod scrape;
pub mod series;
pub mod serve;
pub mod settings;
pub mod signals;
pub mod signature;
pub mod source;
pub mod spans;
pub mod startup;
pub mod status;
pub mod surveyor;
pub mod system;
pub mod telemetry;
pub mod templates;
pub mod tools;
pub mod transform;
pub mod trust;
pub mod version;
pub mod workers;
