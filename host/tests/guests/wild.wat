;; Returns a list that lies outside of its memory.
(func (export "decode") (param i32 i32 i32 i32) (result i32)
  (call $pair (i32.const -65536) (i32.const 4096)))
