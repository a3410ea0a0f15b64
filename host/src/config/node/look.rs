//! A look at the bytes of a file before a parser sees it.
//!
//! The parser holds a whole document as events before it hands out the first, and takes longer for
//! each the more brackets are open. So both are estimated here from above, by the characters
//! without which no event begins. What stands in quotes and comments is counted too: to tell it
//! apart takes a parser.

use super::NoYaml;

/// Events that the parser may come to hold, of some 130 bytes each.
const MOST_EVENTS: usize = 1_500_000;
/// Brackets open, added up over all events: what the parser looks through.
const MOST_OPEN: usize = 300_000_000;
/// Lines that begin with `%`: each tag is looked for in all of them.
const MOST_DIRECTIVES: usize = 64;

/// Refuses a text that would take the parser too long or too much memory.
pub(super) fn look(text: &str) -> Result<(), NoYaml> {
    let bytes = text.as_bytes();
    let (mut events, mut depth, mut open, mut directives) = (0, 0usize, 0usize, 0);
    let mut before = b'\n';
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).copied();
        let weight = match byte {
            b'[' | b'{' => {
                depth += 1;
                4
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                0
            }
            b',' => 2,
            b'-' if is_end(next) => 2,
            b'?' if is_end(next) => 4,
            b':' if is_end(next) || b",[]{}".contains(&next.unwrap_or(b' ')) => 2,
            b':' if b"\"']}".contains(&before) => 2,
            b'%' if is_break(before) => {
                directives += 1;
                0
            }
            _ => 0,
        };
        if weight > 0 {
            events += weight;
            open += depth;
        }
        before = *byte;
    }
    let too_much = |problem: String, remedy| Err(NoYaml { line: None, problem, remedy });
    if events > MOST_EVENTS {
        let problem = format!(
            "with so many `,`, `:`, `-`, `[` and `{{` it can have more than {} keys, items and texts",
            MOST_EVENTS / 2
        );
        return too_much(problem, "split the file, or list less");
    }
    if open > MOST_OPEN {
        let problem = "more of its brackets are open at a time than can be read in time";
        return too_much(problem.to_owned(), "close each `[` and `{`, or split the file");
    }
    if directives > MOST_DIRECTIVES {
        let problem = format!("more than {MOST_DIRECTIVES} of its lines begin with `%`");
        return too_much(problem, "remove them: a config needs no directives");
    }
    Ok(())
}

/// Whether what stands before it ends here.
fn is_end(next: Option<u8>) -> bool {
    next.is_none_or(|next| next <= b' ' || next >= 0x80)
}

/// Whether a line may begin behind it: a line feed, a carriage return, or the last byte of one of
/// the other line breaks that YAML knows.
fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0x85 | 0xa8 | 0xa9 | 0xbf)
}
