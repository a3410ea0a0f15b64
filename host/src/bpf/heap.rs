//! Memory that is free, or can be had again, given back to the system.
//!
//! Of BPF it knows nothing: it stands here because calls that Rust cannot check stand nowhere else.

use procfs::ProcResult;
use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};

/// Has the allocator give back what lies free between blocks that are in use, which it keeps
/// otherwise. Takes milliseconds for each hundred MiB, during which nobody allocates.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and locks each arena that it looks at as any allocation does.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the pages of the program's file and of its libraries that were used so far: most are code that
/// only a start needs. One that is used again is mapped again, as a rule without a read from the disk.
///
/// # Errors
///
/// When the kernel does not say what is mapped.
pub fn give_back_code() -> ProcResult<()> {
    for map in Process::myself()?.smaps()?.into_iter().filter(is_as_its_file) {
        let (from, to) = map.address;
        // SAFETY: nobody has written to these pages, and nobody can but a debugger. Where they are
        // touched again, the kernel takes them from the file again.
        unsafe {
            libc::madvise(from as *mut libc::c_void, (to - from) as usize, libc::MADV_DONTNEED)
        };
    }
    Ok(())
}

/// Whether what is mapped is what a file on disk holds: nothing was relocated there, and no debugger has set a
/// breakpoint.
fn is_as_its_file(map: &MemoryMap) -> bool {
    let of_file = matches!(map.pathname, MMapPath::Path(_));
    let is_own = map.perms.contains(MMPermissions::PRIVATE);
    let is_constant = !map.perms.contains(MMPermissions::WRITE);
    of_file && is_own && is_constant && map.extension.map.get("Anonymous") == Some(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KiB of the program and its libraries that are in memory.
    fn resident() -> u64 {
        let maps = Process::myself().unwrap().smaps().unwrap().into_iter().filter(is_as_its_file);
        maps.map(|map| map.extension.map["Rss"] / 1024).sum()
    }

    #[test]
    fn code_that_was_used_is_let_go_of_and_goes_on_working() {
        // This much of the C library at least lies around what a first look uses.
        let before = resident();
        give_back_code().unwrap();
        let after = resident();
        assert!(after < before, "{after} of {before} KiB");
    }
}
