//! Names that only Prometheus 3 takes, from the kernel on.

use crate::configs::Configs;
use crate::exporter::Exporter;

/// A map may be called as the metric is, to the letter, and shows as it is.
pub fn may_be_those_of_maps() {
    const YAML: &str = "metrics:
  counters:
    - {name: k8s.pod_calls, help: h, labels: [{name: le.x, size: 8, decoders: [{name: uint}]}]}
";
    let mut configs = Configs::new();
    configs.add_object("dotted", YAML);
    let [dir, names] = configs.flags();
    let exporter = Exporter::start([dir, names, "--debug".to_owned()]);
    // SAFETY: the kernel knows no such option and touches nothing.
    unsafe { libc::prctl(0x646f_7474, 7u64) };
    let utf8 = "text/plain;version=1.0.0;escaping=allow-utf-8";
    let mut response = ureq::get(&exporter.url).header("Accept", utf8).call().unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    let line = "{\"ebpf_exporter_k8s.pod_calls\",\"le.x\"=\"7\"} 1";
    assert!(text.lines().any(|found| found == line), "{text}");
    let line = "ebpf_exporter_k8s_pod_calls{le_x=\"7\"} 1";
    assert!(exporter.metrics().lines().any(|found| found == line));
    assert!(text.contains("map=\"k8s.pod_calls\""), "{text}");
    assert!(exporter.page("/maps/dotted/k8s.pod_calls").contains("le.x"));
}
