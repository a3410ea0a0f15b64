//! Memory that is free, given back to the system.
//!
//! Of BPF it knows nothing: it stands here because calls that Rust cannot check stand nowhere else.

/// Has the allocator give back what lies free between blocks that are in use, which it keeps
/// otherwise. Takes milliseconds for each hundred MiB, during which nobody allocates.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and locks each arena that it looks at as any allocation does.
    unsafe {
        libc::malloc_trim(0);
    }
}
