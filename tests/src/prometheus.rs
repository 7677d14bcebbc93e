//! A real Prometheus that scrapes one exporter, and its tool `promtool`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http;
use crate::live;
use crate::running::{Running, until};
use crate::temp::TempDir;

/// A program on `PATH`, or unpacked by `cargo xtask test` into the cache; says when the test is left out.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([cache().join("peers/usr/bin")]);
    let found = folders.find_map(|dir| Some(dir.join(name)).filter(|p| p.is_file()));
    live::need(&format!("{name} (Debian unstable; `cargo xtask test` unpacks it)"), found.is_some());
    found
}

/// This project's cache folder: `$NODETALLY_CACHE`, else as `cargo xtask` has it.
pub fn cache() -> PathBuf {
    let folder = |name, below| std::env::var_os(name).map(|dir| Path::new(&dir).join(below));
    let named = folder("NODETALLY_CACHE", "").or_else(|| folder("XDG_CACHE_HOME", "nodetally"));
    named.or_else(|| folder("HOME", ".cache/nodetally")).unwrap()
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    process: Running,
    address: SocketAddr,
    _dir: TempDir,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The labels that the query left.
    pub labels: serde_json::Value,
    /// The value.
    pub value: f64,
}

impl Prometheus {
    /// Starts it with one target, scraped at this interval; waits until the target has been scraped.
    pub fn start(target: SocketAddr, interval: Duration) -> Option<Self> {
        Self::start_with_rules(target, interval, "groups: []\n")
    }

    /// The same with these recording rules.
    pub fn start_with_rules(target: SocketAddr, interval: Duration, rules: &str) -> Option<Self> {
        let binary = program("prometheus")?;
        let dir = TempDir::new("prometheus");
        dir.write("rules.yml", rules);
        let config = dir.write(
            "prometheus.yml",
            format!(
                "global: {{scrape_interval: {0}ms, scrape_timeout: {0}ms}}\n\
                 rule_files: [rules.yml]\nscrape_configs:\n- job_name: node\n  static_configs: [{{targets: ['{target}']}}]\n",
                interval.as_millis()
            ),
        );
        let address = http::free_address();
        let process = Running::start(
            Command::new(binary)
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .current_dir(dir.path()),
        );
        let prometheus = Self { process, address, _dir: dir };
        let up =
            until(Duration::from_mins(1), || prometheus.ready() && prometheus.try_value("up") == Some(1.0));
        assert!(up, "Prometheus did not scrape {target}:\n{}", prometheus.process.said());
        Some(prometheus)
    }

    fn ready(&self) -> bool {
        http::get(self.address, "/-/ready").is_ok_and(|r| r.status == 200)
    }

    /// An instant query now.
    pub fn query(&self, promql: &str) -> Vec<Series> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.query_at(promql, now)
    }

    /// An instant query at a time since the epoch. Panics on an error of the query.
    pub fn query_at(&self, promql: &str, at: Duration) -> Vec<Series> {
        let answer = self.ask(promql, at);
        let rows = answer["data"]["result"].as_array().unwrap();
        rows.iter().map(|row| Series { labels: row["metric"].clone(), value: value_of(row) }).collect()
    }

    fn ask(&self, promql: &str, at: Duration) -> serde_json::Value {
        let target = format!("/api/v1/query?query={}&time={:.3}", encode(promql), at.as_secs_f64());
        let response = http::get(self.address, &target).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(answer["status"], "success", "{promql}: {answer}");
        answer
    }

    /// Times (seconds since the epoch) and values of the one series that a selector with a range (`up[1m]`) has now;
    /// none without a series.
    pub fn samples(&self, range: &str) -> Vec<(f64, f64)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let answer = self.ask(range, now);
        let pairs = answer["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
        let pair = |pair: &serde_json::Value| {
            (pair[0].as_f64().unwrap(), pair[1].as_str().unwrap().parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    /// When the first and the last sample of a selector with a range (`up[1m]`) were taken, seconds since the epoch.
    pub fn span_at(&self, range: &str, at: Duration) -> (f64, f64) {
        let answer = self.ask(range, at);
        let times = answer["data"]["result"][0]["values"].as_array();
        let times = times.unwrap_or_else(|| panic!("{range}: no samples: {answer}"));
        let time = |pair: &serde_json::Value| pair[0].as_f64().unwrap();
        (time(times.first().unwrap()), time(times.last().unwrap()))
    }

    /// The one value a query gives now; panics with the query when there is none or there are several.
    pub fn value(&self, promql: &str) -> f64 {
        let series = self.query(promql);
        assert_eq!(series.len(), 1, "{promql}: {series:?}");
        series[0].value
    }

    /// The value when the query gives exactly one.
    pub fn try_value(&self, promql: &str) -> Option<f64> {
        let series = self.query(promql);
        if let [one] = &series[..] { Some(one.value) } else { None }
    }
}

fn value_of(row: &serde_json::Value) -> f64 {
    row["value"][1].as_str().unwrap().parse().unwrap()
}

/// Percent-encodes all but letters, digits and `_`.
fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// What `promtool check metrics` says of a page: parse errors and lint lines, one a line.
pub fn check_metrics(page: &str) -> Option<Vec<String>> {
    let mut tool = Command::new(program("promtool")?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = tool.stdin.take().unwrap();
    let page = page.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(page.as_bytes()));
    let out = tool.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = [out.stdout, out.stderr].concat();
    Some(String::from_utf8_lossy(&said).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn queries_survive_the_address() {
        assert_eq!(super::encode("rate(a{b=\"c d\"}[1m])"), "rate%28a%7Bb%3D%22c%20d%22%7D%5B1m%5D%29");
    }
}
