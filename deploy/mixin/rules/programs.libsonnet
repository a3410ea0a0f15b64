// What programs cost, and how full maps are, by names instead of the kernel's ids.
function(config)
  local by_id(counter) =
    'ebpf_exporter_ebpf_program_info * on (%s) group_left () rate(%s[%s])'
    % [std.join(', ', config.target + ['id']), counter, config.window];
  {
    name: 'ebpf_exporter_programs',
    rules: [
      {
        // As a share of one CPU. The kernel measures it while somebody wants it to (--bpf.stats).
        record: 'program:ebpf_exporter_ebpf_program_run_time_seconds:rate' + config.window,
        expr: by_id('ebpf_exporter_ebpf_program_run_time_seconds'),
      },
      {
        record: 'program:ebpf_exporter_ebpf_program_run_count:rate' + config.window,
        expr: by_id('ebpf_exporter_ebpf_program_run_count_total'),
      },
      {
        record: 'map:ebpf_exporter_map_entries:ratio',
        expr: 'ebpf_exporter_map_entries / ebpf_exporter_map_max_entries',
      },
    ],
  }
