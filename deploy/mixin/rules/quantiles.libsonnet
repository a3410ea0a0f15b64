// Quantiles of the latencies of examples. A quantile of many buckets is dear to ask for over weeks, and cheap
// to keep: `quantile` is its label.
function(config)
  // A histogram of the examples, and the labels that are worth a quantile each.
  local histograms = [
    { name: 'accept_latency_seconds', by: ['port'] },
    { name: 'bio_latency_seconds', by: ['device', 'operation'] },
    { name: 'cephfs_latency_seconds', by: ['operation'] },
    { name: 'cfs_throttling_seconds', by: ['cgroup'] },
    { name: 'ext4_latency_seconds', by: ['operation'] },
    { name: 'run_queue_latency_seconds', by: [] },
    { name: 'shrink_node_latency_seconds', by: [] },
    { name: 'softirq_entry_latency_seconds', by: ['kind'] },
    { name: 'softirq_service_latency_seconds', by: ['kind'] },
    { name: 'unix_accept_latency_seconds', by: ['addr'] },
    { name: 'xfs_latency_seconds', by: ['operation'] },
  ];
  local rule(histogram, quantile) = {
    local labels = std.join(', ', config.target + histogram.by + ['le']),
    local metric = 'ebpf_exporter_' + histogram.name,

    record: 'instance:%s:quantile_rate%s' % [metric, config.window],
    expr: 'histogram_quantile(%s, sum by (%s) (rate(%s_bucket[%s])))' % [quantile, labels, metric, config.window],
    labels: { quantile: quantile },
  };
  {
    name: 'ebpf_exporter_quantiles',
    rules: [rule(histogram, quantile) for histogram in histograms for quantile in config.quantiles],
  }
