// What could not be counted, and what makes that likely.
function(config)
  local lib = (import 'alert.libsonnet')(config);
  {
    name: 'ebpf_exporter_counting',
    rules: [
      lib.alert(
        'EbpfExporterDecoderErrors',
        'warning',
        lib.grows('ebpf_exporter_decoder_errors_total'),
        '10m',
        'labels of the config {{ $labels.config }} on {{ $labels.instance }} cannot be decoded',
        'Rows with such labels are shown as the config says, as `error` by default. The log has the first key, and '
        + 'what was wrong with it. Do sizes and decoders in the YAML fit what the program writes?',
      ),
      lib.alert(
        'EbpfExporterEventsLost',
        'warning',
        'sum without (cpu) (rate(ebpf_exporter_events_lost_total[%s])) > 0' % config.window,
        '5m',
        '{{ $value | humanize }} records a second of {{ $labels.config }} are not counted on {{ $labels.instance }}',
        'Map {{ $labels.map }}, cause {{ $labels.cause }}. `buffer`: the program sends faster than the exporter reads; '
        + 'let it count in a map, or filter before it sends. `keys`: there are too many different keys; drop a label. '
        + '`short`: records are shorter than the labels in the YAML; correct one of the two.',
      ),
      lib.alert(
        'EbpfExporterSpansDropped',
        'warning',
        lib.grows('ebpf_exporter_spans_dropped_total'),
        '5m',
        '{{ $value | humanize }} spans a second of {{ $labels.config }} reach nobody from {{ $labels.instance }}',
        'Span {{ $labels.span }}, cause {{ $labels.cause }}. `queue_full`: more are made than sent; raise '
        + 'OTEL_BSP_MAX_QUEUE_SIZE, or let the program make fewer. `failed`: the collector cannot be reached or does not '
        + 'take them; the log has the reason. `rejected`: it took only the others; its own log has the reason.',
      ),
      lib.alert(
        'EbpfExporterPushesFail',
        'warning',
        lib.grows('ebpf_exporter_otlp_metrics_pushes_total{result="failed"}'),
        '10m',
        'metrics of {{ $labels.instance }} are not pushed',
        'The collector cannot be reached, or does not take them: the log has the reason. Metrics are served meanwhile, and '
        + 'the next push tells all that was counted.',
      ),
      lib.alert(
        'EbpfExporterMapNearlyFull',
        'warning',
        'ebpf_exporter_map_entries / ebpf_exporter_map_max_entries > %s unless %s ebpf_exporter_map_evictions_estimated_total'
        % [config.mapNearlyFull, lib.on(['config', 'map'])],
        '15m',
        'the map {{ $labels.map }} of {{ $labels.config }} on {{ $labels.instance }} is {{ $value | humanizePercentage }} full',
        'Once it is full, no new key is counted. Raise its max_entries, drop a part of its key, let the program delete '
        + 'what is over, or make it an LRU hash, which forgets the oldest instead.',
      ),
      lib.alert(
        'EbpfExporterMapInsertFailures',
        'warning',
        lib.grows('ebpf_exporter_map_insert_failures_total'),
        '5m',
        'programs of {{ $labels.config }} on {{ $labels.instance }} found no room in a map {{ $value | humanize }} times a second',
        'These events are not counted. ebpf_exporter_map_entries says which map is full: raise its max_entries, drop a '
        + 'part of its key, or make it an LRU hash.',
      ),
      lib.alert(
        'EbpfExporterMapEvictions',
        'info',
        lib.grows('ebpf_exporter_map_evictions_estimated_total'),
        '30m',
        'the map {{ $labels.map }} of {{ $labels.config }} on {{ $labels.instance }} forgets {{ $value | humanize }} rows a second',
        'What such a row counted since the last scrape is lost, and series of rows that come back may start from 0. '
        + 'Raise its max_entries, drop a part of its key, or scrape more often.',
      ),
      lib.alert(
        'EbpfExporterProgramMisses',
        'warning',
        lib.grows('ebpf_exporter_program_misses_total'),
        '15m',
        'the program {{ $labels.program }} of {{ $labels.config }} on {{ $labels.instance }} misses {{ $value | humanize }} events a second',
        'Cause {{ $labels.cause }}. `recursion`: the event came while the program, or another on this CPU, was running; '
        + 'a hook of the kind tp_btf or fentry misses less than a tracepoint or kprobe. `probe`: the kernel had no '
        + 'room to follow so many calls at once, or an interrupt came in between; take fentry or fexit instead.',
      ),
      lib.alert(
        'EbpfExporterCgroupsRefused',
        'warning',
        lib.grows('ebpf_exporter_cgroup_id_map_refused_total'),
        '5m',
        'the cgroup_id_map of {{ $labels.config }} on {{ $labels.instance }} does not take all cgroups',
        'Programs do not see those that are not in it. Raise its max_entries, or write patterns that match fewer '
        + 'cgroups; the log has the reason if it is another.',
      ),
    ],
  }
