// Panels, and dashboards that lay them out. Nothing here knows a metric but for the two that choose targets.
local query = import 'query.libsonnet';
{
  local datasource = { type: 'prometheus', uid: '${datasource}' },
  local letter(at) = std.char(std.codepoint('A') + at),

  local panel(type, title, about, unit, queries, format='time_series') = {
    type: type,
    title: title,
    description: about,
    datasource: datasource,
    targets: std.mapWithIndex(function(at, asked) {
      refId: letter(at),
      datasource: datasource,
      expr: asked.expr,
      legendFormat: asked.legend,
      format: format,
      instant: format == 'table',
      range: format != 'table',
    }, queries),
    fieldConfig: { defaults: { unit: unit }, overrides: [] },
    // Of 24 columns.
    wide:: 12,
    high:: 8,
  },

  // Lines over time.
  lines(title, about, unit, queries): panel('timeseries', title, about, unit, queries) {
    fieldConfig+: { defaults+: { min: 0, custom: { fillOpacity: 10, lineWidth: 1, showPoints: 'never' } } },
    options: {
      legend: { displayMode: 'table', placement: 'bottom', calcs: ['mean', 'max'] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  },

  // The same, one above the other.
  stack(title, about, unit, queries): self.lines(title, about, unit, queries) {
    fieldConfig+: { defaults+: { custom+: { fillOpacity: 40, stacking: { mode: 'normal' } } } },
  },

  // One number.
  number(title, about, unit, asked): panel('stat', title, about, unit, [asked]) {
    options: { colorMode: 'value', graphMode: 'area', reduceOptions: { calcs: ['lastNotNull'] } },
    wide:: 4,
    high:: 4,
  },

  // One number that is bad unless it is 0.
  fault(title, about, unit, asked): self.number(title, about, unit, asked) {
    fieldConfig+: {
      defaults+: {
        noValue: '0',
        thresholds: { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'red', value: 0.001 }] },
      },
    },
  },

  // The last series, a row each.
  table(title, about, unit, asked, hidden=[]): panel('table', title, about, unit, [asked], 'table') {
    options: { sortBy: [{ displayName: 'Value', desc: true }] },
    transformations: [{
      id: 'organize',
      options: { excludeByName: { [name]: true for name in ['Time', '__name__', 'job'] + hidden } },
    }],
  },

  // How many times a histogram counted which value, over time: the darker, the more.
  heatmap(title, about, unit, metric, where=''):
    panel('heatmap', title, about, unit, [query.buckets(metric, where)], 'heatmap') {
      options: {
        calculate: false,
        cellGap: 0,
        color: { mode: 'scheme', scheme: 'Oranges', fill: 'dark-orange', steps: 64, exponent: 0.5, reverse: false },
        filterValues: { le: 0 },
        legend: { show: true },
        rowsFrame: { layout: 'auto' },
        tooltip: { mode: 'single', show: true, yHistogram: true },
        yAxis: { axisPlacement: 'left', reverse: false, unit: unit },
      },
    },

  // A histogram twice: as a heatmap, and as quantiles for each of `by`.
  latency(title, about, metric, by=[], unit='s'): [
    self.heatmap(title, about, unit, metric),
    self.lines(title + ': quantiles', about, unit, [query.quantile(part, metric, by) for part in ['0.5', '0.9', '0.99']]),
  ],

  // Panels under a heading, from left to right and then down.
  section(title, panels): { title: title, panels: panels },

  // `panels` from left to right, and below when there is no room: from column `x` of line `y` on, where
  // `bottom` is below all of that line. What is passed on are arguments: unlike fields they are reckoned once.
  local laid(panels, x, y, bottom) =
    if panels == [] then { panels: [], bottom: bottom }
    else
      local next = panels[0], fits = x + next.wide <= 24;
      local left = if fits then x else 0, line = if fits then y else bottom;
      local below = std.max(bottom, line + next.high);
      local rest = laid(panels[1:], left + next.wide, line, below);
      { panels: [next { gridPos: { x: left, y: line, w: next.wide, h: next.high } }] + rest.panels, bottom: rest.bottom },

  // The panels of all sections from line `y` on, each below its heading.
  local headed(sections, y) =
    if sections == [] then []
    else
      local heading = {
        type: 'row',
        title: sections[0].title,
        collapsed: false,
        panels: [],
        gridPos: { x: 0, y: y, w: 24, h: 1 },
      };
      local below = laid(sections[0].panels, 0, y + 1, y + 1);
      [heading] + below.panels + headed(sections[1:], below.bottom),

  // A list to choose of, of all values that a label of all exporters has.
  local choice(label, asked) = {
    type: 'query',
    name: label,
    label: label,
    datasource: datasource,
    query: { query: asked, refId: label },
    definition: asked,
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.+',
    current: { text: 'All', value: '$__all' },
  },

  dashboard(config, uid, title, about, sections): {
    uid: uid,
    title: title,
    description: about,
    tags: config.dashboardTags,
    timezone: 'browser',
    schemaVersion: 38,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: config.dashboardRefresh,
    time: { from: config.dashboardFrom, to: 'now' },
    links: [{ type: 'dashboards', title: 'eBPF', tags: config.dashboardTags, asDropdown: true, includeVars: true, keepTime: true }],
    annotations: { list: [] },
    templating: {
      list: [
        { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus' },
        choice('job', 'label_values(ebpf_exporter_build_info, job)'),
        choice('instance', 'label_values(ebpf_exporter_build_info{job=~"$job"}, instance)'),
      ],
    },
    panels: std.mapWithIndex(
      function(at, panel) panel { id: at + 1 },
      headed(sections, 0),
    ),
  },
}
