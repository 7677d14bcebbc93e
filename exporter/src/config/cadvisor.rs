//! cAdvisor's own flags: which there are, what each takes, and what becomes of it here.

use super::FlagValues;

/// Flags that give containers an address of their own.
pub(super) const LISTENERS: [&str; 3] = ["port", "listen_ip", "container.listen-address"];

/// Flags that shape what is served there.
const OF_THE_LISTENER: [&str; 2] = ["prometheus_endpoint", "url_base_prefix"];

/// One of cAdvisor's flags.
#[derive(Debug)]
pub struct CadvisorFlag {
    /// The name without the dashes.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The value when it is not given; empty for none.
    pub default: &'static str,
    /// What becomes of it.
    pub here: Here,
}

/// What one of cAdvisor's flags takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or `=true`, `=false`.
    Switch,
    /// Any text.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// A time.
    Time,
    /// How bad a log line is, by name or number.
    Severity,
    /// Log levels by file, `main=2,http*=1`.
    Levels,
    /// A line of the source, `main.go:12`.
    Place,
}

/// What becomes of one of cAdvisor's flags.
#[derive(Clone, Copy, Debug)]
pub enum Here {
    /// It means what it means there.
    Means {
        /// The word that stands for the value in the help.
        placeholder: &'static str,
        /// What it does, in half a line.
        help: &'static str,
    },
    /// It is checked, named in the log, and nothing else; why.
    Idle(&'static str),
}

/// All of them, those that mean something first.
pub static FLAGS: &[CadvisorFlag] = &[
    means("port", Kind::Whole, "8080", "PORT", "Serve containers alone on this port"),
    means("listen_ip", Kind::Text, "", "ADDRESS", "Serve containers alone at this address"),
    means("prometheus_endpoint", Kind::Text, "/metrics", "PATH", "The path of the metrics there"),
    means("url_base_prefix", Kind::Text, "", "PATH", "What the paths there begin with"),
    means(
        "docker",
        Kind::Text,
        "unix:///var/run/docker.sock",
        "SOCKET",
        "Docker's socket on the host; empty for none",
    ),
    means(
        "containerd",
        Kind::Text,
        "/run/containerd/containerd.sock",
        "SOCKET",
        "containerd's; empty for none",
    ),
    means("containerd-namespace", Kind::Text, "", "NAME", "Its one namespace to ask for; all if empty"),
    means("podman", Kind::Text, "unix:///var/run/podman/podman.sock", "SOCKET", "Podman's; empty for none"),
    means("docker_only", Kind::Switch, "false", "", "Leave out plain cgroups, save the root"),
    means(
        "raw_cgroup_prefix_whitelist",
        Kind::Text,
        "",
        "LIST",
        "Of plain cgroups only those whose path begins so, and the root",
    ),
    means("disable_root_cgroup_stats", Kind::Switch, "false", "", "Leave out the root"),
    means("store_container_labels", Kind::Switch, "true", "", "Show all labels of containers"),
    means("whitelisted_container_labels", Kind::Text, "", "LIST", "Labels to show where not all are"),
    means("env_metadata_whitelist", Kind::Text, "", "LIST", "Show variables whose name begins so"),
    means("docker_env_metadata_whitelist", Kind::Text, "", "LIST", "Older name of the same"),
    means("containerd_env_metadata_whitelist", Kind::Text, "", "LIST", "Older name of the same"),
    means("disable_metrics", Kind::Text, "", "LIST", "Groups to leave out, in cAdvisor's words"),
    means("enable_metrics", Kind::Text, "", "LIST", "Of cAdvisor's groups only these"),
    means("enable_load_reader", Kind::Switch, "false", "", "Count tasks by state, and load (cgroup v1)"),
    means("version", Kind::Switch, "false", "", "Print the version and end"),
    means("machine_id_file", Kind::Text, "", "LIST", "Files that may hold the machine's id"),
    means("boot_id_file", Kind::Text, "", "LIST", "Files that may hold this boot's id"),
    idle("allow_dynamic_housekeeping", Kind::Switch, CLOCK),
    idle("global_housekeeping_interval", Kind::Time, CLOCK),
    idle("housekeeping_interval", Kind::Time, CLOCK),
    idle("initial_splay_factor", Kind::Number, CLOCK),
    idle("jitter_factor", Kind::Number, CLOCK),
    idle("max_housekeeping_interval", Kind::Time, CLOCK),
    idle("referenced_reset_interval", Kind::Whole, MARKS),
    idle("resctrl_interval", Kind::Time, CLOCK),
    idle("update_machine_info_interval", Kind::Time, CLOCK),
    idle("bq_account", Kind::Text, STORAGE),
    idle("bq_credentials_file", Kind::Text, STORAGE),
    idle("bq_id", Kind::Text, STORAGE),
    idle("bq_project_id", Kind::Text, STORAGE),
    idle("bq_secret", Kind::Text, STORAGE),
    idle("event_storage_age_limit", Kind::Text, STORAGE),
    idle("event_storage_event_limit", Kind::Text, STORAGE),
    idle("storage_driver", Kind::Text, STORAGE),
    idle("storage_driver_buffer_duration", Kind::Time, STORAGE),
    idle("storage_driver_db", Kind::Text, STORAGE),
    idle("storage_driver_es_enable_sniffer", Kind::Switch, STORAGE),
    idle("storage_driver_es_host", Kind::Text, STORAGE),
    idle("storage_driver_es_index", Kind::Text, STORAGE),
    idle("storage_driver_es_type", Kind::Text, STORAGE),
    idle("storage_driver_host", Kind::Text, STORAGE),
    idle("storage_driver_influxdb_retention_policy", Kind::Text, STORAGE),
    idle("storage_driver_kafka_broker_list", Kind::Text, STORAGE),
    idle("storage_driver_kafka_ssl_ca", Kind::Text, STORAGE),
    idle("storage_driver_kafka_ssl_cert", Kind::Text, STORAGE),
    idle("storage_driver_kafka_ssl_key", Kind::Text, STORAGE),
    idle("storage_driver_kafka_ssl_verify", Kind::Switch, STORAGE),
    idle("storage_driver_kafka_topic", Kind::Text, STORAGE),
    idle("storage_driver_password", Kind::Text, STORAGE),
    idle("storage_driver_secure", Kind::Switch, STORAGE),
    idle("storage_driver_table", Kind::Text, STORAGE),
    idle("storage_driver_user", Kind::Text, STORAGE),
    idle("storage_duration", Kind::Time, STORAGE),
    idle("add_dir_header", Kind::Switch, LOG),
    idle("alsologtostderr", Kind::Switch, LOG),
    idle("alsologtostderrthreshold", Kind::Severity, LOG),
    idle("legacy_stderr_threshold_behavior", Kind::Switch, LOG),
    idle("log_backtrace_at", Kind::Place, LOG),
    idle("log_cadvisor_usage", Kind::Switch, LOG),
    idle("log_dir", Kind::Text, LOG),
    idle("log_file", Kind::Text, LOG),
    idle("log_file_max_size", Kind::Whole, LOG),
    idle("logtostderr", Kind::Switch, LOG),
    idle("one_output", Kind::Switch, LOG),
    idle("skip_headers", Kind::Switch, LOG),
    idle("skip_log_headers", Kind::Switch, LOG),
    idle("stderrthreshold", Kind::Severity, LOG),
    idle("v", Kind::Whole, LOG),
    idle("vmodule", Kind::Levels, LOG),
    idle("http_auth_file", Kind::Text, PAGES),
    idle("http_auth_realm", Kind::Text, PAGES),
    idle("http_digest_file", Kind::Text, PAGES),
    idle("http_digest_realm", Kind::Text, PAGES),
    idle("profiling", Kind::Switch, PAGES),
    idle("crio_client_timeout", Kind::Time, RUNTIMES),
    idle("docker-tls", Kind::Switch, RUNTIMES),
    idle("docker-tls-ca", Kind::Text, RUNTIMES),
    idle("docker-tls-cert", Kind::Text, RUNTIMES),
    idle("docker-tls-key", Kind::Text, RUNTIMES),
    idle("docker_root", Kind::Text, RUNTIMES),
    idle("mesos_agent", Kind::Text, ABSENT),
    idle("mesos_agent_timeout", Kind::Time, ABSENT),
    idle("application_metrics_count_limit", Kind::Whole, ABSENT),
    idle("collector_cert", Kind::Text, ABSENT),
    idle("collector_key", Kind::Text, ABSENT),
    idle("container_hints", Kind::Text, ABSENT),
    idle("perf_events_config", Kind::Text, ABSENT),
    idle("max_procs", Kind::Whole, "the number of threads is fixed"),
];

const CLOCK: &str = "nothing is read but in a scrape";
const MARKS: &str = "no process loses its marks of touched memory: nothing is written to the host";
const STORAGE: &str = "nothing is stored or sent elsewhere";
const LOG: &str = "the log goes to standard error; --log.level and --log.format shape it";
const PAGES: &str = "there are no pages to guard, and no profiler";
const RUNTIMES: &str = "runtimes are asked over their sockets on the host, and never waited for";
const ABSENT: &str = "there are no such figures here";

const fn means(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    placeholder: &'static str,
    help: &'static str,
) -> CadvisorFlag {
    CadvisorFlag { name, kind, default, here: Here::Means { placeholder, help } }
}

const fn idle(name: &'static str, kind: Kind, why: &'static str) -> CadvisorFlag {
    CadvisorFlag { name, kind, default: "", here: Here::Idle(why) }
}

/// Names in one line of the log the flags that were given and mean nothing here.
pub fn warn_of_idle(flags: &FlagValues) {
    let listens = LISTENERS.iter().any(|name| flags.is_given(name));
    let is_idle = |flag: &&CadvisorFlag| match flag.here {
        Here::Idle(_) => true,
        Here::Means { .. } => !listens && OF_THE_LISTENER.contains(&flag.name),
    };
    let given = FLAGS.iter().filter(|flag| flags.is_given(flag.name)).filter(is_idle);
    let names = given.map(|flag| format!("--{}", flag.name)).collect::<Vec<_>>().join(" ");
    if !names.is_empty() {
        tracing::warn!(
            flags = names,
            "flags of cAdvisor's that change nothing here (docs/flags.md says why)"
        );
    }
}

/// The flag of that name.
pub fn flag(name: &str) -> Option<&'static CadvisorFlag> {
    FLAGS.iter().find(|flag| flag.name == name)
}
