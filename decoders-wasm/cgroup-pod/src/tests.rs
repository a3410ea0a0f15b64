//! Settings, and what rows become.

use ebpf_exporter_plugin::testing::{TestTransform, check_schema, json, set_data, set_unread_data};

use super::*;

/// What a kubelet answers: a pod of each kind.
const NODE: &str = include_str!("tests/node.json");
/// Containers of it, as they are called there.
const APP: &str = "f5e9bf0fc03d32bb241b783c06d005449ec3c82069fb337c3c1ebecce9578c32";
const SHELL: &str = "83069a4373b0f3c6f8773bd26afa2e3c13b76249d5177104dead58f32561ae08";
/// A pod of it that has not begun, and one that is not there.
const PENDING: &str = "a6e8551c-3179-4b54-8bd3-4c0a6e07d2f6";
const WEB: &str = "fb4b457e-454a-41d8-86a1-d4aef765538a";
const OTHER: &str = "11111111-2222-4333-8444-555555555555";
/// What its static pod is called by.
const ETCD: &str = "2dfbb4d9fb5b1aa239e84f1db1d2fc61";

/// The path that containerd gives a container with systemd's driver.
fn scope(pod: &str, container: &str) -> String {
    let pod = pod.replace('-', "_");
    format!(
        "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod}.slice/\
         cri-containerd-{container}.scope"
    )
}

/// A transform that adds these labels.
fn adding(add: &[&str]) -> TestTransform<CgroupPod> {
    TestTransform::new(json!({"add": add}), &["cgroup"]).unwrap()
}

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
        refused(json!({"add": ["node"]}), &["cgroup"]),
        "settings: unknown variant `node`, expected one of `pod_uid`, `container_id`, `qos`, \
         `runtime`, `slice`, `unit`, `namespace`, `pod`, `container`, `workload`, `workload_kind`"
    );
    assert_eq!(
        refused(json!({"unlisted": "keep"}), &["cgroup"]),
        "unlisted: no label of `add` comes from the list of pods; add namespace, pod, container, workload \
         or workload_kind, or leave it out"
    );
    assert_eq!(
        refused(json!({"add": ["pod"]}), &["cgroup"]),
        "it reads data that the config does not name; add `data: {pods: {file: FILE}}`"
    );
}

#[test]
fn containers_have_the_names_of_the_list() {
    set_data("pods", NODE.as_bytes());
    let mut names = adding(&["namespace", "pod", "container", "workload_kind", "workload"]);
    let ids = [
        (
            "2501c9dceb86f36c0b3f8fde80ab98620e668ff77e1b2b66996fd9d6feb825b9",
            "web-6d4cf56db6-x7k2p mesh Deployment web",
        ),
        (
            "235bef66a0b40c0d203a393962bf97f5e081377ebe0a4b2120f495a8fb84af12",
            "web-6d4cf56db6-x7k2p schema Deployment web",
        ),
        (
            "4b0f5a7c6fa9d2cac41410b92a0093652b2091a125f59e2d8b0a6edb29cbb62a",
            "web-6d4cf56db6-x7k2p debugger-4xk2p Deployment web",
        ),
        (
            "25d94bb336578d3327a944409ee264149eab1209a51c1290363f1febe819c1f9",
            "db-0 postgres StatefulSet db",
        ),
        (
            "e807965baac4c7df8da65fd6c017d7749436ee3c37849b819b4547236a2ac328",
            "backup-29412345-jq8xz dump CronJob backup",
        ),
        (
            "9b9a1dcdc69fc644741946d7839b77989cee515e43b64ac7cc7bbadc6aae4f63",
            "migrate-42-p2c7n migrate Job migrate-42",
        ),
    ];
    for (id, expected) in ids {
        let [pod, container, kind, workload] =
            expected.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let expected = format!(
            "{{namespace=\"shop\", pod=\"{pod}\", container=\"{container}\", workload_kind=\"{kind}\", \
             workload=\"{workload}\"}}"
        );
        // The id alone decides, whatever the pod is called there.
        names.check(&[
            (&[&scope(OTHER, id)], &*expected),
            (&[&format!("/kubepods/{id}")], &*expected),
        ]);
    }
    names.check(&[
        (
            &[&scope(OTHER, "27666676d585252b2a83a369f31e5d576e6fc448d77edae07a0a6bb1fb51087d")],
            r#"{namespace="kube-system", pod="kube-proxy-9bh4d", container="kube-proxy", workload_kind="DaemonSet", workload="kube-proxy"}"#,
        ),
        (
            &[&format!("/kubepods.slice/kubepods-pod{OTHER}.slice/crio-{SHELL}.scope")],
            r#"{namespace="default", pod="shell", container="shell", workload_kind="Pod", workload="shell"}"#,
        ),
    ]);
}

#[test]
fn a_static_pod_is_found_by_its_hash_whoever_lists_it() {
    let path =
        format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{ETCD}.slice");
    let expected = r#"{pod="etcd-node-1", workload_kind="Node", workload="etcd"}"#;
    set_data("pods", NODE.as_bytes());
    let mut names = adding(&["pod", "workload_kind", "workload"]);
    names.check(&[(&[&path], expected)]);
    // The API server has a mirror of it, with another UID.
    let mirror = json!({"kind": "List", "items": [{
        "metadata": {
            "name": "etcd-node-1", "namespace": "kube-system", "uid": OTHER,
            "annotations": {"kubernetes.io/config.hash": ETCD, "kubernetes.io/config.mirror": ETCD},
            "ownerReferences": [{"kind": "Node", "name": "node-1", "controller": true}],
        },
        "spec": {"nodeName": "node-1"},
    }]});
    set_data("pods", mirror.to_string().as_bytes());
    names.check(&[(&[&path], expected), (&[&scope(OTHER, APP)], expected)]);
}

#[test]
fn rows_without_names_are_left_out_or_kept() {
    set_data("pods", NODE.as_bytes());
    let service = "/sys/fs/cgroup/system.slice/ssh.service";
    let (app, sandbox) = (scope(WEB, APP), scope(WEB, &"0".repeat(64)));
    let (pending, gone) = (scope(PENDING, &"1".repeat(64)), scope(OTHER, &"2".repeat(64)));
    let docker = format!("/docker/{}", "3".repeat(64));
    let web = r#"{pod="web-6d4cf56db6-x7k2p"}"#;
    adding(&["pod", "container"]).check(&[
        (&[&app], r#"{pod="web-6d4cf56db6-x7k2p", container="app"}"#),
        (&[&sandbox], "(drop)"),
        (&[&pending], "(drop)"),
        (&[&gone], "(drop)"),
        (&[service], "{}"),
        (&[&docker], "{}"),
    ]);
    // Without the container's name, all that is in the pod is the pod's.
    adding(&["pod"]).check(&[
        (&[&app], web),
        (&[&sandbox], web),
        (&[&pending], r#"{pod="web-6d4cf56db6-new01"}"#),
        (&[&gone], "(drop)"),
        (&[service], "{}"),
    ]);
    let keep = json!({"add": ["pod", "container"], "unlisted": "keep"});
    TestTransform::<CgroupPod>::new(keep, &["cgroup"]).unwrap().check(&[
        (&[&app], r#"{pod="web-6d4cf56db6-x7k2p", container="app"}"#),
        (&[&sandbox], web),
        (&[&gone], "{}"),
        (&[service], "{}"),
    ]);
}

#[test]
fn names_come_and_go_with_the_list() {
    set_unread_data("pods");
    let mut names = adding(&["pod"]);
    let (web, new) = (scope(WEB, APP), scope(OTHER, APP));
    names.check(&[(&[&web], "(drop)"), (&["/init.scope"], "{}")]);
    set_data("pods", NODE.as_bytes());
    names.check(&[(&[&web], r#"{pod="web-6d4cf56db6-x7k2p"}"#)]);
    // What is no list changes nothing.
    set_data("pods", b"<html>");
    names.check(&[(&[&web], r#"{pod="web-6d4cf56db6-x7k2p"}"#)]);
    let moved = json!({"items": [{
        "metadata": {"name": "new", "namespace": "shop", "uid": OTHER},
        "status": {"containerStatuses": [{"name": "waits"}]},
    }]});
    set_data("pods", moved.to_string().as_bytes());
    names.check(&[(&[&web], "(drop)"), (&[&new], r#"{pod="new"}"#)]);
}

/// A cgroup that the host does not know yet may be a pod's.
#[test]
fn what_has_no_path_yet_waits_for_one() {
    set_data("pods", NODE.as_bytes());
    let mut names = adding(&["pod"]);
    names.check(&[
        (&["unknown_cgroup_id:7"], "(drop for 5 s)"),
        (&["/sys/fs/cgroup/init.scope"], "{}"),
        (&[&scope(WEB, APP)], r#"{pod="web-6d4cf56db6-x7k2p"}"#),
    ]);
    let keep = json!({"add": ["pod"], "unlisted": "keep"});
    let mut keeping = TestTransform::<CgroupPod>::new(keep, &["cgroup"]).unwrap();
    keeping.check(&[(&["unknown_cgroup_id:7"], "{}")]);
    let mut facts = adding(&["qos"]);
    facts.check(&[(&["unknown_cgroup_id:7"], "{}")]);
}
