//! What the chart renders, held against the schemas of those who take it: Kubernetes, and Prometheus' operator.

use std::process::Command;

use serde_json::{Value, json};

use crate::chart::{objects, rendered, sets};
use crate::{ask, read};

/// Python's `kubernetes-validate`, which has the schemas of Kubernetes with it.
pub const JUDGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/tools/kubernetes/bin/kubernetes-validate");

/// The schema of a PodMonitor, of the operator's module.
const OPERATOR: &str = ".ci/tools/kubernetes/podmonitors-crd.json";

/// The first that has volumes of images without a switch, and the newest that the judge knows.
const KUBERNETES: [&str; 2] = ["1.33", "1.37"];

/// Fields that Kubernetes does not know are faults too.
pub fn kubernetes_takes_all() {
    let dir = tempfile::tempdir().unwrap();
    for set in sets() {
        let file = dir.path().join(set.file_name().unwrap());
        std::fs::write(&file, rendered(&set).unwrap()).unwrap();
        for version in KUBERNETES {
            let said = ask(Command::new(JUDGE).args(["--strict", "-k", version]).arg(&file));
            let said = said.unwrap_or_else(|said| panic!("{}: {said}", set.display()));
            assert!(said.contains("passed for resource daemonset/"), "{said}");
        }
    }
}

pub fn the_operator_takes_pod_monitors() {
    let schema: Value = serde_json::from_str(&read(OPERATOR)).unwrap();
    let mut schema = schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    close(&mut schema);
    schema["properties"]["metadata"] = json!({"type": "object"});
    let judge = jsonschema::validator_for(&schema).unwrap();
    let monitors = sets()
        .into_iter()
        .flat_map(|set| objects(&rendered(&set).unwrap()))
        .filter(|object| object["kind"] == "PodMonitor");
    let monitors: Vec<Value> =
        monitors.map(|monitor| serde_json::to_value(monitor).unwrap()).collect();
    assert_eq!(monitors.len(), 2);
    for monitor in &monitors {
        let faults: Vec<_> = judge.iter_errors(monitor).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
    let mut wrong = monitors[0].clone();
    wrong["spec"]["podMetricsEndpoints"][0]["prot"] = json!("http");
    assert!(!judge.is_valid(&wrong), "a field that nobody knows is a fault");
}

/// Kubernetes drops fields that a schema does not have; here they are faults.
fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        if let Some(list) = schema.as_array_mut() {
            list.iter_mut().for_each(close);
        }
        return;
    };
    object.values_mut().for_each(close);
    if object.get("properties").is_some_and(Value::is_object)
        && object.get("type") == Some(&json!("object"))
    {
        object.insert("additionalProperties".to_owned(), json!(false));
    }
}
