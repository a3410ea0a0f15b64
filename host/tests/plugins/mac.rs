//! `mac`, in C.

use serde_json::json;

use crate::host;

pub fn answers() {
    let names = json!({"52:54:00": "qemu", "52:54:00:12:34:56": "gateway", "33:33": "ipv6 — all", "FF:ff:FF": "", "02": "\"a\\b\"\n\u{1}"});
    let cases = [
        ("525400123456", "gateway"),
        ("525400123457", "qemu"),
        ("333300000001", "ipv6 — all"),
        ("ffffffffffff", ""),
        ("020000000000", "\"a\\b\"\n\u{1}"),
        ("0a00c0ffee01", "0a:00:c0:ff:ee:01"),
        ("", "(error: plugin `mac`: a MAC address has 6 bytes)"),
        ("52540012345678", "(error: plugin `mac`: a MAC address has 6 bytes)"),
    ];
    host::check("mac", &json!({ "names": names }), &cases);
    let cases = [("525400123457", "qemu"), ("0a00c0ffee01", "other")];
    host::check("mac", &json!({"default": "other", "names": names}), &cases);
    host::check("mac", &json!({}), &[("525400123456", "52:54:00:12:34:56")]);
    // As many as a call may have: what is allocated is freed, and what is remembered stays.
    host::check("mac", &json!({ "names": names }), &[("525400123457", "qemu"); 1024]);
}

pub fn refuses_settings() {
    let no_prefix =
        |text| format!("names: \"{text}\" is not 1 to 6 bytes of an address, such as 52:54:00");
    let bad = ["", "5", "52:5", "52:54:", "52-54", "5g", "1:2:3", "52:54:00:12:34:56:78"];
    for text in bad {
        host::refuses("mac", &[(json!({"names": {text: "x"}}), &no_prefix(text))]);
    }
    let name = "has to be a text";
    let cases = [
        (json!({"names": {"aa": "x", "AA": "y"}}), "names: \"aa\" is there twice"),
        (json!({"names": {"aa": 7}}), &*format!("names: \"aa\" {name}")),
        (json!({"names": ["aa"]}), "names: has to be a mapping of prefixes to names"),
        (json!({"default": null}), &*format!("default: {name}")),
        (
            json!({"default": "x", "more": {"a": [1, {"b": 2}]}, "names": {}}),
            "settings: \"more\" is unknown; there are names and default",
        ),
    ];
    host::refuses("mac", &cases);
}
