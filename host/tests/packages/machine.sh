#!/bin/bash
# A machine for one trial: systemd and the files of this host, in namespaces of their own. What is written there is
# gone with it; the host's files stay as they are.
#
#   machine.sh DIR     runs DIR/trial.sh there, as root, with DIR as /trial; what it says goes to DIR/said
set -euo pipefail
dir=$(realpath "$1")

# Its cgroups are below one of its own, which is the top that it sees.
top=$(findmnt --noheadings --first-only --output TARGET --types cgroup2)
cgroup=$top/ebpf_wasm_exporter-trial-$$
mkdir "$cgroup"
trap 'find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true' EXIT

# shellcheck disable=SC2016
inside='
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1/machine"
mkdir "$1/machine/upper" "$1/machine/work" "$1/machine/root"
root=$1/machine/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/machine/upper,workdir=$1/machine/work" "$root"
# Of what this host starts at its boot, nothing; and packages may start what they have, whatever this host allows.
rm -rf "$root"/usr/sbin/policy-rc.d "$root"/etc/systemd/system/*.wants "$root"/usr/lib/systemd/system/*.wants "$root"/etc/fstab
mkdir -p "$root/trial"
mount --bind "$1" "$root/trial"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tracefs tracefs "$root/sys/kernel/tracing"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
cat >"$root/etc/systemd/system/trial.service" <<END
[Unit]
Wants=basic.target systemd-journald.service
After=basic.target systemd-journald.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/bash /trial/trial.sh
StandardOutput=file:/trial/said
StandardError=file:/trial/said
END
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /lib/systemd/systemd --system --unit=trial.service --log-target=null --show-status=false
'
mkdir -p "$dir/machine"
(
    echo $BASHPID >"$cgroup/cgroup.procs"
    exec timeout --kill-after=5 120 unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --net \
        bash -c "$inside" machine "$dir"
)
