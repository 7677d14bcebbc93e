//! The reference for containers, beside ours.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, process::Command, time::Duration};

use crate::{
    http,
    page::Page,
    prometheus::program,
    running::{Running, until},
    temp::TempDir,
};

/// A running cAdvisor; killed on drop.
#[derive(Debug)]
pub struct Cadvisor {
    process: Running,
    address: SocketAddr,
    _dir: TempDir,
}

impl Cadvisor {
    /// Starts it with this Docker socket and these flags; gives it when it serves.
    pub fn start(docker: &Path, flags: &[&str]) -> Option<Self> {
        let dir = TempDir::new("cadvisor");
        let address = http::free_address();
        let mut command = Command::new(program("cadvisor")?);
        command.args(["-listen_ip", "127.0.0.1", "-port", &address.port().to_string()]);
        command.args(["-docker", &format!("unix://{}", docker.display())]);
        // Another engine's containers are not for this one.
        command.arg("-containerd").arg(dir.path().join("containerd.sock"));
        command.args(["-housekeeping_interval=500ms", "-allow_dynamic_housekeeping=false"]);
        let process = Running::start(command.args(flags).current_dir(dir.path()));
        let cadvisor = Self { process, address, _dir: dir };
        let up = until(Duration::from_secs(30), || {
            http::get(address, "/healthz").is_ok_and(|answer| answer.status == 200)
        });
        assert!(up, "cAdvisor did not start: {}", cadvisor.said());
        Some(cadvisor)
    }

    /// Its page, without the timestamps.
    pub fn page(&self) -> Page {
        let answer = http::get(self.address, "/metrics").unwrap_or_else(|e| panic!("{e}: {}", self.said()));
        Page::parse(&without_timestamps(&answer.text()))
    }

    /// The page once it has a row of this family for each of these `id`s.
    pub fn page_with(&self, family: &str, ids: &[&str]) -> Page {
        let mut page = Page::default();
        let all = until(Duration::from_secs(30), || {
            page = self.page();
            let shown: BTreeSet<&str> = page
                .matching(family, &[])
                .filter_map(|sample| sample.labels.get("id"))
                .map(String::as_str)
                .collect();
            ids.iter().all(|id| shown.contains(id))
        });
        assert!(all, "cAdvisor does not see all of {ids:?}: {}", self.said());
        page
    }

    /// What it has printed.
    pub fn said(&self) -> String {
        self.process.said()
    }
}

/// Cuts the second number from each sample.
fn without_timestamps(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for line in text.lines() {
        let labels = line.rfind('}').map_or(0, |at| at + 1);
        let (series, numbers) = line.split_at(labels);
        let cut = match numbers.match_indices(' ').nth(1) {
            Some((at, _)) if !line.starts_with('#') => &numbers[..at],
            _ => numbers,
        };
        plain.extend([series, cut, "\n"]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::without_timestamps;

    #[test]
    fn a_timestamp_is_cut_and_nothing_else() {
        let text = "# HELP a b c d} e f g\na{x=\"y 1 2\"} 1 1700000000000\nb 2 17\nc{z=\"}\"} 3\n";
        assert_eq!(without_timestamps(text), "# HELP a b c d} e f g\na{x=\"y 1 2\"} 1\nb 2\nc{z=\"}\"} 3\n");
    }
}
