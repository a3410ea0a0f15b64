;; Logs 1,000 lines at every call, then behaves badly.
(data (i32.const 64) "still \1b[31mhere")
(func (export "decode") (param i32 i32 i32 i32) (result i32)
  (local $n i32)
  (loop $next
    (call $log (i32.const 2) (i32.const 64) (i32.const 15))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $n) (i32.const 1000))))
  (call $reset)
  (call $pair (i32.const 1024) (i32.const 0)))
