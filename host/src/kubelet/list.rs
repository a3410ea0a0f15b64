//! What of a kubelet's list is kept: a `v1.PodList` of Kubernetes that has only what tells whose a container
//! is. What else it holds (environments, images, addresses) is never kept, nor written.
//!
//! The plugin `cgroup-pod` reads what is written here, and a whole list as well.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Bytes of a list.
pub const LARGEST_LIST: usize = 64 << 20;
/// Pods of a list: some ten times what a node runs.
const MOST_PODS: usize = 10_000;
/// Containers of a pod, of each kind.
const MOST_CONTAINERS: usize = 256;
/// Owners of a pod.
const MOST_OWNERS: usize = 64;

/// A list as it is written: one pod a line, always in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPods {
    /// How many there are.
    pub count: usize,
    /// The text: JSON in UTF-8.
    pub text: Vec<u8>,
}

impl KeptPods {
    /// What is kept of a list.
    ///
    /// # Errors
    ///
    /// When it is none, or has too much of something.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let List { kind, items: AtMost(mut pods) } = serde_json::from_slice(bytes)?;
        // A client of the API server that asks for pods gets a `List`.
        if !matches!(&*kind, "PodList" | "List") {
            return Err(serde_json::Error::custom(format!("it is a {kind}")));
        }
        pods.iter_mut().for_each(Pod::forget);
        pods.sort_by(|a, b| a.metadata.order().cmp(&b.metadata.order()));
        let lines: Vec<_> = pods.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let lines = lines.join(",\n");
        let text =
            format!("{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[\n{lines}\n]}}\n");
        Ok(Self { count: pods.len(), text: text.into_bytes() })
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    items: AtMost<Pod<'a>, MOST_PODS>,
}

#[derive(Deserialize, Serialize)]
struct Pod<'a> {
    #[serde(borrow)]
    metadata: Naming<'a>,
    #[serde(borrow, default)]
    spec: Place<'a>,
    #[serde(borrow, default)]
    status: Statuses<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Naming<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Labels::is_empty")]
    labels: Labels<'a>,
    #[serde(borrow, default, skip_serializing_if = "Annotations::is_empty")]
    annotations: Annotations<'a>,
    #[serde(borrow, default, skip_serializing_if = "AtMost::is_empty")]
    owner_references: AtMost<Owner<'a>, MOST_OWNERS>,
}

#[derive(Default, Deserialize, Serialize)]
struct Labels<'a> {
    #[serde(borrow, rename = "pod-template-hash", skip_serializing_if = "Option::is_none")]
    template: Option<Cow<'a, str>>,
}

/// That of a static pod: what its cgroup is called by.
#[derive(Default, Deserialize, Serialize)]
struct Annotations<'a> {
    #[serde(borrow, rename = "kubernetes.io/config.hash", skip_serializing_if = "Option::is_none")]
    hash: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
struct Owner<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    controller: bool,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    node_name: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Statuses<'a> {
    #[serde(borrow, default, skip_serializing_if = "AtMost::is_empty")]
    init_container_statuses: AtMost<Status<'a>, MOST_CONTAINERS>,
    #[serde(borrow, default, skip_serializing_if = "AtMost::is_empty")]
    container_statuses: AtMost<Status<'a>, MOST_CONTAINERS>,
    #[serde(borrow, default, skip_serializing_if = "AtMost::is_empty")]
    ephemeral_container_statuses: AtMost<Status<'a>, MOST_CONTAINERS>,
}

#[derive(Deserialize, Serialize)]
struct Status<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// `RUNTIME://HEX`; empty until it has run.
    #[serde(borrow, rename = "containerID", default)]
    id: Cow<'a, str>,
}

impl Pod<'_> {
    /// Leaves out what tells nothing: owners that only hold it, containers that have not run.
    fn forget(&mut self) {
        self.metadata.owner_references.0.retain(|owner| owner.controller);
        let Statuses { init_container_statuses, container_statuses, ephemeral_container_statuses } =
            &mut self.status;
        for all in [init_container_statuses, container_statuses, ephemeral_container_statuses] {
            all.0.retain(|status| !status.id.is_empty());
        }
    }
}

impl Naming<'_> {
    fn order(&self) -> [&str; 3] {
        [&self.namespace, &self.name, &self.uid]
    }
}

impl Labels<'_> {
    fn is_empty(&self) -> bool {
        self.template.is_none()
    }
}

impl Annotations<'_> {
    fn is_empty(&self) -> bool {
        self.hash.is_none()
    }
}

/// `MOST` of something at the most. No list, `null`, is one of nothing.
#[derive(Serialize)]
#[serde(transparent)]
struct AtMost<T, const MOST: usize>(Vec<T>);

impl<T, const MOST: usize> AtMost<T, MOST> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T, const MOST: usize> Default for AtMost<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for AtMost<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counting::<T, MOST>(PhantomData))
    }
}

struct Counting<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Counting<T, MOST> {
    type Value = AtMost<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(AtMost(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            if all.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            all.push(one);
        }
        Ok(AtMost(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        match KeptPods::read(text.as_bytes()) {
            Ok(kept) => String::from_utf8(kept.text).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_what_tells_whose_a_container_is_is_kept() {
        let list = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[
            {"metadata":{"name":"web-5d4f-x","namespace":"shop","uid":"u-2","labels":{"app":"web","pod-template-hash":"5d4f"},
              "ownerReferences":[{"apiVersion":"v1","kind":"Other","name":"o","uid":"u"},
                {"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-5d4f","uid":"u","controller":true}]},
             "spec":{"nodeName":"n1","containers":[{"name":"app","env":[{"name":"SECRET","value":"x"}]}]},
             "status":{"phase":"Running","containerStatuses":[
               {"name":"app","containerID":"containerd://aa","image":"web:1"},{"name":"late","state":{"waiting":{}}}]}},
            {"metadata":{"name":"a","namespace":"shop","uid":"u-1"},"spec":{},"status":{"containerStatuses":null}}]}"#;
        insta::assert_snapshot!(kept(list), @r#"
        {"kind":"PodList","apiVersion":"v1","items":[
        {"metadata":{"name":"a","namespace":"shop","uid":"u-1"},"spec":{},"status":{}},
        {"metadata":{"name":"web-5d4f-x","namespace":"shop","uid":"u-2","labels":{"pod-template-hash":"5d4f"},"ownerReferences":[{"kind":"ReplicaSet","name":"web-5d4f","controller":true}]},"spec":{"nodeName":"n1"},"status":{"containerStatuses":[{"name":"app","containerID":"containerd://aa"}]}}
        ]}
        "#);
        // What was written is a list too, and stays what it is.
        assert_eq!(kept(&kept(list)), kept(list));
    }

    #[test]
    fn a_list_may_be_empty_but_not_something_else() {
        let nobody = "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[\n\n]}\n";
        assert_eq!(kept(r#"{"kind":"PodList","items":null}"#), nobody);
        assert_eq!(kept(r#"{"kind":"List","items":[]}"#), nobody);
        insta::assert_snapshot!(kept(r#"{"kind":"Status","items":[]}"#), @"it is a Status");
        insta::assert_snapshot!(kept(r#"{"kind":"PodList"}"#), @"missing field `items` at line 1 column 18");
        insta::assert_snapshot!(kept(r#"{"kind":"PodList","items":{}}"#), @"invalid type: map, expected a list of at most 10000 at line 1 column 28");
        insta::assert_snapshot!(kept(r#"{"kind":"PodList","items":[{}]}"#), @"missing field `metadata` at line 1 column 29");
        insta::assert_snapshot!(kept("<html>"), @"expected value at line 1 column 1");
    }

    #[test]
    fn what_is_many_is_refused_before_it_is_much() {
        let pod = r#"{"metadata":{"name":"a","namespace":"b","uid":"c"}},"#;
        let list = format!("{{\"kind\":\"PodList\",\"items\":[{}", pod.repeat(MOST_PODS + 1));
        let said = kept(&list);
        assert!(
            said.starts_with("invalid length 10001, expected a list of at most 10000"),
            "{said}"
        );
        // What is passed over may be as deep as it likes.
        let deep = format!("{{\"kind\":\"PodList\",\"other\":{}", "[".repeat(1 << 20));
        assert_eq!(kept(&deep), "EOF while parsing a list at line 1 column 1048602");
    }
}
