//! `cargo xtask vm`: a command, or tests of this workspace, in a virtual machine with another kernel and cgroup v2.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser, value_parser};
use tests::guest::{Guest, KERNELS, Kernel, Output};

use crate::setup::{self, Need};
use crate::{Outcome, shell};

/// The command line.
pub fn command() -> Command {
    let kernels = PossibleValuesParser::new(KERNELS.iter().map(|kernel| kernel.version));
    Command::new("vm")
        .about("Run a command or tests as root in a virtual machine: another kernel, cgroup v2 alone, Docker")
        .arg(
            Arg::new("kernel")
                .long("kernel")
                .default_value(KERNELS[0].version)
                .value_parser(kernels)
                .help("Kernel of the guest"),
        )
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("SECONDS")
                .default_value("600")
                .value_parser(value_parser!(u64))
                .help("End the guest after so long"),
        )
        .arg(
            Arg::new("test")
                .long("test")
                .value_name("NAME")
                .num_args(1)
                .action(clap::ArgAction::Append)
                .help("Take this test program of the crate `tests` along; without a COMMAND it is run"),
        )
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .num_args(1)
                .action(clap::ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help("Take this file along, into /root"),
        )
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(0..)
                .last(true)
                .allow_hyphen_values(true)
                .help("A program with its arguments; `nodetally` is the exporter"),
        )
}

/// Runs it.
///
/// # Errors
/// When something is missing and cannot be had, the guest does not come to the command's end, or that is a failure.
pub fn run(matches: &ArgMatches) -> Outcome {
    let text = |name: &str| matches.get_many::<String>(name).unwrap_or_default().cloned().collect::<Vec<_>>();
    let (tests, words) = (text("test"), text("command"));
    let version = matches.get_one::<String>("kernel").map_or(KERNELS[0].version, String::as_str);
    let kernel = KERNELS.iter().find(|kernel| kernel.version == version).ok_or("no such kernel")?;
    if words.is_empty() && tests.is_empty() {
        return Err("nothing to run: give a COMMAND after `--`, or --test NAME".to_owned());
    }
    setup::require(&[setup::VM, &[Need::Kernel(kernel)]].concat())?;
    let exporter = shell::build_exporter("dev")?;
    let limit = matches.get_one("limit").copied().unwrap_or(600);
    let mut guest = Guest::new(Kernel::find(kernel)?, Duration::from_secs(limit));
    guest.carry_programs(&exporter, &tests)?;
    for file in matches.get_many::<PathBuf>("file").unwrap_or_default() {
        let name = file.file_name().ok_or_else(|| format!("{}: no file", file.display()))?;
        guest.carry(file, &Path::new("/root").join(name).display().to_string());
    }
    let script = if words.is_empty() {
        let each = tests.iter().map(|test| format!("{test} --test-threads=1 || failed=1\n"));
        format!("failed=0\n{}exit $failed", each.collect::<String>())
    } else {
        let quoted = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''")));
        quoted.collect::<Vec<_>>().join(" ")
    };
    match guest.run(&script, Output::Shown)?.code {
        0 => Ok(()),
        code => Err(format!("the command in the guest ended with {code}")),
    }
}
