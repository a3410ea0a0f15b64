//! `uuid`, in Python.

use serde_json::json;

use crate::host;

const LINUX: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

pub fn answers() {
    let names = json!({
        LINUX: "linux",
        "{C12A7328-F81F-11D2-BA4B-00A0C93EC93B}": "efi",
        "00000000000000000000000000000000": "keiner — ☃",
    });
    let cases = [
        ("0fc63daf848347728e793d69d8477de4", "linux"),
        ("af3dc60f838472478e793d69d8477de4", "af3dc60f-8384-7247-8e79-3d69d8477de4"),
        ("c12a7328f81f11d2ba4b00a0c93ec93b", "efi"),
        ("00000000000000000000000000000000", "keiner — ☃"),
        ("", "(error: plugin `uuid`: a UUID has 16 bytes)"),
        ("0fc63daf", "(error: plugin `uuid`: a UUID has 16 bytes)"),
    ];
    host::check("uuid", &json!({ "names": names }), &cases);
    let settings = json!({"order": "guid", "default": "other", "names": names});
    let cases = [
        ("af3dc60f838472478e793d69d8477de4", "linux"),
        ("0fc63daf848347728e793d69d8477de4", "other"),
    ];
    host::check("uuid", &settings, &cases);
    host::check("uuid", &json!({}), &[("0fc63daf848347728e793d69d8477de4", LINUX); 1024]);
}

pub fn refuses_settings() {
    let cases = [
        (
            json!({"names": {"sda1": "root"}}),
            "names: \"sda1\" is no UUID, such as 0fc63daf-8483-4772-8e79-3d69d8477de4",
        ),
        (
            json!({"names": {LINUX: 7}}),
            "names: the name of \"0fc63daf-8483-4772-8e79-3d69d8477de4\" has to be a text",
        ),
        (
            json!({"names": {LINUX: "a", LINUX.to_uppercase(): "b"}}),
            "names: \"0fc63daf-8483-4772-8e79-3d69d8477de4\" is there twice",
        ),
        (json!({"names": ["root"]}), "names: has to be a mapping of UUIDs to names"),
        (json!({"order": "efi"}), "order: \"efi\" is neither rfc nor guid"),
        (json!({"order": ["rfc"]}), "order: [\"rfc\"] is neither rfc nor guid"),
        (json!({"default": 7}), "default: has to be a text"),
        (json!({"name": {}}), "settings: \"name\" is unknown; there are order, names and default"),
    ];
    host::refuses("uuid", &cases);
}

pub fn wants_memory() {
    assert_eq!(
        host::without_memory("uuid", 8 << 20),
        "the plugin failed at its start: it wanted more memory than `limits.memory` allows; raise that limit, \
         or use a plugin that wants less"
    );
}
