//! `port`, in JavaScript.

use serde_json::json;

use crate::host;

pub fn answers() {
    let names = json!({
        "22": "ssh", "8000-8999": "http", "8080": "proxy", "8900-9099": "later",
        "32768-60999": "ephemeral", "0": "none", "65535": "last — ☃",
    });
    let cases = [
        ("0016", "ssh"),
        ("1600", "5632"),
        ("1f40", "http"),
        ("1f90", "proxy"),
        ("1f91", "http"),
        ("22c4", "later"),
        ("8000", "ephemeral"),
        ("0000", "none"),
        ("ffff", "last — ☃"),
        ("fffe", "65534"),
        ("", "(error: plugin `port`: a port has 2 bytes)"),
        ("001600", "(error: plugin `port`: a port has 2 bytes)"),
    ];
    host::check("port", &json!({ "names": names }), &cases);
    let settings = json!({"order": "host", "default": "other", "names": names});
    host::check("port", &settings, &[("1600", "ssh"), ("0016", "other")]);
    host::check("port", &json!({}), &[("01bb", "443"); 1024]);
}

pub fn refuses_settings() {
    for text in ["ssh", "", "022", "65536", "9-8", "1-", "-1", "1-2-3", "1.5"] {
        let expected =
            format!("names: \"{text}\" is neither a port nor a range of ports, such as 8000-8999");
        host::refuses("port", &[(json!({"names": {text: "x"}}), &expected)]);
    }
    let cases = [
        (json!({"names": {"22": 7}}), "names: the name of \"22\" has to be a text"),
        (json!({"names": ["ssh"]}), "names: has to be a mapping of ports to names"),
        (json!({"names": null}), "names: has to be a mapping of ports to names"),
        (json!({"order": "little"}), "order: \"little\" is neither network nor host"),
        (json!({"default": 7}), "default: has to be a text"),
        (json!({"name": {}}), "settings: \"name\" is unknown; there are order, names and default"),
    ];
    host::refuses("port", &cases);
}

pub fn wants_memory() {
    assert_eq!(
        host::without_memory("port", 1 << 20),
        "the plugin failed at its start: it wanted more memory than `limits.memory` allows; raise that limit, \
         or use a plugin that wants less"
    );
}
