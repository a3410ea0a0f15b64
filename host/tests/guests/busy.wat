;; Behaves, but takes its time: answers a call with empty labels after 2^28 rounds of nothing.
(func (export "decode") (param $bytes i32) (param $size i32) (param $ends i32) (param $count i32) (result i32)
  (local $out i32) (local $round i32)
  (loop $next
    (local.set $round (i32.add (local.get $round) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $round) (i32.const 0x10000000))))
  (local.set $out (call $alloc (i32.mul (local.get $count) (i32.const 16))))
  (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $count) (i32.const 16)))
  (call $reset)
  (call $pair (local.get $out) (local.get $count)))
