//! `cgroup-pod`: a cgroup's path → the Kubernetes pod, container and QoS class it belongs to, with their names
//! if there is a list of pods, or its systemd slice and unit.
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
//! unlisted: drop         # or keep: rows of pods and containers whose names are not known
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
//! | `namespace`, `pod` | the pod's, by the list |
//! | `container` | the container's name in its pod, by the list |
//! | `workload` | the name of what the pod is part of: a Deployment, a CronJob, …; without one, the pod's own |
//! | `workload_kind` | what that is; `Node` of a static pod, `Pod` of one that nobody controls |
//!
//! What a path does not tell is empty, which to Prometheus is a label that is absent. Rows whose
//! labels have become equal (the threads of one container, say) are summed.
//!
//! # Names
//!
//! The last five come from a list of this node's pods, a `v1.PodList` in JSON. `ebpf_wasm_exporter pods` keeps one
//! in a file, and the config names it:
//!
//! ```yaml
//! plugins:
//!   pods:
//!     file: cgroup-pod.wasm
//!     data: {pods: {file: /run/ebpf_exporter/pods.json}}
//!     settings: {add: [namespace, pod, container]}
//! ```
//!
//! The container's id decides, and the pod's UID if the list has no such container. With `unlisted: drop` a row is
//! left out while its pod is not in the list, and while its container is not, if `container` is among the labels.
//! So the series of a pod end with it, and what a new one counts before it is listed comes later, and whole. A
//! pod's sandbox (the `pause` container) is in no list, so it is left out too. With `unlisted: keep` such labels
//! are empty. Rows that are no pod's stay, and have no names. A row whose cgroup the host does not know may be a pod's,
//! so `unlisted: drop` leaves it out as well.
//!
//! A Deployment is found by the hash that its ReplicaSet's name ends with, and a CronJob by the time that its
//! Job's does. The latter is a guess.

use ebpf_exporter_plugin::{Labels, Metric, RowOutcome, Transform, export_transform};

mod list;
mod path;
mod pods;
mod workload;

use list::{Found, Names};
use path::Place;
use pods::Pods;

/// What the config says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    label: String,
    keep: bool,
    add: Vec<Fact>,
    unlisted: Option<Unlisted>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            label: "cgroup".to_owned(),
            keep: false,
            add: vec![Fact::PodUid, Fact::ContainerId, Fact::Qos],
            unlisted: None,
        }
    }
}

/// What becomes of a row whose names are not in the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unlisted {
    /// It is left out until they are.
    #[default]
    Drop,
    /// It has empty ones.
    Keep,
}

/// What a path may tell, or a list of pods; the label has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    PodUid,
    ContainerId,
    Qos,
    Runtime,
    Slice,
    Unit,
    Namespace,
    Pod,
    Container,
    Workload,
    WorkloadKind,
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
            Self::Namespace => "namespace",
            Self::Pod => "pod",
            Self::Container => "container",
            Self::Workload => "workload",
            Self::WorkloadKind => "workload_kind",
        }
    }

    /// Whether only a list of pods tells it.
    fn is_listed(self) -> bool {
        matches!(
            self,
            Self::Namespace | Self::Pod | Self::Container | Self::Workload | Self::WorkloadKind
        )
    }

    fn push(self, place: &Place<'_>, names: &Names<'_>, out: &mut Labels) {
        match self {
            // systemd has no dashes within the parts of a slice's name.
            Self::PodUid => out.push(&place.pod_uid.replace('_', "-")),
            Self::ContainerId => out.push(place.container_id),
            Self::Qos => out.push(place.qos),
            Self::Runtime => out.push(place.runtime),
            Self::Slice => out.push(place.slice),
            Self::Unit => out.push(place.unit),
            Self::Namespace => out.push(names.namespace),
            Self::Pod => out.push(names.pod),
            Self::Container => out.push(names.container),
            Self::Workload => out.push(names.workload),
            Self::WorkloadKind => out.push(names.kind),
        }
    }
}

/// How long a row is left out whose cgroup the host does not know, in seconds. It may be a pod's.
const UNKNOWN: u32 = 5;

/// The transform.
pub struct CgroupPod {
    names: Vec<String>,
    path: usize,
    keep: bool,
    add: Vec<Fact>,
    /// None if no name is asked for.
    pods: Option<Pods>,
    unlisted: Unlisted,
}

impl Transform for CgroupPod {
    type Settings = Settings;

    fn configure(settings: Settings, metric: &Metric) -> Result<Self, String> {
        let Settings { label, keep, add, unlisted } = settings;
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
        let named = add.iter().any(|fact| fact.is_listed());
        if unlisted.is_some() && !named {
            return Err(
                "unlisted: no label of `add` comes from the list of pods; add namespace, pod, \
                        container, workload or workload_kind, or leave it out"
                    .to_owned(),
            );
        }
        let pods = named.then(Pods::new).transpose()?;
        Ok(Self { names, path, keep, add, pods, unlisted: unlisted.unwrap_or_default() })
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
        if self.pods.is_some() && self.unlisted == Unlisted::Drop && !is_path(row[self.path]) {
            return Ok(RowOutcome::DropFor(UNKNOWN));
        }
        let place = Place::of(row[self.path]);
        let names = match &mut self.pods {
            None => Some(Names::default()),
            Some(pods) => named(pods.list().find(&place), &self.add, self.unlisted),
        };
        let Some(names) = names else { return Ok(RowOutcome::Drop) };
        for (i, value) in row.iter().enumerate() {
            if self.keep || i != self.path {
                out.push(value);
            }
        }
        for fact in &self.add {
            fact.push(&place, &names, out);
        }
        Ok(RowOutcome::Labels)
    }
}

/// Whether the host knows the cgroup: of one that it does not the label says so (`unknown_cgroup_id:7`).
fn is_path(label: &str) -> bool {
    label.starts_with('/')
}

/// The names of a row; none if it is left out.
fn named<'l>(found: Found<'l>, add: &[Fact], unlisted: Unlisted) -> Option<Names<'l>> {
    match (found, unlisted) {
        (Found::Listed(names), _) => Some(names),
        (Found::Unknown(_), Unlisted::Drop) if add.contains(&Fact::Container) => None,
        (Found::Unknown(names), _) => Some(names),
        (Found::NotListed, Unlisted::Drop) => None,
        (Found::NotListed, Unlisted::Keep) | (Found::NoPod, _) => Some(Names::default()),
    }
}

/// What the config may say, for messages.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_transform!(CgroupPod, settings = SETTINGS);

#[cfg(test)]
mod tests;
