//! Maps that are pinned by name: where, and what stands there. Asked only to explain a failure.

use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, MapInfo, OpenObject};

use super::{MapKind, MapSpec, text};

/// A map that is to be pinned.
#[derive(Debug)]
pub(super) struct Pin {
    /// The map.
    pub(super) map: String,
    /// The file.
    pub(super) path: String,
    /// The map that is pinned there, if one is that can be opened.
    pub(super) found: Option<MapSpec>,
}

/// The pinned maps of an object.
pub(super) fn of(object: &OpenObject) -> Vec<Pin> {
    let pins = object.maps().filter_map(|map| {
        // SAFETY: the map belongs to `object`, and its path, if it has one, lives as long.
        let path = unsafe {
            let path = libbpf_sys::bpf_map__pin_path(map.as_libbpf_object().as_ptr());
            if path.is_null() {
                return None;
            }
            CStr::from_ptr(path)
        };
        let found = pinned(path);
        Some(Pin { map: text(map.name()), path: path.to_string_lossy().into_owned(), found })
    });
    pins.collect()
}

/// The map that is pinned there.
fn pinned(path: &CStr) -> Option<MapSpec> {
    // SAFETY: the path is terminated.
    let fd = unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the kernel has just given us this descriptor.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // Of a program or a link the kernel would tell too, and it would be taken for a map's.
    let kind = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
    if kind.is_ok_and(|lines| !lines.contains("map_type:")) {
        return None;
    }
    let info = MapInfo::new(fd.as_fd()).ok()?.info;
    Some(MapSpec {
        name: String::new(),
        kind: MapKind::from(info.type_),
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries: info.max_entries,
        flags: info.map_flags,
    })
}
