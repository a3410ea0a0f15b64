// Examples that count by cgroup: cgroup, cgroup_id_map, cgroup_id_map_cgrp_storage, cgroup-rstat-flushing.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  panel.dashboard(config, 'ebpf-cgroups', 'eBPF: cgroups', 'What services, containers and pods do, by their cgroup.', [
    panel.section('Migrations between CPUs (cgroup, cgroup_id_map, cgroup_id_map_cgrp_storage)', [
      panel.lines('By cgroup', 'The twenty with most.', 'short', [query.top('cgroup_sched_migrations_total', ['cgroup'])]),
      panel.lines('Of cgroups that no pattern matches', 'The twenty with most.', 'short', [query.top('cgroup_sched_migrations_not_match_total', ['cgroup'])]),
      panel.lines('By cgroup, from its storage', 'The twenty with most.', 'short', [query.top('cgroup_cgrp_storage_sched_migrations_total', ['cgroup'])]),
      panel.lines('Of cgroups that no pattern matches, from their storage', 'The twenty with most.', 'short',
                  [query.top('cgroup_cgrp_storage_sched_migrations_not_match_total', ['cgroup'])]),
    ]),
    panel.section('Who takes what (cfs-throttling, oomkill, uprobe)', [
      panel.lines('Time throttled', 'In seconds a second, the twenty with most.', 's', [query.top('cfs_throttling_seconds_sum', ['cgroup'])]),
      panel.lines('Times throttled', 'In a second, the twenty with most.', 'short', [query.top('cfs_throttling_seconds_count', ['cgroup'])]),
      panel.lines('Calls of malloc', 'In a second, the twenty with most.', 'short', [query.top('libc_malloc_calls_total', ['cgroup'])]),
      panel.lines('Killed for want of memory', 'In a second.', 'short', [query.top('oom_kills_total', ['cgroup_path'])]),
    ]),
    panel.section('The lock of rstat (cgroup-rstat-flushing)',
                  panel.latency('Wait for the lock', 'When it was contended.', 'cgroup_rstat_lock_wait_seconds')
                  + panel.latency('Hold the lock', 'By whoever has it.', 'cgroup_rstat_lock_hold_seconds')
                  + panel.latency('Flush', 'By level of the cgroup.', 'cgroup_rstat_flush_latency_seconds', ['level']) + [
                    panel.lines('Flushes', 'In a second, by level.', 'short', [query.rate('cgroup_rstat_flush_total', ['level'])]),
                    panel.lines('Locked', 'In a second.', 'short', [query.rate('cgroup_rstat_locked_total', ['contended', 'yield'])]),
                    panel.lines('Not measured', 'For trouble with a map, in a second.', 'short', [query.rate('cgroup_rstat_map_errors_total', ['type'])]),
                  ]),
  ])
