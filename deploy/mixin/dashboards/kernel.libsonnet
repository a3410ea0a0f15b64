// Examples that show functions of the kernel: timers, raw-tracepoints, kstack, pci.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  panel.dashboard(config, 'ebpf-kernel', 'eBPF: timers and kernel functions', 'Which functions of the kernel are at work, by name.', [
    panel.section('Timers (timers, raw-tracepoints)', [
      panel.lines('Timers by function', 'Started in a second, the twenty most frequent.', 'short', [query.top('timer_starts_total', ['function'])]),
      panel.lines('The same from a raw tracepoint', 'Started in a second, the twenty most frequent.', 'short', [query.top('raw_timer_starts_total', ['function'])]),
      panel.lines('Timers', 'Started in a second.', 'short', [query.rate('timer_starts_total')]),
    ]),
    panel.section('Stacks (kstack)', [
      panel.lines('mark_page_accessed by stack', 'The ten most frequent.', 'short', [query.top('mark_page_accessed_total', ['kstack'], 10)]) { wide:: 24, high:: 12 },
    ]),
    panel.section('PCI (pci)', [
      panel.lines('Reads of PCI configuration', 'By user space, in a second.', 'short',
                  [query.rate('pci_user_read_config_ops_total', ['pci_vendor', 'pci_device'])]) { wide:: 24 },
    ]),
  ])
