;; Answers each input with itself, unless one of the call begins with `t`: then it traps, and all of the call are lost.
(func (export "decode") (param $bytes i32) (param $size i32) (param $ends i32) (param $count i32) (result i32)
  (local $out i32) (local $n i32) (local $start i32) (local $end i32) (local $at i32)
  (local.set $out (call $alloc (i32.mul (local.get $count) (i32.const 16))))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $n) (local.get $count)))
    (local.set $end (i32.load (i32.add (local.get $ends) (i32.shl (local.get $n) (i32.const 2)))))
    (if (i32.lt_u (local.get $start) (local.get $end)) (then
      (if (i32.eq (i32.load8_u (i32.add (local.get $bytes) (local.get $start))) (i32.const 116))
        (then (unreachable)))))
    (local.set $at (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 4))))
    (i32.store (local.get $at) (i32.const 0))
    (i32.store offset=4 (local.get $at) (i32.add (local.get $bytes) (local.get $start)))
    (i32.store offset=8 (local.get $at) (i32.sub (local.get $end) (local.get $start)))
    (local.set $start (local.get $end))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br $next)))
  (call $reset)
  (call $pair (local.get $out) (local.get $count)))
