// The exporter itself: whether it is there, and does all that it was asked for.
function(config)
  local lib = (import 'alert.libsonnet')(config);
  {
    name: 'ebpf_exporter',
    rules: [
      lib.alert(
        'EbpfExporterDown',
        'critical',
        'up == 0 and %s max_over_time(ebpf_exporter_build_info[%s])' % [lib.on([]), config.remembered],
        '5m',
        'the eBPF exporter {{ $labels.instance }} does not answer',
        'Prometheus could not scrape it for 5 minutes. Look whether the process runs, and how it ended: its last '
        + 'line on standard error says why, and each exit code has a meaning of its own (`ebpf_wasm_exporter --help`).',
      ),
      lib.alert(
        'EbpfExporterScrapeFailed',
        'warning',
        'ebpf_exporter_scrape_success == 0',
        '5m',
        'maps of the config {{ $labels.config }} on {{ $labels.instance }} cannot be read',
        'Its metrics are missing, or stand still. The log names the map and what the kernel said. Start the exporter '
        + 'anew once the reason is gone.',
      ),
      lib.alert(
        'EbpfExporterScrapeSlow',
        'warning',
        'sum without (config) (ebpf_exporter_scrape_duration_seconds) > ' + config.scrapeSlow,
        '15m',
        'scrapes of {{ $labels.instance }} take {{ $value | humanizeDuration }}',
        'Prometheus gives up after its scrape_timeout, and then nothing is counted. '
        + 'ebpf_exporter_scrape_duration_seconds says which config it is, ebpf_exporter_scrape_phase_seconds_total '
        + 'what the time is spent on, ebpf_exporter_map_read_info how its maps are read. Drop labels that make many '
        + 'series, or scrape less often.',
      ),
      lib.alert(
        'EbpfExporterScrapesRefused',
        'warning',
        lib.grows('ebpf_exporter_scrapes_refused_total'),
        '10m',
        'clients of {{ $labels.instance }} get no whole answer',
        'There was no room for more answers. Look at ebpf_exporter_http_connections_closed_total for why connections '
        + 'are closed. Let fewer clients scrape it, or ones that read faster.',
      ),
      lib.alert(
        'EbpfExporterReloadFailed',
        'warning',
        'ebpf_exporter_config_last_reload_successful == 0',
        '5m',
        'the last reload of {{ $labels.instance }} failed',
        'It serves the configs that it had before. The log has every fault of the new ones: mend them, and reload again.',
      ),
      lib.alert(
        'EbpfExporterWorkerDown',
        'critical',
        'ebpf_exporter_worker_up == 0',
        '1m',
        'the thread {{ $labels.worker }} of {{ $labels.instance }} has died',
        'This is a bug. The log tells of it: report it with these lines, and start the exporter anew.',
      ),
      lib.alert(
        'EbpfExporterHostNotSeen',
        'warning',
        'ebpf_exporter_host_success == 0',
        '10m',
        'the BPF programs of {{ $labels.instance }} cannot be looked at',
        'The metrics ebpf_exporter_host_… are missing. The log has the reason. If the process that looks at them has '
        + 'ended, start the exporter anew; if it answers late, the host is busy.',
      ),
      lib.alert(
        'EbpfExporterProgramNotAttached',
        'warning',
        'ebpf_exporter_ebpf_program_info * %s group_left () (ebpf_exporter_ebpf_program_attached == 0)'
        % lib.on(['id']),
        '5m',
        'the program {{ $labels.program }} of {{ $labels.config }} is not attached on {{ $labels.instance }}',
        'Its metrics do not count. `ebpf_exporter_program_attached_info` has the reason, and the status page what to do: a kernel that lacks the function, '
        + 'a missing capability, an interface that is not there. `--config.strict` makes it a reason not to start.',
      ),
      lib.alert(
        'EbpfExporterLogLinesLost',
        'info',
        lib.grows('ebpf_exporter_log_lines_lost_total'),
        '15m',
        'lines of the log of {{ $labels.instance }} are lost',
        'What takes its standard error does not read it in time, or cannot write it: is the disk full, has the '
        + 'collector of logs stopped? Whatever goes wrong now is not in the log.',
      ),
    ],
  }
