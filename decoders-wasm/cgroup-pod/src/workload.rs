//! What a pod is part of: a Deployment, a DaemonSet, a CronJob and so on.
//!
//! A pod names its owner, and not the owner's owner. Two of those are found by how Kubernetes calls what it
//! makes: a Deployment makes ReplicaSets, and a CronJob makes Jobs.

/// What is known of a pod's owner.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owned<'a> {
    /// The pod's own name.
    pub(crate) pod: &'a str,
    /// The kind and the name of its controller.
    pub(crate) owner: Option<(&'a str, &'a str)>,
    /// The hash of its template, which a Deployment gives its pods.
    pub(crate) template: Option<&'a str>,
    /// Whether the kubelet has it from a file, and no controller made it.
    pub(crate) is_static: bool,
    pub(crate) node: Option<&'a str>,
}

/// What a pod is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
}

/// The workload of a pod.
pub(crate) fn of<'a>(owned: &Owned<'a>) -> Workload<'a> {
    let (kind, name) = match (owned.owner, owned.template) {
        // Its name has the node's behind it, so that the same file on each node makes one workload.
        _ if owned.is_static => ("Node", without(owned.pod, owned.node.unwrap_or_default())),
        (Some(("ReplicaSet", name)), Some(hash)) => match cut(name, hash) {
            Some(deployment) => ("Deployment", deployment),
            None => ("ReplicaSet", name),
        },
        (Some(("Job", name)), _) => match cron_job(name) {
            Some(cron_job) => ("CronJob", cron_job),
            None => ("Job", name),
        },
        (Some(owner), _) => owner,
        (None, _) => ("Pod", owned.pod),
    };
    Workload { kind, name }
}

/// The CronJob whose Jobs are called so: `NAME-MINUTES`, the minutes since 1970, or seconds before Kubernetes
/// 1.21. It is a guess: somebody may call a Job of his own so.
fn cron_job(job: &str) -> Option<&str> {
    let (name, time) = job.rsplit_once('-')?;
    let is_time = matches!(time.len(), 8 | 10) && time.bytes().all(|byte| byte.is_ascii_digit());
    (is_time && !name.is_empty()).then_some(name)
}

fn without<'a>(name: &'a str, end: &str) -> &'a str {
    cut(name, end).unwrap_or(name)
}

/// What stands in `name` before a dash and `end`.
fn cut<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let before = name.strip_suffix(end)?.strip_suffix('-')?;
    (!before.is_empty() && !end.is_empty()).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let owned = |kind, name, template| Owned {
            pod: "pod",
            owner: Some((kind, name)),
            template,
            ..Owned::default()
        };
        let of_file = |pod, node| Owned { pod, is_static: true, node, ..Owned::default() };
        for (owned, expected) in [
            (owned("ReplicaSet", "web-5d4f", Some("5d4f")), "Deployment web"),
            (owned("ReplicaSet", "web-5d4f", Some("77aa")), "ReplicaSet web-5d4f"),
            (owned("ReplicaSet", "web-5d4f", None), "ReplicaSet web-5d4f"),
            (owned("ReplicaSet", "-5d4f", Some("5d4f")), "ReplicaSet -5d4f"),
            (owned("ReplicaSet", "web-", Some("")), "ReplicaSet web-"),
            (owned("StatefulSet", "db", None), "StatefulSet db"),
            (owned("DaemonSet", "proxy", None), "DaemonSet proxy"),
            (owned("Job", "backup-29412345", None), "CronJob backup"),
            (owned("Job", "backup-1764415800", None), "CronJob backup"),
            (owned("Job", "backup-2941234x", None), "Job backup-2941234x"),
            (owned("Job", "migrate-42", None), "Job migrate-42"),
            (owned("Job", "29412345", None), "Job 29412345"),
            (owned("Workflow", "build", None), "Workflow build"),
            (Owned { pod: "shell", ..Owned::default() }, "Pod shell"),
            (of_file("etcd-n1", Some("n1")), "Node etcd"),
            (of_file("etcd-n1", None), "Node etcd-n1"),
            (of_file("n1", Some("n1")), "Node n1"),
        ] {
            let Workload { kind, name } = of(&owned);
            assert_eq!(format!("{kind} {name}"), expected, "{owned:?}");
        }
    }
}
