//! The reference for containers, beside ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

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
        self.stamped().0
    }

    /// Its page, and when what stands there was read.
    pub fn stamped(&self) -> (Page, Stamps) {
        let answer = http::get(self.address, "/metrics").unwrap_or_else(|e| panic!("{e}: {}", self.said()));
        let text = answer.text();
        (Page::parse(&without_timestamps(&text)), stamps(&text))
    }

    /// A page whose figures of these `id`s were all read after this call: each is looked at by a loop of its own, so the
    /// reading that follows the first one stamped later began later.
    pub fn page_read_from_now(&self, ids: &[&str]) -> Page {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let mut first: Stamps = Stamps::new();
        let mut page = Page::default();
        let fresh = until(Duration::from_mins(1), || {
            let (next, stamps) = self.stamped();
            page = next;
            let mut all = true;
            for id in ids {
                let stamp = stamps.get(*id).copied().filter(|stamp| u128::from(*stamp) > now);
                all &= match (stamp, first.get(*id)) {
                    (Some(stamp), Some(first)) => stamp > *first,
                    (Some(stamp), None) => {
                        first.insert((*id).to_owned(), stamp);
                        false
                    }
                    (None, _) => false,
                };
            }
            all
        });
        assert!(fresh, "cAdvisor does not read all of {ids:?} again: {}", self.said());
        page
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

/// When it read the figures of each cgroup, by `id`, in milliseconds since 1970.
pub type Stamps = BTreeMap<String, u64>;

fn stamps(text: &str) -> Stamps {
    let rows = text.lines().filter_map(|line| line.strip_prefix("container_memory_usage_bytes{"));
    let stamp = |row: &str| {
        let (labels, numbers) = row.rsplit_once("} ")?;
        let (_, stamp) = numbers.split_once(' ')?;
        let (_, id) = labels.split_once("id=\"")?;
        let (id, _) = id.split_once('"')?;
        Some((id.to_owned(), stamp.parse().ok()?))
    };
    rows.filter_map(stamp).collect()
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
    use super::{stamps, without_timestamps};

    #[test]
    fn a_timestamp_is_cut_and_nothing_else() {
        let text = "# HELP a b c d} e f g\na{x=\"y 1 2\"} 1 1700000000000\nb 2 17\nc{z=\"}\"} 3\n";
        assert_eq!(without_timestamps(text), "# HELP a b c d} e f g\na{x=\"y 1 2\"} 1\nb 2\nc{z=\"}\"} 3\n");
    }

    #[test]
    fn each_cgroup_has_the_time_of_its_reading() {
        let text = "container_memory_usage_bytes{id=\"/\",name=\"\"} 1 17\ncontainer_memory_usage_bytes{a=\"x\",id=\"/b\"} 2 18\n\
                    container_last_seen{id=\"/\"} 1 19\ncontainer_spec_cpu_period{id=\"/c\"} 1\n";
        let read: Vec<_> = stamps(text).into_iter().collect();
        assert_eq!(read, [("/".to_owned(), 17), ("/b".to_owned(), 18)]);
    }
}
