//! The command line: node_exporter's grammar, one definition per flag.

use std::collections::HashMap;

use clap::{Arg, ArgAction, Command, parser::ValueSource};

use super::{
    ConfigError,
    cadvisor::{self, Here, Kind},
    go,
};
use crate::{
    collector::{Descriptor, Flag, Takes},
    node,
};

/// Depth of `@FILE` arguments within such files.
const DEEPEST: usize = 8;

const VERSION: &str = "version";
/// Names that `env_metadata_whitelist` had; the help does without.
const OLDER: [&str; 2] = ["containerd_env_metadata_whitelist", "docker_env_metadata_whitelist"];

/// The exporter's own flags; those of the collectors stand in their files.
static FLAGS: &[Flag] = &[
    Flag {
        name: "web.listen-address",
        takes: Takes::Many { placeholder: "ADDRESS", default: ":9100" },
        help: "Where to listen; may be given more than once",
    },
    Flag {
        name: "web.telemetry-path",
        takes: Takes::Text { placeholder: "PATH", default: "/metrics" },
        help: "The path of the metrics",
    },
    Flag {
        name: "web.max-requests",
        takes: Takes::Text { placeholder: "N", default: "40" },
        help: "Scrapes at once, 0 for no limit; more are answered 503",
    },
    Flag {
        name: "web.disable-exporter-metrics",
        takes: Takes::Switch { default: false },
        help: "Leave out process_* and promhttp_*",
    },
    Flag {
        name: "path.procfs",
        takes: Takes::Text { placeholder: "FOLDER", default: "/proc" },
        help: "Where procfs is mounted",
    },
    Flag {
        name: "path.sysfs",
        takes: Takes::Text { placeholder: "FOLDER", default: "/sys" },
        help: "Where sysfs is mounted",
    },
    Flag {
        name: "path.rootfs",
        takes: Takes::Text { placeholder: "FOLDER", default: "/" },
        help: "Where the host's root is, /host in a container",
    },
    Flag {
        name: "path.udev.data",
        takes: Takes::Text { placeholder: "FOLDER", default: "/run/udev/data" },
        help: "Where udev keeps its device data",
    },
    Flag {
        name: "collector.disable-defaults",
        takes: Takes::Switch { default: false },
        help: "Run only the collectors that are asked for by name",
    },
    Flag {
        name: "ebpf",
        takes: Takes::Choice { of: &["auto", "off", "require"], default: "auto" },
        help: "Count CPU time and network bytes in the kernel",
    },
    Flag {
        name: "container",
        takes: Takes::Switch { default: true },
        help: "Give container_* and machine_*",
    },
    Flag {
        name: "container.add",
        takes: Takes::Text { placeholder: "LIST", default: "" },
        help: "Groups to give besides, in the words of --enable_metrics",
    },
    Flag {
        name: "container.timestamps",
        takes: Takes::Switch { default: false },
        help: "Write with each figure when it was read",
    },
    Flag {
        name: "container.max",
        takes: Takes::Text { placeholder: "N", default: "4096" },
        help: "Cgroups that the kernel half counts for",
    },
    Flag {
        name: "container.keep-dead",
        takes: Takes::Text { placeholder: "TIME", default: "60s" },
        help: "How long the counters of a dead container are shown",
    },
    Flag {
        name: "container.layer-usage",
        takes: Takes::Text { placeholder: "TIME", default: "60s" },
        help: "Measure a container's write layer this often at most; 0 for never",
    },
    Flag {
        name: "container.cpu-source",
        takes: Takes::Choice { of: &["auto", "cgroupfs", "ebpf"], default: "auto" },
        help: "Where container CPU time comes from",
    },
    Flag {
        name: "container.labels",
        takes: Takes::Choice { of: &["cadvisor", "kubelet"], default: "cadvisor" },
        help: "Whose labels containers have",
    },
    Flag {
        name: "container.label-exclude",
        takes: Takes::Text { placeholder: "REGEXP", default: "" },
        help: "Labels of containers to leave out, by the runtime's key",
    },
    Flag {
        name: "container.listen-address",
        takes: Takes::Many { placeholder: "ADDRESS", default: "" },
        help: "Serve containers here, alone; the other addresses then go without",
    },
    Flag {
        name: "crio",
        takes: Takes::Text { placeholder: "SOCKET", default: "unix:///var/run/crio/crio.sock" },
        help: "CRI-O's socket on the host; empty for none",
    },
    Flag {
        name: "log.level",
        takes: Takes::Choice { of: &["debug", "info", "warn", "error"], default: "info" },
        help: "The least severe level that is logged",
    },
    Flag {
        name: "log.format",
        takes: Takes::Choice { of: &["logfmt", "json"], default: "logfmt" },
        help: "The form of a log line",
    },
    Flag {
        name: "scrape.share",
        takes: Takes::Text { placeholder: "TIME", default: "20ms" },
        help: "Share a scrape that began less than this ago; 0 for never",
    },
];

/// The exporter's flags with those of every collector.
pub fn exporter_flags() -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().chain(node::COLLECTORS.iter().flat_map(|descriptor| descriptor.flags))
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To run.
    Run(FlagValues),
    /// To print this (help or version) and end.
    Print(String),
}

/// Flags as typed, defaults filled in.
#[derive(Debug, Default)]
pub struct FlagValues {
    values: HashMap<String, Given>,
}

#[derive(Debug, Default)]
struct Given {
    values: Vec<String>,
    on: bool,
    by_user: bool,
}

impl Given {
    /// One of cAdvisor's.
    fn new(value: &str) -> Self {
        Self { values: vec![value.to_owned()], on: value == "true", by_user: false }
    }
}

impl FlagValues {
    /// A switch's state.
    pub fn is_on(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|given| given.on)
    }

    /// Whether the user gave the flag, in either form.
    pub fn is_given(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|given| given.by_user)
    }

    /// A flag's value, or its default.
    pub fn text(&self, name: &str) -> &str {
        self.many(name).next().unwrap_or_default()
    }

    /// A repeatable flag's values, or its default.
    pub fn many(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.get(name).into_iter().flat_map(|given| &given.values).map(String::as_str)
    }
}

/// Reads the command line, the program's name left out.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Asked, ConfigError> {
    let mut expanded = Vec::new();
    for argument in arguments {
        expand(argument, &mut expanded, 0)?;
    }
    let (theirs, ours) = go::take(expanded, takes_value)?;
    let matches = match command().try_get_matches_from(ours) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Ok(Asked::Print(error.to_string())),
        Err(error) => return Err(ConfigError(one_line(&error))),
    };
    let version = theirs.iter().rfind(|typed| typed.flag.name == VERSION);
    if version.is_some_and(|typed| typed.value == "true") {
        return Ok(Asked::Print(command().render_version()));
    }
    let mut values = HashMap::new();
    for flag in cadvisor::FLAGS {
        values.insert(flag.name.to_owned(), Given::new(flag.default));
    }
    for typed in theirs {
        values.insert(typed.flag.name.to_owned(), Given { by_user: true, ..Given::new(&typed.value) });
    }
    for flag in exporter_flags() {
        let given = match flag.takes {
            Takes::Switch { default } => switch(&matches, flag.name, default),
            _ => Given {
                values: matches.get_many::<String>(flag.name).into_iter().flatten().cloned().collect(),
                on: false,
                by_user: matches.value_source(flag.name) == Some(ValueSource::CommandLine),
            },
        };
        values.insert(flag.name.to_owned(), given);
    }
    for descriptor in node::COLLECTORS {
        let name = collector_flag(descriptor);
        let given = switch(&matches, &name, descriptor.on_by_default);
        values.insert(name, given);
    }
    Ok(Asked::Run(FlagValues { values }))
}

/// Whether the argument behind this flag is its value.
fn takes_value(name: &str) -> bool {
    exporter_flags().any(|flag| flag.name == name && !matches!(flag.takes, Takes::Switch { .. }))
}

fn switch(matches: &clap::ArgMatches, name: &str, default: bool) -> Given {
    let (yes, no) = (matches.get_flag(name), matches.get_flag(&format!("no-{name}")));
    Given { values: Vec::new(), on: yes || (default && !no), by_user: yes || no }
}

fn collector_flag(descriptor: &Descriptor) -> String {
    format!("collector.{}", descriptor.name)
}

/// `@FILE` stands for the arguments in the file, one a line.
fn expand(argument: String, out: &mut Vec<String>, depth: usize) -> Result<(), ConfigError> {
    let Some(path) = argument.strip_prefix('@') else {
        out.push(argument);
        return Ok(());
    };
    if depth == DEEPEST {
        return Err(ConfigError(format!("{argument}: argument files within argument files, {DEEPEST} deep")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError(format!("{argument}: {error}")))?;
    text.lines().filter(|line| !line.is_empty()).try_for_each(|line| expand(line.to_owned(), out, depth + 1))
}

fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty())
        .collect();
    first.join("; ").trim_start_matches("error: ").replace("; tip:", " (")
        + if text.contains("tip:") { ")" } else { "" }
}

fn command() -> Command {
    let mut command = Command::new("nodetally")
        .no_binary_name(true)
        .about("One agent in place of node_exporter and cAdvisor: node_* and container_* for Prometheus")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .override_usage("nodetally [FLAGS]");
    for flag in FLAGS {
        command = add(command, flag.name, flag.takes, flag.help.to_owned(), "Flags");
    }
    for flag in cadvisor::FLAGS {
        command = command.args(help_for(flag));
    }
    for descriptor in node::COLLECTORS {
        let help = format!(
            "{}{}",
            sentence(descriptor.summary),
            if descriptor.on_by_default { " [on]" } else { "" }
        );
        let takes = Takes::Switch { default: descriptor.on_by_default };
        command =
            add(command, &collector_flag(descriptor), takes, help, "Collectors (--no-... turns one off)");
        for flag in descriptor.flags {
            command = add(command, flag.name, flag.takes, flag.help.to_owned(), "Collectors' own flags");
        }
    }
    command
}

/// What the help says of one of cAdvisor's flags; none for those that mean nothing here.
fn help_for(flag: &cadvisor::CadvisorFlag) -> Option<Arg> {
    let Here::Means { placeholder, help } = flag.here else { return None };
    let heading = (flag.name != VERSION).then_some("cAdvisor's flags (-x, --x, -x=true)");
    let on = if flag.default == "true" { " [on]" } else { "" };
    let arg = Arg::new(flag.name).long(flag.name).help(format!("{help}{on}")).help_heading(heading);
    let arg = arg.hide(OLDER.contains(&flag.name));
    Some(match flag.kind {
        Kind::Switch => arg.action(ArgAction::SetTrue),
        _ => valued(arg, placeholder, flag.default),
    })
}

fn add(command: Command, name: &str, takes: Takes, help: String, heading: &'static str) -> Command {
    let arg = Arg::new(name.to_owned()).long(name.to_owned()).help(help).help_heading(heading);
    match takes {
        Takes::Switch { .. } => {
            let no = format!("no-{name}");
            let opposite = Arg::new(no.clone())
                .long(no.clone())
                .action(ArgAction::SetTrue)
                .hide(true)
                .conflicts_with(name.to_owned());
            command.arg(arg.action(ArgAction::SetTrue)).arg(opposite)
        }
        Takes::Text { placeholder, default } => command.arg(valued(arg, placeholder, default)),
        Takes::Many { placeholder, default } => {
            command.arg(valued(arg, placeholder, default).action(ArgAction::Append))
        }
        Takes::Choice { of, default } => command
            .arg(valued(arg, "WORD", default).value_parser(clap::builder::PossibleValuesParser::new(of))),
    }
}

fn valued(arg: Arg, placeholder: &'static str, default: &'static str) -> Arg {
    let arg = arg.value_name(placeholder).allow_hyphen_values(true).num_args(1);
    if default.is_empty() { arg } else { arg.default_value(default) }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<FlagValues, String> {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Asked::Run(values)) => Ok(values),
            Ok(Asked::Print(text)) => Err(text),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn flags_have_the_reference_s_grammar() {
        let values =
            run("--web.listen-address=:1 --web.listen-address :2 --no-collector.loadavg").expect("parses");
        assert_eq!(values.many("web.listen-address").collect::<Vec<_>>(), [":1", ":2"]);
        assert!(!values.is_on("collector.loadavg") && values.is_given("collector.loadavg"));
        assert_eq!(values.text("web.telemetry-path"), "/metrics");
        assert!(!values.is_given("web.telemetry-path"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for line in [
            "--collector.nonsense",
            "positional",
            "--collector.loadavg=true",
            "--web.max-requests=1 --web.max-requests=2",
            "--collector.loadavg --no-collector.loadavg",
            "--ebpf=maybe",
            "@/nonexistent",
        ] {
            let error = run(line).expect_err(line);
            assert!(!error.contains('\n'), "{line}: {error}");
            let word = line.split(['=', ' ']).next().unwrap_or_default();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn help_and_version_are_not_errors() {
        assert!(run("--help").expect_err("prints").contains("--web.listen-address"));
        assert!(run("--version").expect_err("prints").contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn no_flag_is_defined_twice() {
        command().debug_assert();
    }
}
