;; Traps before it is asked anything.
(func $start (unreachable))
(start $start)
(func (export "decode") (param i32 i32 i32 i32) (result i32) (unreachable))
