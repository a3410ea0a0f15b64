//! What the kernel's verifier said of a program: the reason, the line of the source that it stands for, and
//! what to do about it.

use super::Failure;
use crate::advice::Advice;

/// How many of the verifier's last lines are quoted.
const QUOTED_LINES: usize = 4;

/// What the verifier counts, and what it compares, behind the reason.
const NO_REASON: [&str; 7] = [
    "processed ",
    "verification time ",
    "stack depth ",
    "cur state:",
    "old state:",
    "mark_precise: ",
    "peak_states ",
];

/// Words of a reason, and what to do about it.
const REMEDIES: [(&[&str], &str); 14] = [
    (
        &["_or_null'", "_or_null expected"],
        "a lookup may find nothing: compare its result with NULL before it is used",
    ),
    (
        &["invalid mem access 'scalar'", "invalid mem access 'inv'"],
        "it follows a plain number: read the kernel's memory with BPF_CORE_READ() or \
         bpf_probe_read_kernel(), a process's with bpf_probe_read_user()",
    ),
    (
        &["infinite loop detected", "back-edge from insn"],
        "give the loop a bound that is a constant, or use bpf_loop() or bpf_for()",
    ),
    (
        &["is too large. Processed", "jumps is too complex", "too many states"],
        "it is too much to check: lower the bounds of its loops, use bpf_loop(), or split it",
    ),
    (
        &["Unreleased reference", "reference leak"],
        "release what it took on every way out of the function",
    ),
    (
        &["combined stack size", "stack limit", "stack size of"],
        "a program has 512 bytes of stack: keep what is large in a per-CPU array",
    ),
    (
        &["invalid write to stack", "invalid variable-offset write to stack"],
        "it writes beyond its stack, which has 512 bytes: check the index, or keep what is large in a \
         per-CPU array",
    ),
    (
        &["invalid indirect read from stack", "invalid read from stack"],
        "it hands over bytes that were never set: clear the whole struct first, its padding too",
    ),
    (&["!read_ok"], "it uses a variable, or returns a value, that was never set on some way there"),
    (
        &["unbounded memory access", "min value is negative", "invalid access to map value"],
        "check the index or the length against its bounds right before it is used",
    ),
    (&["invalid access to packet"], "compare with data_end before each read of the packet"),
    (
        &["invalid bpf_context access", "dereference of modified ctx ptr"],
        "it reads its context where this kind of hook has nothing: check the type of its argument",
    ),
    (
        &["needs to be sleepable", "might sleep in a non-sleepable"],
        "put `.s` behind the kind of its section",
    ),
    (
        &["program must have GPL", "GPL compatible"],
        "if it is under the GPL, say so in its source: `char LICENSE[] SEC(\"license\") = \"GPL\";`",
    ),
];

/// The verifier's reason with the end of what it said, its statistics left out.
pub(super) fn explain(failure: &Failure) -> Option<Advice> {
    let begin = failure.log.iter().rposition(|line| line.contains("BEGIN PROG LOAD LOG"));
    let end = failure.log.iter().rposition(|line| line.contains("END PROG LOAD LOG"))?;
    // A long log has lost its beginning.
    let said = failure.log.get(begin.map_or(0, |begin| begin + 1)..end)?;
    let is_reason = |line: &&str| {
        !line.trim().is_empty() && !NO_REASON.iter().any(|prefix| line.starts_with(prefix))
    };
    let lines: Vec<&str> = said.iter().map(String::as_str).filter(is_reason).collect();
    let reason = lines.last()?.trim_end_matches('.');
    // Kernels before 6.10 show the source without its file and line.
    let source = lines.iter().rposition(|line| line.starts_with("; "));
    let place = source.and_then(|at| Some(lines[at].rsplit_once(" @ ")?.1));
    let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
    let last_lines = quoted(&lines, source).join("\n  ");
    Some(failure.at_program(Advice {
        problem: format!("the kernel's verifier refuses it{place}: {reason}"),
        remedy: remedy(reason).map(str::to_owned),
        evidence: Some(format!("its last lines (all: RUST_LOG=libbpf=debug):\n  {last_lines}")),
    }))
}

fn remedy(reason: &str) -> Option<&'static str> {
    let says = |words: &&[&str]| words.iter().any(|words| reason.contains(words));
    REMEDIES.iter().find(|(words, _)| says(words)).map(|(_, remedy)| *remedy)
}

/// The last lines, with that of the source in front if it is not among them.
fn quoted<'a>(lines: &[&'a str], source: Option<usize>) -> Vec<&'a str> {
    let last = lines.len().saturating_sub(QUOTED_LINES);
    match source {
        Some(at) if at < last => {
            let mut quoted = vec![lines[at], "…"];
            quoted.extend(&lines[last + 1..]);
            quoted
        }
        _ => lines[last..].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(log: &[&str]) -> Advice {
        let begin = ["prog 'on_exec': -- BEGIN PROG LOAD LOG --"];
        let end = ["-- END PROG LOAD LOG --"];
        let log = begin.iter().chain(log).chain(&end);
        let failure = Failure {
            errno: libc::EACCES,
            log: log.map(|line| (*line).to_owned()).collect(),
            sections: vec![("on_exec".to_owned(), "tp/sched/sched_process_exec".to_owned())],
            maps: Vec::new(),
            pins: Vec::new(),
            btf_path: None,
        };
        explain(&failure).unwrap()
    }

    #[test]
    fn the_source_line_is_shown_however_far_above() {
        let log = [
            "; u64 *v = bpf_map_lookup_elem(&hits, &k); @ x.bpf.c:17",
            "5: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=hits,ks=4,vs=8)",
            "; *v += a + b; @ x.bpf.c:18",
            "6: (79) r1 = *(u64 *)(r10 -8)",
            "7: (79) r2 = *(u64 *)(r10 -16)",
            "8: (0f) r1 += r2",
            "9: (79) r3 = *(u64 *)(r0 +0)",
            "R0 invalid mem access 'map_value_or_null'",
            "verification time 60 usec",
            "stack depth 16",
            "processed 10 insns (limit 1000000) max_states_per_insn 0 total_states 0",
        ];
        insta::assert_snapshot!(explained(&log), @"
        program `on_exec` (tp/sched/sched_process_exec): the kernel's verifier refuses it at x.bpf.c:18: R0 invalid mem access 'map_value_or_null'; a lookup may find nothing: compare its result with NULL before it is used; its last lines (all: RUST_LOG=libbpf=debug):
          ; *v += a + b; @ x.bpf.c:18
          …
          8: (0f) r1 += r2
          9: (79) r3 = *(u64 *)(r0 +0)
          R0 invalid mem access 'map_value_or_null'
        ");
    }

    #[test]
    fn the_reason_is_not_what_stands_behind_it() {
        let log = [
            "; for (;;) @ x.bpf.c:9",
            "3: (05) goto pc-1",
            "infinite loop detected at insn 3",
            "cur state: R0=0 R10=fp0",
            "old state: R0=0 R10=fp0",
            "processed 4 insns (limit 1000000)",
        ];
        insta::assert_snapshot!(explained(&log), @"
        program `on_exec` (tp/sched/sched_process_exec): the kernel's verifier refuses it at x.bpf.c:9: infinite loop detected at insn 3; give the loop a bound that is a constant, or use bpf_loop() or bpf_for(); its last lines (all: RUST_LOG=libbpf=debug):
          ; for (;;) @ x.bpf.c:9
          3: (05) goto pc-1
          infinite loop detected at insn 3
        ");
    }

    #[test]
    fn remedies_of_reasons() {
        let has = |reason| remedy(reason).is_some();
        for reason in [
            "BPF program is too large. Processed 1000001 insn",
            "The sequence of 8193 jumps is too complex.",
            "BPF_EXIT instruction in main prog would lead to reference leak",
            "combined stack size of 2 calls is 544. Too large",
            "invalid write to stack R10 off=-520 size=8",
            "invalid indirect read from stack R2 off -16+4 size 16",
            "R0 !read_ok",
            "R2 unbounded memory access, use 'var &= const' or 'if (var < const)'",
            "R1 type=map_value_or_null expected=fp, pkt, pkt_meta, map_key, map_value",
        ] {
            assert!(has(reason), "{reason}");
        }
        assert!(!has("unreachable insn 5"));
    }
}
