//! The programs of this workspace that go into the guest.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Guest, bytes_of};

impl Guest {
    /// Takes the exporter, the load generator and these test programs along, all on the guest's `PATH`.
    ///
    /// # Errors
    /// When one cannot be built.
    pub fn carry_programs(&mut self, exporter: &Path, tests: &[String]) -> Result<(), String> {
        self.carry(exporter, "/opt/nodetally/nodetally");
        for (name, path) in executables(tests)? {
            let folder = if tests.contains(&name) { "/opt/nodetally/deps" } else { "/opt/nodetally" };
            self.carry(&path, &format!("{folder}/{name}"));
        }
        Ok(())
    }
}

/// Builds these tests, as the build that runs has them, and gives what came of it: the tests and the load generator.
fn executables(tests: &[String]) -> Result<Vec<(String, PathBuf)>, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["test", "--package", "tests", "--no-run", "--message-format=json-render-diagnostics"]);
    for test in tests {
        cargo.args(["--test", test]);
    }
    let messages = bytes_of(&mut cargo)?;
    let messages = messages.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let programs = messages.filter_map(|message: serde_json::Value| {
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    });
    Ok(programs.collect())
}
