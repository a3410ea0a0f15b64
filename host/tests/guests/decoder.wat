;; What every decoder here is wrapped in: a core module, lifted to the interface of wit/0.1.0.
(component
  ;; IMPORTS
  ;; MODULE
  (core instance $core (instantiate $guest (;WITH;)))

  (type $batch (record (field "bytes" (list u8)) (field "ends" (list u32))))
  (type $outcome (variant
    (case "label" string)
    (case "label-for" (tuple string u32))
    (case "drop")
    (case "drop-for" u32)
    (case "error" string)))
  (func $configure (param "settings" string) (result (result (error string)))
    (canon lift (core func $core "configure")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
  (func $decode (param "inputs" $batch) (result (list $outcome))
    (canon lift (core func $core "decode")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))

  ;; Types of an interface need names, which only what passes through a component gets.
  (component $named
    (type $batch' (record (field "bytes" (list u8)) (field "ends" (list u32))))
    (import "type-batch" (type $batch (eq $batch')))
    (type $outcome' (variant
      (case "label" string)
      (case "label-for" (tuple string u32))
      (case "drop")
      (case "drop-for" u32)
      (case "error" string)))
    (import "type-outcome" (type $outcome (eq $outcome')))
    (import "func-configure" (func $configure (param "settings" string) (result (result (error string)))))
    (import "func-decode" (func $decode (param "inputs" $batch) (result (list $outcome))))
    (export $batch-out "batch" (type $batch))
    (export $outcome-out "outcome" (type $outcome))
    (export "configure" (func $configure))
    (export "decode" (func $decode)
      (func (param "inputs" $batch-out) (result (list $outcome-out)))))
  (instance $decoding (instantiate $named
    (with "type-batch" (type $batch))
    (with "type-outcome" (type $outcome))
    (with "func-configure" (func $configure))
    (with "func-decode" (func $decode))))
  (export "ebpf-exporter:plugin/decoding@0.1.0" (instance $decoding)))
