//! `cargo xtask run`: the release build, started with the arguments given.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::{Outcome, shell};

/// Builds and then becomes the exporter, so that signals and the exit code are its own.
///
/// # Errors
/// When the build fails or the binary cannot be started.
pub fn run<'a>(args: impl Iterator<Item = &'a String>) -> Outcome {
    let args: Vec<&String> = args.collect();
    let binary = shell::build_exporter("release")?;
    if !shell::is_root() {
        eprintln!("xtask: not root: eBPF stays off; with it: sudo {}", binary.display());
    }
    for address in addresses(&args) {
        println!("nodetally: http://{}/metrics", reachable(&address));
    }
    let failed = Command::new(&binary).args(&args).exec();
    Err(format!("{}: {failed}", binary.display()))
}

/// The listen addresses among the exporter's arguments, else its default.
fn addresses(args: &[&String]) -> Vec<String> {
    const FLAG: &str = "--web.listen-address";
    let mut found = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.strip_prefix(FLAG) {
            Some("") => found.extend(rest.next().map(ToString::to_string)),
            Some(value) => found.extend(value.strip_prefix('=').map(str::to_owned)),
            None => {}
        }
    }
    if found.is_empty() {
        found.push(":9100".to_owned());
    }
    found
}

/// What a browser on this machine can open: an empty host is localhost.
fn reachable(address: &str) -> String {
    if address.starts_with(':') { format!("localhost{address}") } else { address.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{addresses, reachable};

    #[test]
    fn addresses_are_found_in_both_spellings_and_default() {
        let given =
            ["--web.listen-address", ":1", "--ebpf=off", "--web.listen-address=[::1]:2"].map(str::to_owned);
        assert_eq!(addresses(&given.iter().collect::<Vec<_>>()), [":1", "[::1]:2"]);
        assert_eq!(addresses(&[]), [":9100"]);
        assert_eq!(reachable(":9100"), "localhost:9100");
        assert_eq!(reachable("[::1]:2"), "[::1]:2");
    }
}
