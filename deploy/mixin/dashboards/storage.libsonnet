// Examples biolatency, ext4dist, xfsdist, cephfs-dist.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  local filesystem(name, example) = panel.section('%s (%s)' % [name, example], panel.latency(
    name, 'How long operations take.', '%s_latency_seconds' % name, ['operation']
  ) + [
    panel.stack(name + ': operations', 'In a second.', 'short', [query.rate('%s_latency_seconds_count' % name, ['operation'])]),
    panel.lines(name + ': mean', 'Of an operation.', 's', [query.mean('%s_latency_seconds' % name, ['operation'])]),
  ]);
  panel.dashboard(config, 'ebpf-storage', 'eBPF: block devices and filesystems', 'How long reads and writes take, at the device and above it.', [
    panel.section('Block devices (biolatency)', [
      panel.heatmap('Reads', 'How long they take.', 's', 'bio_latency_seconds', ', operation="read"'),
      panel.heatmap('Writes', 'How long they take.', 's', 'bio_latency_seconds', ', operation="write"'),
      panel.lines('Quantiles', 'By device and operation.', 's', [query.quantile(part, 'bio_latency_seconds', ['device', 'operation']) for part in ['0.5', '0.99']]),
      panel.stack('Requests', 'In a second.', 'iops', [query.rate('bio_latency_seconds_count', ['device', 'operation'])]),
    ]),
    filesystem('ext4', 'ext4dist'),
    filesystem('xfs', 'xfsdist'),
    filesystem('cephfs', 'cephfs-dist'),
  ])
