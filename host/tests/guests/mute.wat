;; Refuses every setting, and does not say why.
(func (export "configure") (param i32 i32) (result i32)
  (i32.store8 (i32.const 32) (i32.const 1))
  (i32.store (i32.const 36) (i32.const 64))
  (i32.store (i32.const 40) (i32.const 0))
  (i32.const 32))
(func (export "decode") (param i32 i32 i32 i32) (result i32) (unreachable))
