//! Settings of the server: who listens where, and what is served there.

use super::{ConfigError, FlagValues, ListenAddress, cadvisor::LISTENERS};

/// The server's settings.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// What is served, and where.
    pub sites: Vec<SiteSettings>,
    /// Scrapes at once, those of all sites together; 0 for no limit.
    pub max_requests: usize,
    /// Whether process_* and promhttp_* are shown.
    pub exporter_metrics: bool,
}

/// One set of addresses that serve the same.
#[derive(Debug, Clone)]
pub struct SiteSettings {
    /// What is served there.
    pub part: Part,
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// The path of the metrics, with its leading slash.
    pub telemetry_path: String,
    /// What all paths begin with; no slash at its end.
    pub prefix: String,
}

/// What an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// `node_*`, where containers have an address of their own.
    Node,
    /// Containers and the machine.
    Containers,
}

impl SiteSettings {
    /// Whether it has this very address; port 0 stands for another one each time.
    fn serves_at(&self, address: &ListenAddress) -> bool {
        address.socket.port() != 0 && self.listen.contains(address)
    }
}

impl Part {
    /// The word in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Node => "node",
            Self::Containers => "containers",
        }
    }
}

impl WebSettings {
    /// Checks the server's flags.
    ///
    /// # Errors
    /// The first flag whose value cannot be used.
    pub(super) fn new(flags: &FlagValues) -> Result<Self, ConfigError> {
        let max_requests = flags.text("web.max-requests");
        let containers = containers(flags)?;
        let node = SiteSettings {
            part: if containers.is_some() { Part::Node } else { Part::All },
            listen: addresses(flags, "web.listen-address")?,
            telemetry_path: path(flags, "web.telemetry-path")?,
            prefix: String::new(),
        };
        if let Some(twice) =
            containers.iter().flat_map(|site| &site.listen).find(|address| node.serves_at(address))
        {
            let address = twice.socket;
            return Err(ConfigError(format!(
                "{address} is to serve containers alone, and by --web.listen-address the rest: give another port"
            )));
        }
        Ok(Self {
            sites: [Some(node), containers].into_iter().flatten().collect(),
            max_requests: max_requests.parse().map_err(|_| {
                ConfigError::flag("web.max-requests", max_requests, "expected a whole number")
            })?,
            exporter_metrics: !flags.is_on("web.disable-exporter-metrics"),
        })
    }
}

/// The addresses of containers alone, if there are to be some.
fn containers(flags: &FlagValues) -> Result<Option<SiteSettings>, ConfigError> {
    let Some(asked) = LISTENERS.iter().find(|name| flags.is_given(name)) else { return Ok(None) };
    if !flags.is_on("container") {
        return Err(ConfigError(format!("--{asked} and --no-container: nothing would be served there")));
    }
    let mut listen = Vec::new();
    if flags.is_given("container.listen-address") {
        listen = addresses(flags, "container.listen-address")?;
    }
    if flags.is_given("port") || flags.is_given("listen_ip") {
        listen.push(cadvisor_address(flags)?);
    }
    let prefix = flags.text("url_base_prefix");
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return Err(ConfigError::flag("url_base_prefix", prefix, "a path begins with /"));
    }
    Ok(Some(SiteSettings {
        part: Part::Containers,
        listen,
        telemetry_path: path(flags, "prometheus_endpoint")?,
        prefix: prefix.trim_end_matches('/').to_owned(),
    }))
}

/// `--listen_ip` and `--port`.
fn cadvisor_address(flags: &FlagValues) -> Result<ListenAddress, ConfigError> {
    let (ip, port) = (flags.text("listen_ip"), flags.text("port"));
    let port: u16 = port.parse().map_err(|_| ConfigError::flag("port", port, "expected 0 to 65535"))?;
    let is_bare_ipv6 = ip.contains(':') && !ip.starts_with('[');
    let typed = if is_bare_ipv6 { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
    ListenAddress::parse(&typed, &hosts()).map_err(|why| ConfigError::flag("listen_ip", ip, why))
}

fn addresses(flags: &FlagValues, name: &str) -> Result<Vec<ListenAddress>, ConfigError> {
    let hosts = hosts();
    let parsed =
        |typed| ListenAddress::parse(typed, &hosts).map_err(|why| ConfigError::flag(name, typed, why));
    flags.many(name).map(parsed).collect()
}

fn hosts() -> String {
    std::fs::read_to_string("/etc/hosts").unwrap_or_default()
}

fn path(flags: &FlagValues, name: &str) -> Result<String, ConfigError> {
    let path = flags.text(name);
    if !path.starts_with('/') {
        return Err(ConfigError::flag(name, path, "a path begins with /"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Asked, parse};

    fn web(line: &str) -> Result<WebSettings, String> {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Asked::Run(flags)) => WebSettings::new(&flags).map_err(|error| error.to_string()),
            Ok(Asked::Print(text)) => Err(text),
            Err(error) => Err(error.to_string()),
        }
    }

    fn shown(line: &str) -> Vec<String> {
        let site = |site: &SiteSettings| {
            let listen: Vec<_> = site.listen.iter().map(|address| address.socket.to_string()).collect();
            format!("{} {} {}{}", site.part.word(), listen.join(","), site.prefix, site.telemetry_path)
        };
        web(line).expect(line).sites.iter().map(site).collect()
    }

    #[test]
    fn containers_have_an_address_of_their_own_when_asked() {
        for (line, sites) in [
            ("", &["all [::]:9100 /metrics"][..]),
            ("--prometheus_endpoint=/x", &["all [::]:9100 /metrics"]),
            ("-port=8081", &["node [::]:9100 /metrics", "containers [::]:8081 /metrics"]),
            ("-port=8080", &["node [::]:9100 /metrics", "containers [::]:8080 /metrics"]),
            ("-listen_ip=127.0.0.1", &["node [::]:9100 /metrics", "containers 127.0.0.1:8080 /metrics"]),
            ("-listen_ip ::1 -port 1", &["node [::]:9100 /metrics", "containers [::1]:1 /metrics"]),
            ("-port=0 --web.listen-address=:0", &["node [::]:0 /metrics", "containers [::]:0 /metrics"]),
            ("-listen_ip=[::]", &["node [::]:9100 /metrics", "containers [::]:8080 /metrics"]),
            (
                "--container.listen-address=:1 --container.listen-address=127.0.0.1:2 -port=3 \
                 --web.telemetry-path=/n --prometheus_endpoint=/c --url_base_prefix=/p/",
                &["node [::]:9100 /n", "containers [::]:1,127.0.0.1:2,[::]:3 /p/c"],
            ),
        ] {
            assert_eq!(shown(line), sites, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (line, word) in [
            ("-port=65536", "--port"),
            ("-port=-1", "--port"),
            ("-listen_ip=nowhere", "--listen_ip"),
            ("-port=1 -prometheus_endpoint=metrics", "--prometheus_endpoint"),
            ("-port=1 -url_base_prefix=x", "--url_base_prefix"),
            ("-port=1 --no-container", "--port"),
            ("-port=9100", "--web.listen-address"),
            ("--container.listen-address=[::1]:5 --web.listen-address=[::1]:5", "[::1]:5"),
            ("--container.listen-address=8080", "--container.listen-address"),
            ("--web.max-requests=many", "--web.max-requests"),
        ] {
            let error = web(line).expect_err(line);
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
