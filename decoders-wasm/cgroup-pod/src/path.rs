//! What the names in a cgroup's path tell.
//!
//! Never fails: a name that follows no pattern tells nothing.

/// Where a cgroup stands. What its path does not tell is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// As it stands in the path: systemd's driver writes `_` for `-`.
    pub(crate) pod_uid: &'a str,
    pub(crate) container_id: &'a str,
    pub(crate) qos: &'a str,
    pub(crate) runtime: &'static str,
    pub(crate) slice: &'a str,
    pub(crate) unit: &'a str,
}

impl<'a> Place<'a> {
    /// Reads a path from the root down, so that of nested containers the innermost counts.
    pub(crate) fn of(path: &'a str) -> Self {
        let mut place = Self::default();
        // kubelet's quality of service, from the names above the pod's.
        let mut qos = "";
        for name in path.split('/') {
            place.read_unit(name);
            // containerd that was not told of systemd's driver gives one name for three:
            // `kubepods-burstable-podUID.slice:cri-containerd:ID`.
            for name in name.split(':') {
                match name {
                    "kubepods" | "kubepods.slice" => qos = "",
                    "burstable" | "besteffort" => qos = name,
                    _ => place.read_name(name, qos),
                }
            }
        }
        place
    }

    fn read_name(&mut self, name: &'a str, qos_above: &'a str) {
        if let Some((pod_uid, qos)) = pod(name) {
            let qos = [qos, qos_above, "guaranteed"].into_iter().find(|qos| !qos.is_empty());
            let qos = qos.unwrap_or_default();
            *self = Self { pod_uid, qos, slice: self.slice, unit: self.unit, ..Self::default() };
        } else if let Some((container_id, runtime)) = container(name) {
            self.container_id = container_id;
            self.runtime = runtime;
        }
    }

    /// systemd's own rule: the unit is the first name that is no slice; slices end there.
    fn read_unit(&mut self, name: &'a str) {
        const UNITS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
        if !self.unit.is_empty() {
            return;
        }
        if name.ends_with(".slice") {
            self.slice = name;
        } else if UNITS.iter().any(|suffix| name.ends_with(suffix)) {
            self.unit = name;
        }
    }
}

/// A pod's UID, and its quality of service as far as the name tells:
/// `kubepods-burstable-podUID.slice` (systemd, any prefix in front of `kubepods`) or `podUID`.
fn pod(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let (uid, qos) = match name.rsplit_once("-pod") {
        Some((above, uid)) => {
            let (_, qos) = above.rsplit_once("kubepods")?;
            (uid, qos.trim_start_matches('-'))
        }
        None => (name.strip_prefix("pod")?, ""),
    };
    let is_uid = uid.len() >= 32
        && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_'));
    is_uid.then_some((uid, qos))
}

/// A container's id and its runtime: `RUNTIME-ID.scope`, `RUNTIME-ID` or the id alone.
fn container(name: &str) -> Option<(&str, &'static str)> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (prefix, id) = name.rsplit_once('-').unwrap_or(("", name));
    let is_id = id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let runtime = match prefix {
        "cri-containerd" | "nerdctl" => "containerd",
        "crio" => "cri-o",
        "docker" => "docker",
        "libpod" => "podman",
        // The monitor of a container is not in it.
        _ if prefix.ends_with("conmon") => return None,
        _ => "",
    };
    is_id.then_some((id, runtime))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths with `UID` (with dashes), `U_D` (with underscores), `HASH` and `ID` in them, and what
    /// they tell: pod, container, qos, runtime, slice, unit (`-`: nothing).
    const TABLE: &str = "
        /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/cri-containerd-ID.scope
          U_D ID burstable containerd kubepods-burstable-podU_D.slice cri-containerd-ID.scope
        /kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope
          U_D ID besteffort cri-o kubepods-besteffort-podU_D.slice crio-ID.scope
        /kubepods.slice/kubepods-podU_D.slice/docker-ID.scope
          U_D ID guaranteed docker kubepods-podU_D.slice docker-ID.scope
        /kubepods.slice/kubepods-podU_D.slice/crio-ID.scope/container
          U_D ID guaranteed cri-o kubepods-podU_D.slice crio-ID.scope
        /kubepods.slice/kubepods-podU_D.slice/crio-conmon-ID.scope
          U_D - guaranteed - kubepods-podU_D.slice crio-conmon-ID.scope
        /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podHASH.slice
          HASH - burstable - kubepods-burstable-podHASH.slice -
        /sys/fs/cgroup/memory/kubepods/burstable/podUID/ID
          UID ID burstable - - -
        /sys/fs/cgroup/systemd/kubepods/besteffort/podUID/crio-ID
          UID ID besteffort cri-o - -
        /kubepods/podUID/ID
          UID ID guaranteed - - -
        /system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID
          U_D ID burstable - system.slice containerd.service
        /docker/ID
          - ID - - - -
        /system.slice/docker-ID.scope
          - ID - docker system.slice docker-ID.scope
        /machine.slice/libpod-ID.scope/container
          - ID - podman machine.slice libpod-ID.scope
        /docker/OTHER/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podU_D.slice/cri-containerd-ID.scope
          U_D ID burstable containerd kubelet-kubepods-burstable-podU_D.slice cri-containerd-ID.scope
        /docker/OTHER/kubelet/kubepods/burstable/podUID
          UID - burstable - - -
        /sys/fs/cgroup/unified/user.slice/user-1000.slice/user@1000.service/app.slice/shell.scope
          - - - - user-1000.slice user@1000.service
        /sys/fs/cgroup/system.slice/system-getty.slice/getty@tty1.service
          - - - - system-getty.slice getty@tty1.service
        /sys/fs/cgroup/podcast/kubepods-podcast.slice/pod
          - - - - kubepods-podcast.slice -
        /
          - - - - - -
        unknown_cgroup_id:1234
          - - - - - -
    ";

    #[test]
    fn table() {
        let text = TABLE
            .replace("OTHER", &"0123".repeat(16))
            .replace("UID", "0f3c1d6e-97a1-4c1b-8d35-5b8e5b0a7c11")
            .replace("U_D", "0f3c1d6e_97a1_4c1b_8d35_5b8e5b0a7c11")
            .replace("HASH", &"ab12".repeat(8))
            .replace("ID", &"cdef".repeat(16));
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        for pair in lines.chunks(2) {
            let place = Place::of(pair[0]);
            let told = [
                place.pod_uid,
                place.container_id,
                place.qos,
                place.runtime,
                place.slice,
                place.unit,
            ];
            let told = told.map(|fact| if fact.is_empty() { "-" } else { fact });
            assert_eq!(told.join(" "), pair[1], "path {}", pair[0]);
        }
        assert_eq!(lines.len(), 40);
    }
}
