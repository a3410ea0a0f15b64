// Examples syscalls, syscall-errors, exec, exec-paths, uprobe, usdt.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  panel.dashboard(config, 'ebpf-syscalls', 'eBPF: system calls and programs', 'What processes ask of the kernel, and what they are refused.', [
    panel.section('System calls (syscalls)', [
      panel.lines('All', 'In a second.', 'short', [query.rate('syscalls_total')]),
      panel.lines('By name', 'The twenty most frequent.', 'short', [query.top('syscalls_total', ['syscall'])]),
      panel.lines('Errors', 'By errno, the twenty most frequent.', 'short', [query.top('syscall_errors_total', ['errno'])]),
      panel.lines('Share that fails', 'Of all system calls. EAGAIN and ENOENT are everyday.', 'percentunit', [
        query.expr('sum by (instance) (rate(ebpf_exporter_syscall_errors_total{}[$__rate_interval])) / sum by (instance) (rate(ebpf_exporter_syscalls_total{}[$__rate_interval]))', '{{instance}}'),
      ]),
    ]),
    panel.section('Errors by service (syscall-errors)', [
      panel.lines('By service', 'The twenty with most.', 'short', [query.top('service_syscall_errors_total', ['service'])]),
      panel.lines('By service and errno', 'The twenty most frequent.', 'short', [query.top('service_syscall_errors_total', ['service', 'errno'])]),
    ]),
    panel.section('Programs started (exec, exec-paths)', [
      panel.lines('All', 'In a second.', 'short', [query.rate('process_execs_total')]),
      panel.lines('By name', 'The twenty most frequent.', 'short', [query.top('process_execs_by_comm_total', ['comm'])]),
      panel.lines('By path', 'Hashed; the twenty most frequent.', 'short', [query.top('process_execs_by_path_total', ['path'])]),
    ]),
    panel.section('In user space (uprobe, usdt)', [
      panel.lines('malloc by cgroup', 'Calls of libc in a second, the twenty with most.', 'short', [query.top('libc_malloc_calls_total', ['cgroup'])]),
      panel.lines('Imports of Python', 'In a second, by module.', 'short', [query.top('python_module_imports_total', ['module'])]),
    ]),
  ])
