// Examples runqlat, runqlat-pods, softirq-latency, softirq-latency-net-rx, percpu-softirq, cfs-throttling.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  panel.dashboard(config, 'ebpf-scheduler', 'eBPF: scheduler and softirqs', 'How long tasks and softirqs wait for a CPU.', [
    panel.section('Run queue (runqlat)',
                  panel.latency('Wait for a CPU', 'From ready to run until running.', 'run_queue_latency_seconds') + [
                    panel.lines('Tasks that got a CPU', 'In a second.', 'short', [query.rate('run_queue_latency_seconds_count')]),
                    panel.lines('Mean wait', 'Of these.', 's', [query.mean('run_queue_latency_seconds')]),
                  ]),
    panel.section('Run queue by pod (runqlat-pods)', [
      panel.heatmap('Wait for a CPU', 'Of all pods.', 's', 'pod_run_queue_latency_seconds'),
      panel.lines('99th percentile by pod', 'The ten worst.', 's', [
        query.expr('topk(10, histogram_quantile(0.99, sum by (pod_uid, le) (rate(ebpf_exporter_pod_run_queue_latency_seconds_bucket{}[$__rate_interval]))))', '{{pod_uid}}'),
      ]),
    ]),
    panel.section('CPU limits (cfs-throttling)', [
      panel.heatmap('Throttled', 'How long groups were held back by their limit.', 's', 'cfs_throttling_seconds'),
      panel.lines('Time throttled', 'The twenty cgroups that lost most, in seconds a second.', 's', [query.top('cfs_throttling_seconds_sum', ['cgroup'])]),
    ]),
    panel.section('Softirqs (softirq-latency, softirq-latency-net-rx)',
                  panel.latency('Raised until entered', 'How long a softirq waits.', 'softirq_entry_latency_seconds', ['kind'])
                  + panel.latency('Entered until left', 'How long it takes.', 'softirq_service_latency_seconds', ['kind']) + [
                    panel.lines('Raised', 'In a second.', 'short', [query.rate('softirq_raised_total', ['kind'])]),
                    panel.lines('Serviced', 'In a second.', 'short', [query.rate('softirq_serviced_total', ['kind'])]),
                  ]),
    panel.section('Softirqs by CPU (percpu-softirq)', [
      panel.lines('By kind', 'In a second.', 'short', [query.rate('softirqs_total', ['vec'])]),
      panel.lines('By CPU', 'In a second. One CPU far above the others takes all interrupts.', 'short', [query.rate('softirqs_total', ['cpu'])]),
    ]),
  ])
