// All BPF programs and maps of the hosts, of exporters that look at them (--bpf.host).
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

// A figure of each program or map, with what is known of it.
local known(kind, figure, by) =
  query.expr(
    'sum by (instance, %s) (ebpf_exporter_host_%s_info{} * on (job, instance, id) group_left () %s)'
    % [std.join(', ', by), kind, figure],
    '{{instance}} ' + std.join(' ', ['{{%s}}' % label for label in by])
  );
// The same of the twenty that have most.
local most(kind, figure, by) = known(kind, figure, by) + { expr: 'topk(20, %s)' % super.expr };

local rate(counter) = 'rate(ebpf_exporter_host_program_%s{}[$__rate_interval])' % counter;
local program = ['id', 'name', 'owner'];

function(config)
  panel.dashboard(config, 'ebpf-host', 'eBPF: all of the host', 'What all BPF programs and maps cost, whoever has loaded them: --bpf.host and --bpf.stats.', [
    panel.section('How much there is', [
      panel.number('Programs', 'Of all hosts.', 'none', query.expr('sum(ebpf_exporter_host_programs{})')),
      panel.number('Maps', 'Of all hosts.', 'none', query.expr('sum(ebpf_exporter_host_maps{})')),
      panel.fault('Hosts not looked at', 'The log has the reason.', 'none', query.expr('count(ebpf_exporter_host_success{} == 0)')),
    ]),
    panel.section('Time in programs, while the kernel measures it', [
      panel.stack('By owner', 'As a share of one CPU.', 'percentunit', [
        known('program', rate('run_time_seconds_total'), ['owner']),
      ]),
      panel.lines('The twenty that cost most', 'As a share of one CPU.', 'percentunit', [
        most('program', rate('run_time_seconds_total'), program),
      ]),
      panel.lines('Runs', 'In a second, of the twenty that run most.', 'short', [most('program', rate('run_count_total'), program)]),
      panel.lines('Time of a run', 'The mean, of the twenty that take longest.', 's', [
        most('program', '(%s / %s)' % [rate('run_time_seconds_total'), rate('run_count_total')], program),
      ]),
    ]),
    panel.section('Memory', [
      panel.stack('Of maps, by owner', 'As the kernel tells it, without buffers of events.', 'bytes', [
        known('map', 'ebpf_exporter_host_map_memory_bytes{}', ['owner']),
      ]),
      panel.lines('The twenty largest maps', 'As the kernel tells it, without buffers of events.', 'bytes', [
        most('map', 'ebpf_exporter_host_map_memory_bytes{}', program),
      ]),
      panel.lines('Of the maps of a program', 'A map that several use counts for each of them.', 'bytes', [
        most('program', 'ebpf_exporter_host_program_map_memory_bytes{}', program),
      ]),
      panel.lines('Of instructions', 'Of the twenty largest programs.', 'bytes', [
        most('program', 'ebpf_exporter_host_program_memory_bytes{}', program),
      ]),
      panel.lines('Room of maps', 'Entries that the twenty largest can hold.', 'short', [
        most('map', 'ebpf_exporter_host_map_max_entries{}', program),
      ]),
    ]),
    panel.section('What they are', [
      panel.table('Programs', 'Those of the exporter have a config.', 'none', query.series('host_program_info'), ['Value']),
      panel.table('Maps', 'Those that programs of the exporter use have a config.', 'none', query.series('host_map_info'), ['Value']),
    ]),
  ])
