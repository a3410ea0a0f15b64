//! The list of a node's pods, as Kubernetes writes it: which names a container and a pod have.
//!
//! It is a `v1.PodList` in JSON: what `ebpf_wasm_exporter pods` keeps, or the whole of what a kubelet or the
//! API server answers. What is not needed is passed over. Names are put into an index once for each version
//! of the list, so that a row costs two searches in sorted arrays.

use std::borrow::Cow;

use serde::Deserialize;

use crate::path::Place;
use crate::workload::{self, Owned};

/// A list, to be asked for names.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// All names, end to end.
    text: String,
    pods: Vec<Listed>,
    /// Where in `pods` a pod stands, by its UID and by what its cgroup is called by; sorted.
    by_uid: Vec<([u8; 16], u32)>,
    /// Where in `pods` a container's pod stands, and its own name, by its id; sorted.
    by_id: Vec<([u8; 32], u32, Span)>,
}

/// A part of [`Index::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span(u32, u32);

#[derive(Clone, Copy, Debug)]
struct Listed {
    namespace: Span,
    name: Span,
    workload: Span,
    kind: Span,
}

/// The names of a pod, and that of one of its containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) workload: &'a str,
    pub(crate) kind: &'a str,
    /// Empty if the list has none of this id.
    pub(crate) container: &'a str,
}

/// What a list says of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// It is in no pod.
    NoPod,
    /// It is in a pod that is not in the list.
    NotListed,
    /// It is in a container that is not in the list, of a pod that is. It may be the pod's sandbox, which no
    /// list has, or one that has just started.
    Unknown(Names<'a>),
    /// It is in this pod, and in this container if there is one.
    Listed(Names<'a>),
}

impl Index {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// When it is none: why.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
        // Settings are read from a text too: with one parser for both the component is 10 KB smaller.
        let list: Result<List<'_>, _> = serde_json::from_str(text);
        let List { items } = list.map_err(|error| error.to_string())?;
        let mut index = Self::default();
        items.unwrap_or_default().iter().for_each(|pod| index.add(pod));
        index.by_uid.sort_unstable();
        index.by_id.sort_unstable();
        index.text.shrink_to_fit();
        Ok(index)
    }

    fn add(&mut self, Pod { metadata, spec, status }: &Pod<'_>) {
        let place = self.pods.len() as u32;
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller);
        let workload = workload::of(&Owned {
            pod: &metadata.name,
            owner: owner.map(|owner| (&*owner.kind, &*owner.name)),
            template: metadata.labels.template.as_deref(),
            is_static: metadata.annotations.hash.is_some(),
            node: spec.node_name.as_deref(),
        });
        let listed = Listed {
            namespace: self.keep(&metadata.namespace),
            name: self.keep(&metadata.name),
            workload: self.keep(workload.name),
            kind: self.keep(workload.kind),
        };
        self.pods.push(listed);
        // The API server has another UID for a static pod than its kubelet, which has called the cgroup.
        let uids = [Some(&metadata.uid), metadata.annotations.hash.as_ref()];
        let uids = uids.into_iter().flatten().filter_map(|uid| uid_of(uid));
        self.by_uid.extend(uids.map(|uid| (uid, place)));
        let Statuses { init, usual, ephemeral } = status;
        for container in [init, usual, ephemeral].into_iter().flatten().flatten() {
            // The runtime's name stands before it.
            let id = container.id.rsplit("://").next().and_then(hex);
            if let Some(id) = id {
                let name = self.keep(&container.name);
                self.by_id.push((id, place, name));
            }
        }
    }

    fn keep(&mut self, name: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(name);
        Span(start, self.text.len() as u32)
    }

    /// The names of what is at this place: by the container's id, and if that tells nothing by the pod's UID.
    pub(crate) fn find(&self, place: &Place<'_>) -> Found<'_> {
        if let Some(id) = hex(place.container_id)
            && let Ok(at) = self.by_id.binary_search_by_key(&id, |(id, _, _)| *id)
        {
            let (_, pod, name) = self.by_id[at];
            return Found::Listed(Names { container: self.text(name), ..self.names(pod) });
        }
        if place.pod_uid.is_empty() {
            return Found::NoPod;
        }
        let uid = uid_of(place.pod_uid).unwrap_or_default();
        match self.by_uid.binary_search_by_key(&uid, |(uid, _)| *uid) {
            Err(_) => Found::NotListed,
            Ok(at) if place.container_id.is_empty() => Found::Listed(self.names(self.by_uid[at].1)),
            Ok(at) => Found::Unknown(self.names(self.by_uid[at].1)),
        }
    }

    fn names(&self, pod: u32) -> Names<'_> {
        let Listed { namespace, name, workload, kind } = self.pods[pod as usize];
        Names {
            namespace: self.text(namespace),
            pod: self.text(name),
            workload: self.text(workload),
            kind: self.text(kind),
            container: "",
        }
    }

    fn text(&self, Span(start, end): Span) -> &str {
        &self.text[start as usize..end as usize]
    }
}

/// A pod's UID or hash: 32 hex digits, with whatever between them.
fn uid_of(text: &str) -> Option<[u8; 16]> {
    let mut digits = [0; 32];
    let mut count = 0;
    for byte in text.bytes().filter(|byte| !matches!(byte, b'-' | b'_')) {
        *digits.get_mut(count)? = byte;
        count += 1;
    }
    if count == digits.len() { hex(str::from_utf8(&digits).ok()?) } else { None }
}

/// The bytes that so many hex digits stand for.
fn hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[derive(Deserialize)]
struct List<'a> {
    /// `null` if there are none. It has to be there: nothing else is a list.
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    items: Option<Vec<Pod<'a>>>,
}

#[derive(Deserialize)]
struct Pod<'a> {
    #[serde(borrow)]
    metadata: Naming<'a>,
    #[serde(borrow, default)]
    spec: Spec<'a>,
    #[serde(borrow, default)]
    status: Statuses<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Naming<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: Labels<'a>,
    #[serde(borrow, default)]
    annotations: Annotations<'a>,
    #[serde(borrow)]
    owner_references: Option<Vec<Owner<'a>>>,
}

#[derive(Default, Deserialize)]
struct Labels<'a> {
    #[serde(borrow, rename = "pod-template-hash")]
    template: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Annotations<'a> {
    /// Only a static pod has it.
    #[serde(borrow, rename = "kubernetes.io/config.hash")]
    hash: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    controller: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    node_name: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Statuses<'a> {
    #[serde(borrow, rename = "initContainerStatuses")]
    init: Option<Vec<Container<'a>>>,
    #[serde(borrow, rename = "containerStatuses")]
    usual: Option<Vec<Container<'a>>>,
    #[serde(borrow, rename = "ephemeralContainerStatuses")]
    ephemeral: Option<Vec<Container<'a>>>,
}

#[derive(Deserialize)]
struct Container<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// `RUNTIME://HEX`; empty until it has run.
    #[serde(borrow, rename = "containerID", default)]
    id: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex_and_nothing_else() {
        assert_eq!(hex("00ff"), Some([0, 255]));
        assert_eq!(hex("00FF"), Some([0, 255]));
        for text in ["", "00f", "00ff0", "00fg", "é0f"] {
            assert_eq!(hex::<2>(text), None, "{text}");
        }
        let uid = Some([0x11; 16]);
        assert_eq!(uid_of("11111111-1111-1111-1111-111111111111"), uid);
        assert_eq!(uid_of("11111111_1111_1111_1111_111111111111"), uid);
        assert_eq!(uid_of(&"1".repeat(32)), uid);
        for text in ["", "1", &"1".repeat(33), "u-1"] {
            assert_eq!(uid_of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let said = |text: &str| Index::read(text.as_bytes()).unwrap_err();
        assert_eq!(said("<html>"), "expected value at line 1 column 1");
        assert_eq!(said("{}"), "missing field `items` at line 1 column 2");
        assert!(Index::read(br#"{"items":null}"#).unwrap().pods.is_empty());
    }
}
