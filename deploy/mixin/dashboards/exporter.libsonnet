// The exporter itself: is it well, what does it cost, and what could it not count.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  panel.dashboard(config, 'ebpf-exporter', 'eBPF exporter', 'What the exporter says about itself.', [
    panel.section('Is all well', [
      panel.number('Exporters', 'That answer.', 'none', query.expr('count(ebpf_exporter_build_info{})')),
      panel.number('Configs', 'That are at work.', 'none', query.expr('sum(ebpf_exporter_enabled_configs{})')),
      panel.fault('Programs not attached', 'The table below has the reasons.', 'none',
                  query.expr('count(ebpf_exporter_ebpf_program_info{} * on (job, instance, id) group_left () (ebpf_exporter_ebpf_program_attached{} == 0))')),
      panel.fault('Configs not read', 'A map of them could not be read.', 'none',
                  query.expr('count(ebpf_exporter_scrape_success{} == 0)')),
      panel.fault('Labels not decoded', 'In a second.', 'none',
                  query.expr('sum(rate(ebpf_exporter_decoder_errors_total{}[$__rate_interval]))')),
      panel.fault('Threads that died', 'A bug, which the log tells of.', 'none',
                  query.expr('count(ebpf_exporter_worker_up{} == 0)')),
      panel.fault('Reloads that failed', 'The last one. The old configs go on, and the log has the faults.', 'none',
                  query.expr('count(ebpf_exporter_config_last_reload_successful{} == 0)')),
      panel.table('Not attached, and why', 'Programs that do not run.', 'none',
                  query.expr('ebpf_exporter_program_attached_info{} unless ebpf_exporter_program_attached_info{reason=""}'), ['Value']),
      panel.lines('Since a whole reading', 'Of all maps of a config. It grows where one cannot be read.', 's', [
        query.expr('time() - ebpf_exporter_scrape_last_success_timestamp_seconds{}', '{{instance}} {{config}}'),
      ]),
    ]),
    panel.section('Scrapes', [
      panel.lines('Rows beyond the bound on series', 'Their labels are `other`.', 'short', [query.rate('series_folded_total', ['config', 'map'])]),
      panel.lines('Age of the configs', 'Since they were read.', 's',
                  [query.expr('time() - ebpf_exporter_config_last_reload_success_timestamp_seconds{}')]),
      panel.lines('Reloads', 'By what became of them.', 'short', [query.rate('config_reloads_total', ['outcome'])]),
      panel.stack('Time by config', 'How long a scrape took to read and decode the maps of each config.', 's',
                  [query.sum('scrape_duration_seconds', ['config'])]),
      panel.stack('Time by phase', 'What scrapes spend their time on.', 'percentunit',
                  [query.rate('scrape_phase_seconds_total', ['phase'])]),
      panel.lines('Entries', 'Read from the maps of each config in a scrape.', 'short',
                  [query.series('scrape_entries', ['config'])]),
      panel.lines('Series', 'What the entries became.', 'short', [query.series('scrape_series', ['config'])]),
      panel.table('How maps are read', 'Why tells what spoke for this way.', 'none',
                  query.series('map_read_info'), ['Value']),
      panel.table('Bundles', 'Which configs are of bundles, and of which.', 'none', query.series('bundle_info'), ['Value']),
      panel.table('Versions', 'Of the exporters.', 'none', query.series('build_info'), ['Value']),
    ]),
    panel.section('What could not be counted', [
      panel.lines('Fill of maps', 'A hash map that is full takes no new keys; an LRU hash forgets the oldest.', 'percentunit', [
        query.expr('ebpf_exporter_map_entries{} / ebpf_exporter_map_max_entries{}', '{{instance}} {{config}} {{map}}'),
      ]),
      panel.lines('No room', 'Events of a second that found no room in a map, as programs count them.', 'short',
                  [query.rate('map_insert_failures_total', ['config'])]),
      panel.lines('Records lost', 'Of perf event arrays and ring buffers, in a second.', 'short',
                  [query.rate('events_lost_total', ['config', 'map', 'cause'])]),
      panel.lines('Records received', 'Of perf event arrays and ring buffers, in a second.', 'short',
                  [query.rate('events_total', ['config', 'map'])]),
      panel.lines('Events missed', 'In a second, since a program ran already, or the kernel had no room to follow a call.', 'short',
                  [query.rate('program_misses_total', ['config', 'program', 'cause'])]),
      panel.lines('Rows forgotten', 'By LRU maps, in a second: an estimate of rows that vanished.', 'short',
                  [query.rate('map_evictions_estimated_total', ['config', 'map'])]),
      panel.lines('Labels not decoded', 'In a second.', 'short', [query.rate('decoder_errors_total', ['config'])]),
    ]),
    panel.section('Spans, where a config has any', [
      panel.lines('Made', 'Of records of ring buffers, in a second.', 'short', [query.rate('spans_read_total', ['config', 'span'])]),
      panel.lines('Sent', 'That a collector took, in a second.', 'short', [query.rate('spans_sent_total', ['config', 'span'])]),
      panel.stack('Dropped', 'That nobody got, in a second, by cause.', 'short', [query.rate('spans_dropped_total', ['config', 'span', 'cause'])]),
      panel.lines('Failures of the collector', 'Spans of a second that could not be sent to it, or that it did not take.', 'short',
                  [query.rate('spans_dropped_total', ['cause'], ', cause=~"failed|rejected"')]),
      panel.lines('Waiting', 'To be sent, now. What is more than OTEL_BSP_MAX_QUEUE_SIZE is dropped.', 'short', [query.series('spans_waiting')]),
      panel.lines('Labels not decoded', 'Of configs with spans, in a second. An id that is none costs its span.', 'short', [
        query.expr('sum by (instance, config) (rate(ebpf_exporter_decoder_errors_total{}[$__rate_interval])) and on (instance, config) ebpf_exporter_spans_read_total{}', '{{instance}} {{config}}'),
      ]),
    ]),
    panel.section('Metrics pushed over OTLP, where a variable asks for it', [
      panel.lines('Pushes', 'In a second, by what became of them.', 'short', [query.rate('otlp_metrics_pushes_total', ['result'])]),
      panel.lines('Points', 'That a collector took or rejected, in a second.', 'short', [query.rate('otlp_metrics_points_total', ['result'])]),
      panel.lines('Since the last', 'How long ago a push was complete.', 's', [
        query.expr('time() - ebpf_exporter_otlp_metrics_last_success_timestamp_seconds{}', '{{instance}}'),
      ]),
    ]),
    panel.section('Cgroups', [
      panel.stack('With a name', 'Living ones, and those that are dead not long ago.', 'short', [query.series('cgroups', ['state'])]),
      panel.lines('In maps of configs', 'That a cgroup_id_map has.', 'short', [query.series('cgroup_id_map_entries', ['config'])]),
      panel.lines('Not taken', 'By a cgroup_id_map, in a second.', 'short', [query.rate('cgroup_id_map_refused_total', ['config'])]),
      panel.lines('Not told of', 'Times in a second that more cgroups came and went than the kernel could tell of.', 'short',
                  [query.rate('cgroup_watch_overflows_total')]),
      panel.lines('Told of', '1 while the kernel tells of cgroups that come and go, 0 where they are only looked for.', 'none',
                  [query.series('cgroup_watch_up')]),
    ]),
    panel.section('What programs cost, while the kernel measures it (--bpf.stats)', [
      panel.stack('Time in programs', 'As a share of one CPU.', 'percentunit', [
        query.expr('sum by (instance, config, program) (ebpf_exporter_ebpf_program_info{} * on (job, instance, id) group_left () rate(ebpf_exporter_ebpf_program_run_time_seconds{}[$__rate_interval]))', '{{instance}} {{config}} {{program}}'),
      ]),
      panel.lines('Runs of programs', 'In a second.', 'short', [
        query.expr('sum by (instance, config, program) (ebpf_exporter_ebpf_program_info{} * on (job, instance, id) group_left () rate(ebpf_exporter_ebpf_program_run_count_total{}[$__rate_interval]))', '{{instance}} {{config}} {{program}}'),
      ]),
      panel.lines('Time of a run', 'The mean.', 's', [
        query.expr('sum by (instance, config, program) (ebpf_exporter_ebpf_program_info{} * on (job, instance, id) group_left () (rate(ebpf_exporter_ebpf_program_run_time_seconds{}[$__rate_interval]) / rate(ebpf_exporter_ebpf_program_run_count_total{}[$__rate_interval])))', '{{instance}} {{config}} {{program}}'),
      ]),
    ]),
    panel.section('The process', [
      panel.lines('Processor time', 'As a share of one CPU.', 'percentunit', [
        query.expr('rate(process_cpu_seconds_total{}[$__rate_interval]) and on (job, instance) ebpf_exporter_build_info{}', '{{instance}}'),
      ]),
      panel.lines('Memory', 'Resident.', 'bytes', [
        query.expr('process_resident_memory_bytes{} and on (job, instance) ebpf_exporter_build_info{}', '{{instance}}'),
      ]),
      panel.lines('File descriptors', 'As a share of those that it may have open.', 'percentunit', [
        query.expr('process_open_fds{} / process_max_fds{} and on (job, instance) ebpf_exporter_build_info{}', '{{instance}}'),
      ]),
      panel.lines('Connections', 'That are open.', 'none', [query.series('http_connections')]),
      panel.lines('Connections accepted', 'In a second.', 'short', [query.rate('http_connections_accepted_total')]),
      panel.lines('Bytes not taken', 'Of answers that clients have not taken yet.', 'bytes', [query.series('http_unsent_bytes')]),
      panel.lines('Connections closed', 'In a second, by cause.', 'short', [query.rate('http_connections_closed_total', ['cause'])]),
      panel.lines('Scrapes refused', 'In a second, for want of room.', 'short', [query.rate('scrapes_refused_total')]),
      panel.lines('Lines of the log lost', 'In a second.', 'short', [query.rate('log_lines_lost_total')]),
    ]),
  ])
