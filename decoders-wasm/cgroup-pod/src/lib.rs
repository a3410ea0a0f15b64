//! `cgroup-pod`: a cgroup's path → the Kubernetes pod, container and QoS class it belongs to, or
//! its systemd slice and unit.
//!
//! Stands behind the `cgroup` decoder. Understands what kubelet, containerd, CRI-O, docker and
//! podman make of a cgroup's name with the systemd and the cgroupfs driver, in cgroup v1 and v2,
//! and within another container (kind, docker in docker: the innermost counts).
//!
//! Settings, all with their defaults:
//!
//! ```yaml
//! label: cgroup          # the label that holds the path
//! keep: false            # whether that label stays
//! add: [pod_uid, container_id, qos]
//! ```
//!
//! `add` may list, in any order:
//!
//! | label | holds |
//! |---|---|
//! | `pod_uid` | the pod's UID with dashes, or the hash that a static pod has instead |
//! | `container_id` | 64 hex digits; a pod's sandbox has one too |
//! | `qos` | `guaranteed`, `burstable` or `besteffort` |
//! | `runtime` | `containerd`, `cri-o`, `docker`, `podman`, or nothing where the name doesn't tell |
//! | `slice` | the systemd slice that the unit stands in |
//! | `unit` | the systemd unit that manages the cgroup: a service, scope, … |
//!
//! What a path does not tell is empty, which to Prometheus is a label that is absent. Rows whose
//! labels have become equal (the threads of one container, say) are summed.

use ebpf_exporter_plugin::{Labels, Metric, RowOutcome, Transform, export_transform};

mod path;

use path::Place;

/// What the config says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    label: String,
    keep: bool,
    add: Vec<Fact>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            label: "cgroup".to_owned(),
            keep: false,
            add: vec![Fact::PodUid, Fact::ContainerId, Fact::Qos],
        }
    }
}

/// What a path may tell; the label has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    PodUid,
    ContainerId,
    Qos,
    Runtime,
    Slice,
    Unit,
}

impl Fact {
    fn name(self) -> &'static str {
        match self {
            Self::PodUid => "pod_uid",
            Self::ContainerId => "container_id",
            Self::Qos => "qos",
            Self::Runtime => "runtime",
            Self::Slice => "slice",
            Self::Unit => "unit",
        }
    }

    fn push(self, place: &Place<'_>, out: &mut Labels) {
        match self {
            // systemd has no dashes within the parts of a slice's name.
            Self::PodUid => out.push(&place.pod_uid.replace('_', "-")),
            Self::ContainerId => out.push(place.container_id),
            Self::Qos => out.push(place.qos),
            Self::Runtime => out.push(place.runtime),
            Self::Slice => out.push(place.slice),
            Self::Unit => out.push(place.unit),
        }
    }
}

/// The transform.
pub struct CgroupPod {
    names: Vec<String>,
    path: usize,
    keep: bool,
    add: Vec<Fact>,
}

impl Transform for CgroupPod {
    type Settings = Settings;

    fn configure(settings: Settings, metric: &Metric) -> Result<Self, String> {
        let Settings { label, keep, add } = settings;
        let path = metric.position(&label)?;
        let mut names = metric.labels.clone();
        if !keep {
            names.remove(path);
        }
        for fact in &add {
            let name = fact.name().to_owned();
            if names.contains(&name) {
                return Err(format!("add: the metric has a label {name} already; leave it out"));
            }
            names.push(name);
        }
        Ok(Self { names, path, keep, add })
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
        for (i, value) in row.iter().enumerate() {
            if self.keep || i != self.path {
                out.push(value);
            }
        }
        let place = Place::of(row[self.path]);
        for fact in &self.add {
            fact.push(&place, out);
        }
        Ok(RowOutcome::Labels)
    }
}

/// What the config may say, for messages.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_transform!(CgroupPod, settings = SETTINGS);

#[cfg(test)]
mod tests {
    use ebpf_exporter_plugin::testing::{TestTransform, check_schema, json};

    use super::*;

    #[test]
    fn the_schema_says_what_settings_there_are() {
        check_schema::<Settings>(SETTINGS);
    }

    #[test]
    fn facts_stand_in_the_place_of_the_path() {
        let labels = &["cpu", "cgroup", "state"];
        let pod = "/sys/fs/cgroup/kubepods/pod0f3c1d6e-97a1-4c1b-8d35-5b8e5b0a7c11/\
                   1111111111111111111111111111111111111111111111111111111111111111";
        let mut by_default = TestTransform::<CgroupPod>::new(json!({}), labels).unwrap();
        assert_eq!(by_default.names(), ["cpu", "state", "pod_uid", "container_id", "qos"]);
        by_default.check(&[
            (
                &["0", pod, "run"],
                "{cpu=\"0\", state=\"run\", pod_uid=\"0f3c1d6e-97a1-4c1b-8d35-5b8e5b0a7c11\", \
                 container_id=\"1111111111111111111111111111111111111111111111111111111111111111\", \
                 qos=\"guaranteed\"}",
            ),
            (&["0", "/sys/fs/cgroup/init.scope", "run"], r#"{cpu="0", state="run"}"#),
            (&["0", "unknown_cgroup_id:7", ""], r#"{cpu="0"}"#),
        ]);
    }

    #[test]
    fn the_path_may_stay_and_facts_be_chosen() {
        let settings = json!({"label": "path", "keep": true, "add": ["unit", "slice"]});
        let mut units = TestTransform::<CgroupPod>::new(settings, &["path"]).unwrap();
        assert_eq!(units.names(), ["path", "unit", "slice"]);
        units.check(&[
            (
                &["/a.slice/b.service"],
                r#"{path="/a.slice/b.service", unit="b.service", slice="a.slice"}"#,
            ),
            (&["/"], r#"{path="/"}"#),
        ]);
    }

    #[test]
    fn bad_settings_are_refused() {
        let refused = |settings, labels: &[&str]| {
            TestTransform::<CgroupPod>::new(settings, labels).err().unwrap()
        };
        assert_eq!(
            refused(json!({}), &["path"]),
            "metric ebpf_exporter_test_total has no label \"cgroup\"; name one of: path"
        );
        assert_eq!(
            refused(json!({"add": ["qos"]}), &["cgroup", "qos"]),
            "add: the metric has a label qos already; leave it out"
        );
        assert_eq!(
            refused(json!({"add": ["pod"]}), &["cgroup"]),
            "settings: unknown variant `pod`, expected one of `pod_uid`, `container_id`, `qos`, \
             `runtime`, `slice`, `unit`"
        );
    }
}
