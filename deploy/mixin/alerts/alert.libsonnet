// The parts that all alerts have.
function(config) {
  local target = std.join(', ', config.target),

  // An alert, once `expr` has had a value for the time `hold`. Its summary says what is wrong, its description
  // what to do.
  alert(name, severity, expr, hold, summary, description): {
    alert: name,
    expr: expr,
    'for': hold,
    labels: { severity: severity },
    annotations: {
      summary: summary,
      description: description,
      runbook_url: config.manual + '#alerts',
    },
  },

  // Series of the counter that have grown lately.
  grows(counter):: 'rate(%s[%s]) > 0' % [counter, config.window],

  // The clause that joins series of one exporter that have these labels in common.
  on(labels):: 'on (%s)' % std.join(', ', config.target + labels),
}
