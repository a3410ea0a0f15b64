// Alerts, recording rules and dashboards, under the names that all Prometheus mixins have.
(import 'config.libsonnet') + {
  local config = self._config,

  prometheusAlerts+:: {
    groups+: [
      (import 'alerts/exporter.libsonnet')(config),
      (import 'alerts/counting.libsonnet')(config),
      (import 'alerts/plugins.libsonnet')(config),
    ],
  },

  prometheusRules+:: {
    groups+: [
      (import 'rules/programs.libsonnet')(config),
      (import 'rules/quantiles.libsonnet')(config),
    ],
  },

  grafanaDashboards+:: {
    ['%s.json' % name]: dashboards[name](config)
    for name in std.objectFields(dashboards)
  },

  // All of it as texts of files, by their names.
  files:: {
    local written(rules) =
      '# Rendered from jsonnet by `make mixin`. Change the sources instead.\n'
      + std.manifestYamlDoc(rules, indent_array_in_object=true, quote_keys=false),

    'alerts.yaml': written($.prometheusAlerts),
    'rules.yaml': written($.prometheusRules),
  } + {
    ['dashboards/' + name]: std.manifestJsonEx($.grafanaDashboards[name], '  ')
    for name in std.objectFields($.grafanaDashboards)
  },

  local dashboards = {
    'ebpf-exporter': import 'dashboards/exporter.libsonnet',
    'ebpf-exporter-plugins': import 'dashboards/plugins.libsonnet',
    'ebpf-cgroups': import 'dashboards/cgroups.libsonnet',
    'ebpf-host': import 'dashboards/host.libsonnet',
    'ebpf-kernel': import 'dashboards/kernel.libsonnet',
    'ebpf-memory': import 'dashboards/memory.libsonnet',
    'ebpf-network': import 'dashboards/network.libsonnet',
    'ebpf-scheduler': import 'dashboards/scheduler.libsonnet',
    'ebpf-storage': import 'dashboards/storage.libsonnet',
    'ebpf-syscalls': import 'dashboards/syscalls.libsonnet',
  },
}
