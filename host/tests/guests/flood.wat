;; Answers every input with the same 100 MB of text, of which it really has as much as its memory
;; allows.
(func (export "decode") (param $bytes i32) (param $size i32) (param $ends i32) (param $count i32) (result i32)
  (local $out i32) (local $n i32)
  (drop (memory.grow (i32.const 1600)))
  (local.set $out (call $alloc (i32.mul (local.get $count) (i32.const 16))))
  (loop $next
    (i32.store offset=4 (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 4))) (i32.const 0))
    (i32.store offset=8 (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 4))) (i32.const 100000000))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $n) (local.get $count))))
  (call $reset)
  (call $pair (local.get $out) (local.get $count)))
