// Plugins: whether they answer, and in time.
function(config)
  local lib = (import 'alert.libsonnet')(config);
  {
    name: 'ebpf_exporter_plugins',
    rules: [
      lib.alert(
        'EbpfExporterPluginNotAsked',
        'warning',
        // One call in a while decides whether it is asked again, so it is not 2 all the time.
        'min_over_time(ebpf_exporter_plugin_breaker_state[%s]) > 0' % config.window,
        '5m',
        'the plugin {{ $labels.plugin }} of {{ $labels.config }} on {{ $labels.instance }} fails so often that it is not asked',
        'Its labels are what `on_error` says. ebpf_exporter_plugin_failures_total has the cause, the log what the guest '
        + 'said. Try it with `ebpf_wasm_exporter plugin run`, raise its limits if they are too tight, or go back to '
        + 'the file that worked.',
      ),
      lib.alert(
        'EbpfExporterPluginFailures',
        'warning',
        lib.grows('ebpf_exporter_plugin_failures_total'),
        '15m',
        'calls of the plugin {{ $labels.plugin }} of {{ $labels.config }} on {{ $labels.instance }} fail',
        'Cause {{ $labels.cause }}. `deadline`, `memory`, `output`: raise this limit of the plugin, or let it do less. '
        + '`budget`: all plugins together took too long; raise --plugins.scrape-budget. Any other is a fault of the '
        + 'plugin, which the log has: try it with `ebpf_wasm_exporter plugin run`.',
      ),
      lib.alert(
        'EbpfExporterPluginDeferred',
        'info',
        lib.grows('ebpf_exporter_plugin_deferred_total'),
        '30m',
        'keys wait for the plugin {{ $labels.plugin }} of {{ $labels.config }} on {{ $labels.instance }}',
        'New keys come faster than it answers within the time of a scrape, so they are shown later. Let the program '
        + 'make fewer different keys, raise --plugins.scrape-budget, or make the plugin faster: `ebpf_wasm_exporter '
        + 'plugin bench` measures it.',
      ),
      lib.alert(
        'EbpfExporterPluginDataUnread',
        'warning',
        lib.grows('ebpf_exporter_plugin_data_failures_total'),
        '15m',
        'the data {{ $labels.data }} of the plugin {{ $labels.plugin }} of {{ $labels.config }} on {{ $labels.instance }} cannot be read',
        'The plugin has what was read last, or nothing. The log has the reason: the file is gone, too large, or not '
        + 'readable for the user of the exporter.',
      ),
      lib.alert(
        'EbpfExporterPluginDataOld',
        'warning',
        'time() - ebpf_exporter_plugin_data_modified_timestamp_seconds{data=~"%s"} > %s'
        % [config.freshData, config.dataOld],
        '5m',
        'the data {{ $labels.data }} of the plugin {{ $labels.plugin }} of {{ $labels.config }} on {{ $labels.instance }} was last renewed {{ $value | humanizeDuration }} ago',
        'What is new since then has no labels, or is left out. See whether `ebpf_wasm_exporter pods` runs there: its '
        + 'log says why the kubelet gives no list, as when a token has expired.',
      ),
    ],
  }
