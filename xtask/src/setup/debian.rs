//! Debian packages unpacked into a folder, without installing anything. Needs apt, not root.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, shell};

/// Downloads `packages` of `suite` from the mirror this machine's own apt uses and unpacks them into `place`.
///
/// # Errors
/// When apt knows no Debian mirror, or the download fails.
pub fn unpack(suite: &str, packages: &[&str], place: &Path) -> Outcome {
    let debs = place.join("debs").join(packages.join("+"));
    Suite::open(suite, &place.join("apt").join(suite))?.unpack(packages, &debs, place)
}

/// Downloads the newest cloud kernel of `suite` with its modules; `place` is there when all of it is.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_kernel(suite: &str, place: &Path) -> Outcome {
    let unfinished = place.with_file_name(format!("unfinished-{}", std::process::id()));
    let scratch = unfinished.join("scratch");
    let suite = Suite::open(suite, &scratch.join("apt"))?;
    let options = ["--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"];
    let depends =
        shell::output(suite.apt("apt-cache").arg("depends").args(options).arg("linux-image-cloud-amd64"))?;
    suite.unpack(&kernel_packages(&depends), &scratch.join("debs"), &unfinished)?;
    std::fs::remove_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    std::fs::rename(&unfinished, place).map_err(|e| format!("{}: {e}", place.display()))
}

/// The packages that hold a kernel among all that the newest one's depends on.
fn kernel_packages(depends: &str) -> Vec<&str> {
    let packages = depends.lines().filter(|line| line.starts_with("linux-"));
    packages.filter(|name| !name.starts_with("linux-base") && *name != "linux-image-cloud-amd64").collect()
}

/// A suite's package lists, apart from this machine's own.
struct Suite {
    dir: PathBuf,
}

impl Suite {
    /// Downloads the lists into `dir`.
    fn open(suite: &str, dir: &Path) -> Outcome<Self> {
        let mirror = mirror()?;
        for folder in [dir.join("lists/partial"), dir.join("cache/archives/partial")] {
            std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        let sources = dir.join("sources.list");
        let line =
            format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n");
        std::fs::write(&sources, line).map_err(|e| format!("{}: {e}", sources.display()))?;
        let suite = Self { dir: dir.to_owned() };
        shell::status(suite.apt("apt-get").arg("update"))?;
        Ok(suite)
    }

    /// `apt-get` or `apt-cache`, for this suite alone.
    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        apt.args(["-qq", "-oDir::Etc::SourceParts=/dev/null", "-oAPT::Sandbox::User=root"]);
        apt.arg("-oAcquire::Languages=none");
        apt.arg(format!("-oDir::Etc::SourceList={}", self.dir.join("sources.list").display()));
        apt.arg(format!("-oDir::State::Lists={}", self.dir.join("lists").display()));
        apt.arg(format!("-oDir::Cache={}", self.dir.join("cache").display()));
        apt
    }

    /// Downloads these packages into `debs` and unpacks them into `place`.
    fn unpack(&self, packages: &[&str], debs: &Path, place: &Path) -> Outcome {
        std::fs::create_dir_all(debs).map_err(|e| format!("{}: {e}", debs.display()))?;
        shell::status(self.apt("apt-get").current_dir(debs).arg("download").args(packages))?;
        let entries = std::fs::read_dir(debs).map_err(|e| format!("{}: {e}", debs.display()))?;
        for deb in entries.filter_map(Result::ok).filter(|e| e.path().extension().is_some_and(|x| x == "deb"))
        {
            shell::status(Command::new("dpkg").arg("-x").arg(deb.path()).arg(place))?;
        }
        Ok(())
    }
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
    use super::{first_debian, kernel_packages};

    #[test]
    fn a_kernel_may_be_in_parts() {
        let depends = "linux-image-cloud-amd64\n  Depends: linux-image-7.2+deb14-cloud-amd64\n\
                       linux-image-7.2+deb14-cloud-amd64\n  Depends: linux-modules-7.2+deb14-cloud-amd64\n\
                       linux-modules-7.2+deb14-cloud-amd64\nlinux-base\nkmod\n";
        assert_eq!(
            kernel_packages(depends),
            ["linux-image-7.2+deb14-cloud-amd64", "linux-modules-7.2+deb14-cloud-amd64"]
        );
    }

    #[test]
    fn only_the_main_archive_is_taken() {
        let targets =
            "http://a/sec Debian Debian-Security\nhttp://b/x Other Other\nhttp://c/debian Debian Debian\n";
        assert_eq!(first_debian(targets), Some("http://c/debian"));
        assert_eq!(first_debian("http://a Debian\n"), None);
    }
}
