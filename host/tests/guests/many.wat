;; Returns one outcome too many: `drop`, so that a host that believed it would lose rows.
(func (export "decode") (param $bytes i32) (param $size i32) (param $ends i32) (param $count i32) (result i32)
  (local $out i32) (local $n i32)
  (local.set $out (call $alloc (i32.mul (i32.add (local.get $count) (i32.const 1)) (i32.const 16))))
  (loop $next
    (i32.store (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 4))) (i32.const 2))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.le_u (local.get $n) (local.get $count))))
  (call $reset)
  (call $pair (local.get $out) (i32.add (local.get $count) (i32.const 1))))
