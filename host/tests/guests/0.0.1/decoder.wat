;; A decoder of 0.0.1. Logs each time that it is called. Answers each input with itself, but by the input's first
;; byte: `d` drops, `e` is an error of this text.
(component
  (import "ebpf-exporter:plugin/log@0.0.1" (instance $log
    (export "log" (func (param "message" string)))))
  (core module $shared (memory (export "memory") 2))
  (core instance $shared (instantiate $shared))
  (core func $write (canon lower (func $log "log") (memory (core memory $shared "memory"))))
  (core module $guest
    (import "host" "log" (func $log (param i32 i32)))
    (import "host" "memory" (memory 2))
    (export "memory" (memory 0))
    (data (i32.const 64) "asked")
    ;; MEMORY
    (func (export "configure") (param i32 i32) (result i32)
      (i32.store8 (i32.const 32) (i32.const 0))
      (i32.const 32))
    (func (export "decode") (param $inputs i32) (param $count i32) (result i32)
      (local $out i32) (local $n i32) (local $in i32) (local $at i32) (local $first i32)
      (call $log (i32.const 64) (i32.const 5))
      (local.set $out (call $alloc (i32.mul (local.get $count) (i32.const 16))))
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $n) (local.get $count)))
        (local.set $in (i32.add (local.get $inputs) (i32.shl (local.get $n) (i32.const 3))))
        (local.set $at (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 4))))
        (local.set $first (i32.const 0))
        (if (i32.load offset=4 (local.get $in)) (then
          (local.set $first (i32.load8_u (i32.load (local.get $in))))))
        (if (i32.eq (local.get $first) (i32.const 101))
          (then
            (i32.store (local.get $at) (i32.const 1))
            (i32.store offset=4 (local.get $at) (i32.load (local.get $in)))
            (i32.store offset=8 (local.get $at) (i32.load offset=4 (local.get $in))))
          (else
            (i32.store (local.get $at) (i32.const 0))
            (i32.store offset=4 (local.get $at) (i32.ne (local.get $first) (i32.const 100)))
            (i32.store offset=8 (local.get $at) (i32.load (local.get $in)))
            (i32.store offset=12 (local.get $at) (i32.load offset=4 (local.get $in)))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
      (call $reset)
      (call $pair (local.get $out) (local.get $count))))
  (core instance $core (instantiate $guest (with "host" (instance
    (export "log" (func $write)) (export "memory" (memory $shared "memory"))))))
  (func $configure (param "settings" string) (result (result (error string)))
    (canon lift (core func $core "configure")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
  (func $decode (param "inputs" (list (list u8))) (result (list (result (option string) (error string))))
    (canon lift (core func $core "decode")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
  (instance $decoding (export "configure" (func $configure)) (export "decode" (func $decode)))
  (export "ebpf-exporter:plugin/decoding@0.0.1" (instance $decoding)))
