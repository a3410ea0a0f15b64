;; What every transform here is wrapped in: a core module, lifted to the interface of wit/0.1.0.
(component
  ;; IMPORTS
  ;; MODULE
  (core instance $core (instantiate $guest (;WITH;)))

  (type $kind (enum "counter" "gauge" "histogram"))
  (type $metric (record (field "name" string) (field "kind" $kind) (field "labels" (list string))))
  (type $values (record (field "text" string) (field "ends" (list u32))))
  (type $rows (record (field "count" u32) (field "values" $values)))
  (type $row-outcome (variant
    (case "labels") (case "labels-for" u32) (case "drop") (case "drop-for" u32) (case "error" string)))
  (type $answers (record (field "outcomes" (list $row-outcome)) (field "values" $values)))
  (func $configure (param "settings" string) (param "metric" $metric)
    (result (result (list string) (error string)))
    (canon lift (core func $core "configure")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
  (func $transform (param "rows" $rows) (result $answers)
    (canon lift (core func $core "transform")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))

  ;; Types of an interface need names, which only what passes through a component gets.
  (component $named
    (type $kind' (enum "counter" "gauge" "histogram"))
    (import "type-kind" (type $kind (eq $kind')))
    (type $metric' (record (field "name" string) (field "kind" $kind) (field "labels" (list string))))
    (import "type-metric" (type $metric (eq $metric')))
    (type $values' (record (field "text" string) (field "ends" (list u32))))
    (import "type-values" (type $values (eq $values')))
    (type $rows' (record (field "count" u32) (field "values" $values)))
    (import "type-rows" (type $rows (eq $rows')))
    (type $row-outcome' (variant
      (case "labels") (case "labels-for" u32) (case "drop") (case "drop-for" u32) (case "error" string)))
    (import "type-row-outcome" (type $row-outcome (eq $row-outcome')))
    (type $answers' (record (field "outcomes" (list $row-outcome)) (field "values" $values)))
    (import "type-answers" (type $answers (eq $answers')))
    (import "func-configure" (func $configure (param "settings" string) (param "metric" $metric)
      (result (result (list string) (error string)))))
    (import "func-transform" (func $transform (param "rows" $rows) (result $answers)))
    (export $kind-out "kind" (type $kind))
    (type $metric-is (record (field "name" string) (field "kind" $kind-out) (field "labels" (list string))))
    (export $metric-out "metric" (type $metric) (type (eq $metric-is)))
    (export $values-out "values" (type $values))
    (type $rows-is (record (field "count" u32) (field "values" $values-out)))
    (export $rows-out "rows" (type $rows) (type (eq $rows-is)))
    (export $row-outcome-out "row-outcome" (type $row-outcome))
    (type $answers-is
      (record (field "outcomes" (list $row-outcome-out)) (field "values" $values-out)))
    (export $answers-out "answers" (type $answers) (type (eq $answers-is)))
    (export "configure" (func $configure)
      (func (param "settings" string) (param "metric" $metric-out)
        (result (result (list string) (error string)))))
    (export "transform" (func $transform)
      (func (param "rows" $rows-out) (result $answers-out))))
  (instance $transforming (instantiate $named
    (with "type-kind" (type $kind))
    (with "type-metric" (type $metric))
    (with "type-values" (type $values))
    (with "type-rows" (type $rows))
    (with "type-row-outcome" (type $row-outcome))
    (with "type-answers" (type $answers))
    (with "func-configure" (func $configure))
    (with "func-transform" (func $transform))))
  (export "ebpf-exporter:plugin/transforming@0.1.0" (instance $transforming)))
