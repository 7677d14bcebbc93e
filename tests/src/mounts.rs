//! A mount namespace of a test's own: what is mounted in it goes with it.

use std::{process::Command, time::Duration};

use crate::running::Running;

/// The namespace; it lasts until this is dropped and whatever was started in it has ended.
#[derive(Debug)]
pub struct Mounts(Running);

impl Mounts {
    /// A copy of this process' mounts, with this propagation, after a line of shell in it.
    pub fn new(propagation: &str, prepare: &str) -> Self {
        let script = format!("set -e; {prepare}\necho ready; exec sleep infinity");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", propagation, "sh", "-c", &script]);
        let mounts = Self(Running::start(&mut command));
        assert!(mounts.0.says("ready", Duration::from_secs(10)), "{command:?}: {}", mounts.0.said());
        mounts
    }

    /// A program with its arguments within.
    pub fn command(&self, program: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.0.pid())).args(program);
        command
    }
}
