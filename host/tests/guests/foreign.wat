;; A component of something else.
(component
  (core module $guest (func (export "run")))
  (core instance $core (instantiate $guest))
  (func $run (canon lift (core func $core "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
