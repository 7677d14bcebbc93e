//! Debian packages unpacked into a folder, without installing anything. Needs apt, not root.

use std::path::Path;
use std::process::Command;

use crate::{Outcome, shell};

/// Downloads `packages` of `suite` from the mirror this machine's own apt uses and unpacks them into `place`.
///
/// # Errors
/// When apt knows no Debian mirror, or the download fails.
pub fn unpack(suite: &str, packages: &[&str], place: &Path) -> Outcome {
    let mirror = mirror()?;
    let apt = place.join("apt").join(suite);
    let debs = place.join("debs").join(packages.join("+"));
    for dir in [apt.join("lists/partial"), apt.join("cache/archives/partial"), debs.clone()] {
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    let sources = apt.join("sources.list");
    let line =
        format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n");
    std::fs::write(&sources, line).map_err(|e| format!("{}: {e}", sources.display()))?;
    let get = || {
        let mut get = Command::new("apt-get");
        get.args(["-qq", "-oDir::Etc::SourceParts=/dev/null", "-oAPT::Sandbox::User=root"]);
        get.arg("-oAcquire::Languages=none").current_dir(&debs);
        get.arg(format!("-oDir::Etc::SourceList={}", sources.display()));
        get.arg(format!("-oDir::State::Lists={}", apt.join("lists").display()));
        get.arg(format!("-oDir::Cache={}", apt.join("cache").display()));
        get
    };
    shell::status(get().arg("update"))?;
    shell::status(get().arg("download").args(packages))?;
    let entries = std::fs::read_dir(&debs).map_err(|e| format!("{}: {e}", debs.display()))?;
    for deb in entries.filter_map(Result::ok).filter(|e| e.path().extension().is_some_and(|x| x == "deb")) {
        shell::status(Command::new("dpkg").arg("-x").arg(deb.path()).arg(place))?;
    }
    Ok(())
}

/// The first Debian archive among apt's own sources (security and foreign ones have other labels).
fn mirror() -> Outcome<String> {
    let targets = shell::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(ORIGIN) $(LABEL)",
        "Created-By: Packages",
    ]))?;
    first_debian(&targets)
        .map(str::to_owned)
        .ok_or_else(|| "apt knows no Debian mirror: type `apt-get update` as root".to_owned())
}

fn first_debian(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [uri, "Debian", "Debian"] = words[..] { Some(uri) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::first_debian;

    #[test]
    fn only_the_main_archive_is_taken() {
        let targets =
            "http://a/sec Debian Debian-Security\nhttp://b/x Other Other\nhttp://c/debian Debian Debian\n";
        assert_eq!(first_debian(targets), Some("http://c/debian"));
        assert_eq!(first_debian("http://a Debian\n"), None);
    }
}
