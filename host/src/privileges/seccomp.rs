//! Which system calls the exporter may still make once it serves.
//!
//! Three filters, and of what they say the strictest counts:
//!
//! | calls | answer | why |
//! |---|---|---|
//! | [`DEADLY`] | the kernel kills the process | Nothing that the exporter is built of ever makes them, whatever its version: who does has broken in. |
//! | [`REFUSED`], by their arguments | `EPERM` | Other uses of calls that it needs, and sockets, all of which are there. |
//! | all that neither [`ALLOWED`] lists, nor [`CONNECTING`] if it connects to others | `ENOSYS` | A C library or a crate of another version may try a newer call first: told that there is none, it takes the older one. |
//!
//! The kernel logs what is refused (`dmesg`, or the audit log: `type=1326`). A call that is allowed
//! whatever its arguments costs next to nothing, since the kernel notes those when the filters are
//! installed (Linux 5.11); only those of [`REFUSED`] are filtered each time.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::Needs;
use crate::bpf::filter::{self, Threads};

/// Calls of who has broken in.
const DEADLY: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    // The libc crate does not number it for the other one.
    #[cfg(not(all(target_env = "musl", target_arch = "aarch64")))]
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_open_by_handle_at,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_pidfd_getfd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// What opens events: as deadly, unless that is to be done for CPUs that come ([`Needs::cpu_events`]).
const EVENTS: &[i64] = &[libc::SYS_perf_event_open];

/// What scrapes, connections, guests, and the C library beneath them need. Each family has calls
/// that only one C library, or only a newer kernel, makes.
const ALLOWED: &[i64] = &[
    // Bytes: sockets, the log, files under /proc and /sys.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    // Connections.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Between threads, and signals.
    libc::SYS_socketpair,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Memory, that of guests above all.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    // Threads.
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // A thread that gives up its capabilities.
    libc::SYS_capget,
    libc::SYS_capset,
    // What time it is, and who asks.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // The same as some above, where a kernel had them first.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_getrlimit,
];

/// What it needs beside that if it connects to others: names are looked up by datagrams, of which some are
/// sent several at a time.
const CONNECTING: &[i64] = &[
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
];

/// The kinds of addresses that it connects to.
const FAMILIES: &[u64] = &[libc::AF_INET as u64, libc::AF_INET6 as u64];

/// What a call is refused for.
#[derive(Clone, Copy)]
enum Refused {
    /// Always.
    Always,
    /// Any of these bits in this argument.
    Bits(u8, &'static [i32]),
    /// None of these bits in this argument.
    Lacking(u8, i32),
    /// Another number than these in this argument.
    AllBut(u8, &'static [u64]),
    /// Another process than this one in this argument.
    Others(u8),
    /// Anything but a null pointer in this argument.
    Pointer(u8),
}

/// Maps are read, and programs run that are loaded. All others would load one, make or change a map, or
/// reach one that this process has no descriptor of.
const BPF: &[u64] = &[
    libbpf_sys::BPF_MAP_LOOKUP_ELEM as u64,
    libbpf_sys::BPF_MAP_GET_NEXT_KEY as u64,
    libbpf_sys::BPF_MAP_LOOKUP_BATCH as u64,
    libbpf_sys::BPF_PROG_TEST_RUN as u64,
    libbpf_sys::BPF_OBJ_GET_INFO_BY_FD as u64,
];

/// Links of events that are opened, and the entry of a map that says where their records go.
const BPF_EVENTS: &[u64] =
    &[libbpf_sys::BPF_LINK_CREATE as u64, libbpf_sys::BPF_MAP_UPDATE_ELEM as u64];
/// Entries of maps are set and removed too, if a config has a map that is kept in step with cgroups.
const BPF_CHANGES: &[u64] =
    &[libbpf_sys::BPF_MAP_UPDATE_ELEM as u64, libbpf_sys::BPF_MAP_DELETE_ELEM as u64];

/// All that the kernel has is looked at, by its number, and an iterator's program is run.
const BPF_SURVEYS: &[u64] = &[
    libbpf_sys::BPF_PROG_GET_NEXT_ID as u64,
    libbpf_sys::BPF_MAP_GET_NEXT_ID as u64,
    libbpf_sys::BPF_LINK_GET_NEXT_ID as u64,
    libbpf_sys::BPF_PROG_GET_FD_BY_ID as u64,
    libbpf_sys::BPF_MAP_GET_FD_BY_ID as u64,
    libbpf_sys::BPF_LINK_GET_FD_BY_ID as u64,
    libbpf_sys::BPF_BTF_GET_FD_BY_ID as u64,
    libbpf_sys::BPF_ITER_CREATE as u64,
];

/// Non-blocking sockets and what they hold, an interface's name, and the end of an attachment.
#[allow(clippy::unnecessary_cast, reason = "their type is another one with another C library")]
const IOCTL: &[u64] = &[
    libc::FIONBIO as u64,
    libc::FIONREAD as u64,
    libc::SIOCGIFNAME as u64,
    // PERF_EVENT_IOC_DISABLE
    0x2401,
];

/// Events that begin, and those that run a program.
const IOCTL_EVENTS: &[u64] = &[
    // PERF_EVENT_IOC_ENABLE
    0x2400,
    // PERF_EVENT_IOC_SET_BPF
    0x4004_2408,
];

/// All but those that have the kernel send signals, to whomever.
const FCNTL: &[u64] = &[
    libc::F_DUPFD as u64,
    libc::F_DUPFD_CLOEXEC as u64,
    libc::F_GETFD as u64,
    libc::F_SETFD as u64,
    libc::F_GETFL as u64,
    libc::F_SETFL as u64,
    libc::F_ADD_SEALS as u64,
    libc::F_GET_SEALS as u64,
];

/// Threads' names, memory's names, what the kernel told the process at its start, and to give up
/// capabilities.
const PRCTL: &[u64] = &[
    libc::PR_SET_NAME as u64,
    libc::PR_GET_NAME as u64,
    libc::PR_SET_VMA as u64,
    // PR_GET_AUXV
    0x4155_5856,
    libc::PR_CAPBSET_READ as u64,
    libc::PR_CAPBSET_DROP as u64,
    libc::PR_CAP_AMBIENT as u64,
];

const WRITING: &[i32] = &[libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC];

const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Calls that are needed for some of what they do, or that a library may make in vain.
const REFUSED: &[(i64, Refused)] = &[
    (libc::SYS_fcntl, Refused::AllBut(1, FCNTL)),
    (libc::SYS_prctl, Refused::AllBut(0, PRCTL)),
    // To read limits, not to set them.
    (libc::SYS_prlimit64, Refused::Pointer(2)),
    // To who is connected, not to an address.
    (libc::SYS_sendto, Refused::Pointer(4)),
    (libc::SYS_seccomp, Refused::Always),
    (libc::SYS_openat, Refused::Bits(2, WRITING)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, Refused::Bits(1, WRITING)),
    // All code is there once plugins are loaded: an instance takes memory alone.
    (libc::SYS_mmap, Refused::Bits(2, &[libc::PROT_EXEC])),
    (libc::SYS_mprotect, Refused::Bits(2, &[libc::PROT_EXEC])),
    // A thread, not a process. The arguments of clone3 cannot be seen, so it is said not to be there.
    (libc::SYS_clone, Refused::Lacking(0, libc::CLONE_THREAD)),
    (libc::SYS_clone, Refused::Bits(0, NAMESPACES)),
    (libc::SYS_tgkill, Refused::Others(0)),
    (libc::SYS_kill, Refused::Always),
    (libc::SYS_socket, Refused::Always),
    (libc::SYS_connect, Refused::Always),
    (libc::SYS_bind, Refused::Always),
    (libc::SYS_listen, Refused::Always),
];

/// Has the kernel refuse all other calls than serving `needs` to these threads, from now on.
///
/// # Errors
///
/// Says what failed.
pub(super) fn restrict(needs: &Needs, threads: Threads) -> Result<(), String> {
    let programs = programs(arch()?, needs).map_err(|error| error.to_string())?;
    install(&programs, threads)
}

/// Has the kernel end the process if the calling thread, which reloads configs, makes a call that no start makes.
///
/// # Errors
///
/// Says what failed.
pub(super) fn restrict_reloading() -> Result<(), String> {
    let program = reloading(arch()?).map_err(|error| error.to_string())?;
    install(&[program], Threads::This)
}

fn arch() -> Result<TargetArch, String> {
    let arch = std::env::consts::ARCH;
    TargetArch::try_from(arch).map_err(|_| format!("no filter for {arch}"))
}

fn install(programs: &[Vec<seccompiler::sock_filter>], threads: Threads) -> Result<(), String> {
    let mut each = programs.iter();
    each.try_for_each(|program| filter::install(program, threads))
        .map_err(|error| error.to_string())
}

/// What a reload does is what a start does: it loads programs, opens events, and has a child compile plugins.
fn reloading(arch: TargetArch) -> Result<Vec<seccompiler::sock_filter>, BackendError> {
    let deadly = DEADLY.iter().filter(|call| **call != libc::SYS_execve);
    let deadly = deadly.map(|call| (*call, Vec::new())).collect();
    let (rest, kill) = (SeccompAction::Allow, SeccompAction::KillProcess);
    SeccompFilter::new(deadly, rest, kill, arch)?.try_into()
}

/// In the order in which they are installed: the last one forbids to install another (`seccomp`).
fn programs(
    arch: TargetArch,
    needs: &Needs,
) -> Result<[Vec<seccompiler::sock_filter>; 3], BackendError> {
    let refused = refused(needs)?;
    let connecting = if needs.ports.is_empty() { &[][..] } else { CONNECTING };
    let (allowed, deadly) = if needs.cpu_events { (EVENTS, &[][..]) } else { (&[][..], EVENTS) };
    let deadly = DEADLY.iter().chain(deadly).map(|call| (*call, Vec::new())).collect();
    let known = ALLOWED.iter().chain(allowed).chain(connecting).chain(refused.keys());
    let known = known.map(|call| (*call, Vec::new())).collect();
    let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
    let refusal = SeccompAction::Errno(libc::EPERM as u32);
    let program = |rules, others, these| -> Result<_, BackendError> {
        SeccompFilter::new(rules, others, these, arch)?.try_into()
    };
    Ok([
        program(known, unknown, SeccompAction::Allow)?,
        program(deadly, SeccompAction::Allow, SeccompAction::KillProcess)?,
        program(refused, SeccompAction::Allow, refusal)?,
    ])
}

fn refused(needs: &Needs) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut all: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let connects = !needs.ports.is_empty();
    let stays = |call: &i64| !connects || !CONNECTING.contains(call);
    for (call, refused) in REFUSED.iter().filter(|(call, _)| stays(call)) {
        let refused = match *call {
            libc::SYS_socket if connects => Refused::AllBut(0, FAMILIES),
            _ => *refused,
        };
        all.entry(*call).or_default().extend(refused.rules()?);
    }
    let when = |needed, more| if needed { more } else { &[][..] };
    let bpf = [
        BPF,
        when(needs.cpu_events, BPF_EVENTS),
        when(needs.changes_maps, BPF_CHANGES),
        when(needs.surveys, BPF_SURVEYS),
    ];
    let ioctl = [IOCTL, when(needs.cpu_events, IOCTL_EVENTS)];
    all.insert(libc::SYS_bpf, all_but(0, &bpf.concat())?);
    all.insert(libc::SYS_ioctl, all_but(1, &ioctl.concat())?);
    Ok(all)
}

fn condition(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)
}

fn only(conditions: Vec<SeccompCondition>) -> Result<Vec<SeccompRule>, BackendError> {
    Ok(vec![SeccompRule::new(conditions)?])
}

/// A call is refused with another number than these in this argument.
fn all_but(argument: u8, numbers: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let each = numbers.iter().map(|number| condition(argument, SeccompCmpOp::Ne, *number));
    only(each.collect::<Result<_, _>>()?)
}

impl Refused {
    /// The call is refused where all conditions of any of these hold.
    fn rules(&self) -> Result<Vec<SeccompRule>, BackendError> {
        use SeccompCmpOp::{MaskedEq, Ne};

        let any = |argument: u8, bits: &[i32]| {
            let bits = bits.iter().map(|bit| *bit as u64);
            bits.map(|bit| SeccompRule::new(vec![condition(argument, MaskedEq(bit), bit)?]))
                .collect()
        };
        match *self {
            Self::Always => Ok(Vec::new()),
            Self::Bits(argument, bits) => any(argument, bits),
            Self::Lacking(argument, bit) => {
                only(vec![condition(argument, MaskedEq(bit as u64), 0)?])
            }
            Self::AllBut(argument, numbers) => all_but(argument, numbers),
            Self::Pointer(argument) => {
                let null = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, Ne, 0)?;
                only(vec![null])
            }
            Self::Others(argument) => {
                only(vec![condition(argument, Ne, u64::from(std::process::id()))?])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_small_on_either_architecture() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64] {
            for (more, ports) in [(false, vec![]), (true, vec![]), (true, vec![4318])] {
                let (cpu_events, changes_maps, surveys) = (more, more, more);
                let needs = Needs { cpu_events, changes_maps, ports, surveys, ..Needs::default() };
                for program in programs(arch, &needs).unwrap() {
                    assert!(program.len() < 600, "{}", program.len());
                }
            }
        }
    }

    #[test]
    fn a_reload_may_start_the_child_that_compiles() {
        let len = |program: Vec<_>| program.len();
        let all = len(reloading(TargetArch::x86_64).unwrap());
        assert!(all > DEADLY.len() && DEADLY.contains(&libc::SYS_execve));
    }

    #[test]
    fn no_call_is_listed_twice() {
        let refused = REFUSED.iter().map(|(call, _)| call).filter(|call| **call != libc::SYS_clone);
        let mut all: Vec<_> = ALLOWED.iter().chain(DEADLY).chain(EVENTS).chain(refused).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
