//! The kernel's switch for statistics of BPF programs, which all of the host share.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ebpf_wasm_exporter::bpf::stats::SWITCH;

static ONE: Mutex<()> = Mutex::new(());

/// The switch, which nobody else here touches meanwhile, and which is put back as it was.
pub struct Switch {
    before: String,
    _alone: MutexGuard<'static, ()>,
}

impl Switch {
    /// Waits until nobody has it.
    pub fn take() -> Self {
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { before: fs::read_to_string(SWITCH).unwrap(), _alone: alone }
    }

    pub fn set(&self, to: &str) {
        fs::write(SWITCH, to).unwrap();
    }

    pub fn is_on(&self) -> bool {
        fs::read_to_string(SWITCH).unwrap().trim() == "1"
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, self.before.trim());
    }
}
