# What a person does with the package on a machine that runs, from its installation to its purge. Each step says what
# came of it; /trial/log has the rest.
exec 3>>/trial/log
unit=ebpf_wasm_exporter
step() { echo "# $*"; }
state() { echo "$1: $(systemctl is-enabled "$1" 2>&1), $(systemctl is-active "$1")"; }
quietly() { "$@" >&3 2>&3 || echo "$* failed"; }
# What any page says, to a count of the lines that match.
count() {
    /usr/bin/python3 -c 'import re, sys, urllib.request
text = urllib.request.urlopen("http://localhost:9435/metrics").read().decode()
print(len(re.findall(sys.argv[1], text, re.M)))' "$1" 2>&1 | tail -n 1
}
left() { find /etc /usr /var /run -path /run/systemd -prune -o \( -iname '*ebpf*' -o -iname '*ebpf-*' \) -print | sort; }

left >/trial/before
step install
quietly dpkg --install /trial/it.deb
state $unit.socket
state $unit.service
state $unit-standalone.service
state $unit-pods.service
stat --format '%n: %U, %a' /run/ebpf_exporter

step serve
quietly ebpf_wasm_exporter healthcheck
programs=$(count '^ebpf_exporter_ebpf_program_attached\{')
attached=$(count '^ebpf_exporter_ebpf_program_attached\{.*\} 1$')
[ "$programs" -gt 5 ] && [ "$programs" = "$attached" ] && echo "all programs are attached"
echo "configs that were left out: $(journalctl --unit $unit --grep 'left out' --quiet | wc -l)"
process=$(systemctl show --property MainPID --value $unit.service)
echo "capabilities: $(sed -n 's/^CapEff:\t0*\([0-9a-f]\)/\1/p' "/proc/$process/status")"
[ "$(stat --format %u "/proc/$process")" -gt 0 ] && echo "not root"
compiled=$(find /var/cache/private/$unit -type f | wc -l)
[ "$compiled" -gt 1 ] && echo "compiled plugins are kept"

step configure
sed -i 's|^ARGS=.*|ARGS="--config.dir=/usr/lib/ebpf_wasm_exporter/examples --config.names=raw-tracepoints,softirq-latency"|' /etc/default/$unit
quietly systemctl restart $unit.service
state $unit.service
echo "programs: $(count '^ebpf_exporter_ebpf_program_info\{config="(raw-tracepoints|softirq-latency)"')"
echo "of others: $(count '^ebpf_exporter_ebpf_program_info\{config="timers"')"

step reload
quietly systemctl reload $unit.service
state $unit.service
echo "programs: $(count '^ebpf_exporter_ebpf_program_info\{config="(raw-tracepoints|softirq-latency)"')"

step standalone
quietly systemctl start $unit-standalone.service
state $unit.socket
state $unit-standalone.service
quietly ebpf_wasm_exporter healthcheck
quietly systemctl stop $unit-standalone.service
quietly systemctl start $unit.socket $unit.service

step remove
quietly dpkg --remove ebpf-wasm-exporter
state $unit.service
state $unit.socket
ls /etc/default/$unit

step purge
quietly dpkg --purge ebpf-wasm-exporter
left | diff /trial/before - && echo "nothing is left"
journalctl --quiet --unit "$unit*" >&3
