// What a site may want otherwise: `(import 'mixin.libsonnet') + {_config+:: {…}}`.
// Numbers are texts, so that they stand in expressions as they are written here.
{
  _config+:: {
    // The labels that tell one exporter from another. Add `cluster` if several have targets of the same names.
    target: ['job', 'instance'],

    // How far alerts and recording rules look back. Four scrapes or more.
    window: '5m',
    // A target that has told of itself within this time, and does not answer now, is down.
    remembered: '7d',
    // The share of its entries from which on a map is nearly full.
    mapNearlyFull: '0.95',
    // Seconds of one scrape. Prometheus gives up after its scrape_timeout, 10 s by default.
    scrapeSlow: '5',

    // What plugins call files that are written, or marked as still right, all the time, as `pods` does: a pattern.
    // Others may be right for years.
    freshData: 'pods',
    // Seconds after which such a file is old. `pods` asks every 10 s, and at least every 2 minutes after failures.
    dataOld: '600',

    quantiles: ['0.5', '0.99'],

    // Where alerts say to read more.
    manual: 'https://github.com/ebpf-wasm-exporter/ebpf_wasm_exporter/blob/main/docs/src/operate/prometheus.md',

    // What all dashboards are found by, and the time that they show.
    dashboardTags: ['ebpf'],
    dashboardFrom: 'now-1h',
    dashboardRefresh: '30s',
  },
}
