// Queries of panels. They ask for what is chosen at the top of a dashboard: `here` has the matchers.
{
  local here = 'job=~"$job", instance=~"$instance"',
  local labels(by) = std.join(', ', by),
  local legend(by) = std.join(' ', ['{{%s}}' % label for label in by]),

  // The metric's series, as they are.
  series(metric, by=[]): { expr: 'ebpf_exporter_%s{%s}' % [metric, here], legend: legend(['instance'] + by) },

  // The sum of a gauge.
  sum(metric, by=[]): {
    expr: 'sum by (%s) (ebpf_exporter_%s{%s})' % [labels(['instance'] + by), metric, here],
    legend: legend(['instance'] + by),
  },

  // How fast a counter grows.
  rate(metric, by=[], where=''): {
    expr: 'sum by (%s) (rate(ebpf_exporter_%s{%s}[$__rate_interval]))' % [labels(['instance'] + by), metric, here + where],
    legend: legend(['instance'] + by),
  },

  // The fastest of many, over all that is shown.
  top(metric, by, most=20): {
    expr: 'topk(%d, sum by (%s) (rate(ebpf_exporter_%s{%s}[$__rate_interval])))' % [most, labels(by), metric, here],
    legend: legend(by),
  },

  // A quantile of a histogram.
  quantile(quantile, metric, by=[]): {
    expr: 'histogram_quantile(%s, sum by (%s) (rate(ebpf_exporter_%s_bucket{%s}[$__rate_interval])))'
          % [quantile, labels(by + ['le']), metric, here],
    legend: std.join(' ', ['p' + std.strReplace(quantile, '0.', '')] + ['{{%s}}' % label for label in by]),
  },

  // What a histogram has counted within a step, bucket by bucket.
  buckets(metric, where=''): {
    expr: 'sum by (le) (increase(ebpf_exporter_%s_bucket{%s}[$__rate_interval]))' % [metric, here + where],
    legend: '{{le}}',
  },

  // The mean of what a histogram has counted.
  mean(metric, by=[]): {
    local rate(part) =
      'sum by (%s) (rate(ebpf_exporter_%s_%s{%s}[$__rate_interval]))' % [labels(['instance'] + by), metric, part, here],

    expr: '%s / %s' % [rate('sum'), rate('count')],
    legend: legend(['instance'] + by),
  },

  // Any other: `{}` behind a metric becomes what is chosen.
  expr(expr, legend=''): { expr: std.strReplace(expr, '{}', '{%s}' % here), legend: legend },
}
