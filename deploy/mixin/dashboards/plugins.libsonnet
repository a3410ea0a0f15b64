// Plugins: what they are asked, what they answer, what they cost.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  local by = ['config', 'plugin'];
  panel.dashboard(config, 'ebpf-exporter-plugins', 'eBPF exporter: plugins', 'Decoders and transforms that are Wasm components.', [
    panel.section('Is all well', [
      panel.number('Plugins', 'That are loaded.', 'none', query.expr('sum(ebpf_exporter_plugin_info{})')),
      panel.fault('Not asked', 'Plugins that fail so often that they are not asked.', 'none',
                  query.expr('count(ebpf_exporter_plugin_breaker_state{} > 0)')),
      panel.fault('Failed calls', 'In a second.', 'none',
                  query.expr('sum(rate(ebpf_exporter_plugin_failures_total{}[$__rate_interval]))')),
      panel.fault('Keys that wait', 'In a second.', 'none',
                  query.expr('sum(rate(ebpf_exporter_plugin_deferred_total{}[$__rate_interval]))')),
      panel.fault('Too much text', 'Rows in a second.', 'none',
                  query.expr('sum(rate(ebpf_exporter_plugin_text_refused_total{}[$__rate_interval]))')),
    ]),
    panel.section('Calls', [
      panel.lines('Calls', 'In a second. A call asks up to 1,024 keys.', 'short', [query.rate('plugin_calls_total', by)]),
      panel.stack('Time', 'As a share of one CPU.', 'percentunit', [query.rate('plugin_call_seconds_sum', by)]),
    ] + panel.latency('A call', 'How long calls take.', 'plugin_call_seconds', ['plugin']) + [
      panel.lines('Failures', 'Calls in a second, by cause.', 'short', [query.rate('plugin_failures_total', by + ['cause'])]),
      panel.lines('Breaker', '0 it is asked, 1 the next call decides, 2 it is not asked.', 'none',
                  [query.series('plugin_breaker_state', by)]),
      panel.lines('Keys that wait', 'In a second: keys that had not had their turn at the end of a scrape.', 'short',
                  [query.rate('plugin_deferred_total', by)]),
      panel.lines('Memory', 'The most that an instance took.', 'bytes', [query.series('plugin_memory_peak_bytes', by)]),
    ]),
    panel.section('Answers', [
      panel.lines('Inputs', 'That it was to answer, in a second.', 'short', [query.rate('plugin_inputs_total', by)]),
      panel.stack('Outcomes', 'What became of inputs, in a second.', 'short', [query.rate('plugin_outcomes_total', by + ['outcome'])]),
      panel.lines('Remembered', 'The share of inputs whose answer was remembered.', 'percentunit', [
        query.expr('rate(ebpf_exporter_plugin_cache_hits_total{}[$__rate_interval]) / (rate(ebpf_exporter_plugin_cache_hits_total{}[$__rate_interval]) + rate(ebpf_exporter_plugin_cache_misses_total{}[$__rate_interval]))', '{{instance}} {{config}} {{plugin}}'),
      ]),
      panel.lines('Forgotten', 'Answers in a second, to make room. Many of them want more `limits.answers`.', 'short',
                  [query.rate('plugin_cache_evictions_total', by)]),
      panel.lines('Answers kept', 'Now.', 'short', [query.series('plugin_cache_entries', by)]),
      panel.lines('What they take', 'Of memory.', 'bytes', [query.series('plugin_cache_bytes', by)]),
      panel.lines('Answers that changed', 'In a second. Each may be a new series.', 'short',
                  [query.rate('plugin_answers_changed_total', by)]),
      panel.lines('Lines of the log', 'Of guests, in a second.', 'short', [query.rate('plugin_log_lines_total', by + ['state'])]),
      panel.lines('Age of data', 'How long ago the files that they read were written, or marked as still right.', 's', [
        query.expr('time() - ebpf_exporter_plugin_data_modified_timestamp_seconds{}', '{{instance}} {{config}} {{plugin}} {{data}}'),
      ]),
      panel.lines('Data looked at', 'How long ago the files that they read could be read.', 's', [
        query.expr('time() - ebpf_exporter_plugin_data_read_timestamp_seconds{}', '{{instance}} {{config}} {{plugin}} {{data}}'),
      ]),
      panel.lines('Data', 'What they are given of a file.', 'bytes', [query.series('plugin_data_bytes', by + ['data'])]),
      panel.lines('Changes of data', 'In a second. After each, all keys are asked again.', 'short',
                  [query.rate('plugin_data_changes_total', by + ['data'])]),
      panel.lines('Data that cannot be read', 'In a second. The last content stays.', 'short',
                  [query.rate('plugin_data_failures_total', by + ['data'])]),
      panel.table('Which plugins', 'And their files.', 'none', query.series('plugin_info'), ['Value']),
    ]),
  ])
