//! Every command a developer types: `cargo xtask run`, `test`, `bench`, `vm`, `build-ebpf`.
//!
//! Each first sees to what it needs itself (see [`setup`]) and says in one line what it installs.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

mod bench;
mod build_ebpf;
mod run;
mod setup;
mod shell;
mod suite;
mod vm;

/// A command's end: an error is the one sentence the user reads.
pub type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    match dispatch(&commands().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(matches: &ArgMatches) -> Outcome {
    match matches.subcommand() {
        Some(("build-ebpf", m)) => {
            setup::require(setup::BUILD_EBPF)?;
            build_ebpf::run(m.get_flag("check"))
        }
        Some(("run", m)) => run::run(m.get_many::<String>("args").unwrap_or_default()),
        Some(("test", m)) => suite::run(m.get_flag("fast")),
        Some(("vm", m)) => vm::run(m),
        Some(("bench", m)) => match m.subcommand() {
            Some(("container", m)) => bench::container::run(&bench::container::Settings::from_matches(m)),
            Some(("node", m)) => bench::node::run(&bench::node::Settings::from_matches(m)),
            _ => bench::run(&bench::Settings::from_matches(m)),
        },
        _ => Err("no such command".to_owned()),
    }
}

fn commands() -> Command {
    Command::new("cargo xtask")
        .about("Every command a developer types")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("build-ebpf").about("Build the kernel half from source").arg(
                Arg::new("check")
                    .long("check")
                    .action(ArgAction::SetTrue)
                    .help("Compare a fresh build with the committed object instead of replacing it"),
            ),
        )
        .subcommand(
            Command::new("run").about("Build the exporter (release) and start it").arg(
                Arg::new("args")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true)
                    .help("Flags for the exporter itself"),
            ),
        )
        .subcommand(
            Command::new("test").about("Run every check and test").arg(
                Arg::new("fast")
                    .long("fast")
                    .action(ArgAction::SetTrue)
                    .help("Only formatting, lints and unit tests: no root, no containers"),
            ),
        )
        .subcommand(
            Command::new("bench")
                .about("Measure what a scrape costs on this machine, beside the stock exporters if they can be had")
                .arg(number("scrapes", "500", "Scrapes per measurement"))
                .arg(number("cgroups", "50", "Make this many plain cgroups with a sleeping process each, first"))
                .arg(
                    Arg::new("no-peers")
                        .long("no-peers")
                        .action(ArgAction::SetTrue)
                        .help("Measure nodetally alone"),
                )
                .args_conflicts_with_subcommands(true)
                .subcommand(bench_container())
                .subcommand(bench_node()),
        )
        .subcommand(vm::command())
}

fn bench_container() -> Command {
    Command::new("container")
        .about("Measure the container half beside cAdvisor, in turns, at several numbers of containers")
        .arg(number("scrapes", "100", "Scrapes of each at each number"))
        .arg(
            Arg::new("containers")
                .long("containers")
                .default_value("0,10,100,500")
                .value_delimiter(',')
                .value_parser(value_parser!(usize))
                .help("How many cgroups like containers' to make, a sleeping process in each, a tenth of them busy"),
        )
        .arg(binary())
}

fn bench_node() -> Command {
    Command::new("node")
        .about("Measure the node half beside the stock node exporter, in turns, defaults on both sides")
        .arg(number("scrapes", "500", "Scrapes of each"))
        .arg(Arg::new("big").long("big").action(ArgAction::SetTrue).help(
            "Measure with 256 CPUs, 1,000 interfaces and 5,000 mounts instead, with a tenth of the scrapes",
        ))
        .arg(binary())
}

fn binary() -> Arg {
    Arg::new("binary")
        .long("binary")
        .value_name("FILE")
        .value_parser(value_parser!(std::path::PathBuf))
        .help("Measure this build instead of a fresh one")
}

fn number(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).default_value(default).value_parser(value_parser!(usize)).help(help)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::commands().debug_assert();
    }
}
