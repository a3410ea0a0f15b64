// Examples cachestat, llcstat, oomkill, shrinklat, regexp, kstack, bpf-jit.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  panel.dashboard(config, 'ebpf-memory', 'eBPF: memory and caches', 'How well caches work, and what it costs when memory is short.', [
    panel.section('Page cache (cachestat)', [
      panel.lines('Operations', 'In a second.', 'short', [query.rate('page_cache_ops_total', ['operation'])]),
      panel.lines('Hits', 'The share of accesses that found their page. Pages that are added for reading are misses.', 'percentunit', [
        query.expr('clamp_min(1 - (sum by (instance) (rate(ebpf_exporter_page_cache_ops_total{operation="page_add_lru"}[$__rate_interval])) - sum by (instance) (rate(ebpf_exporter_page_cache_ops_total{operation="page_mark_dirties"}[$__rate_interval]))) / (sum by (instance) (rate(ebpf_exporter_page_cache_ops_total{operation="cache_access"}[$__rate_interval])) - sum by (instance) (rate(ebpf_exporter_page_cache_ops_total{operation="cache_writes"}[$__rate_interval]))), 0)', '{{instance}}'),
      ]),
    ]),
    panel.section('Last level cache (llcstat)', [
      panel.lines('Misses', 'The share of references, by CPU.', 'percentunit', [
        query.expr('sum by (instance, cpu) (rate(ebpf_exporter_llc_misses_total{}[$__rate_interval])) / sum by (instance, cpu) (rate(ebpf_exporter_llc_references_total{}[$__rate_interval]))', '{{instance}} {{cpu}}'),
      ]),
      panel.lines('References', 'In a second.', 'short', [query.rate('llc_references_total')]),
    ]),
    panel.section('Memory is short (oomkill, shrinklat, regexp)', [
      panel.lines('Killed for want of memory', 'Processes in the last five minutes, by cgroup.', 'none', [
        query.expr('sum by (instance, cgroup_path) (increase(ebpf_exporter_oom_kills_total{}[5m]))', '{{instance}} {{cgroup_path}}'),
      ]),
      panel.lines('Slabs shrunk', 'In a second, by who had to: processes that appear here wait for memory.', 'short',
                  [query.top('mm_shrink_slab_events_total', ['comm'])]),
    ] + panel.latency('Reclaim', 'How long one walk of shrink_node takes.', 'shrink_node_latency_seconds')),
    panel.section('In the kernel (kstack, bpf-jit)', [
      panel.lines('Pages accessed, by stack', 'The ten most frequent.', 'short', [query.top('mark_page_accessed_total', ['kstack'], 10)]),
      panel.lines('Pages of compiled BPF', 'Now.', 'short', [query.series('bpf_jit_pages_currently_allocated')]),
    ]),
  ])
