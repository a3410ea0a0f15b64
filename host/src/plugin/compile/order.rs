//! What a child is asked, as arguments of a hidden subcommand.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// The subcommand's name. Not for people: it reads a component from standard input.
pub(crate) const SUBCOMMAND: &str = "compile-plugin";

/// What to do, within which limits, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Order {
    /// What to reply.
    pub task: Task,
    /// Processor time, in seconds.
    pub seconds: u64,
    /// Memory, in bytes.
    pub memory: u64,
    /// Who asks: when that process ends, so does the child.
    pub parent: i32,
}

/// What a child replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// What the component is; nothing of it is compiled.
    Inspect,
    /// That, and its machine code.
    Compile,
    /// The component that a core module or a component becomes, and what that is. In front of it stands what
    /// is said of it, as a line of JSON.
    Componentize,
}

impl Order {
    pub(super) fn new(task: Task, time: Duration, memory: u64) -> Self {
        // The kernel counts whole seconds.
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        let parent = rustix::process::getpid().as_raw_nonzero().get();
        Self { task, seconds, memory, parent }
    }

    pub(super) fn args(&self) -> [String; 5] {
        let task = match self.task {
            Task::Inspect => "inspect",
            Task::Compile => "compile",
            Task::Componentize => "componentize",
        };
        let [seconds, memory] = [self.seconds, self.memory].map(|number| number.to_string());
        [SUBCOMMAND.to_owned(), task.to_owned(), seconds, memory, self.parent.to_string()]
    }
}
