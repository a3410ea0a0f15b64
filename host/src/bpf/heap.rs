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

/// Lets go of the pages of the program's file that were used so far: most are code that only a start
/// needs. One that is used again is mapped again, as a rule without a read from the disk.
///
/// # Errors
///
/// When the kernel does not say what is mapped.
pub fn give_back_code() -> ProcResult<()> {
    let process = Process::myself()?;
    let program = MMapPath::Path(process.exe()?);
    let maps = process.smaps()?.into_iter();
    for map in maps.filter(|map| map.pathname == program && is_as_its_file(map)) {
        let (from, to) = map.address;
        // SAFETY: nobody has written to these pages, and nobody can but a debugger. Where they are
        // touched again, the kernel takes them from the file again.
        unsafe {
            libc::madvise(from as *mut libc::c_void, (to - from) as usize, libc::MADV_DONTNEED)
        };
    }
    Ok(())
}

/// Whether what is mapped is what its file holds: nothing was relocated there, and no debugger has set a
/// breakpoint.
fn is_as_its_file(map: &MemoryMap) -> bool {
    let is_constant = !map.perms.contains(MMPermissions::WRITE);
    is_constant && map.extension.map.get("Anonymous") == Some(&0)
}
