//! Control groups of a test's own, the same path in every hierarchy of this machine (v1, v2 or both).

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::running::{Running, until};
use crate::temp::unique;

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The v1 controllers (`cpuacct`, ...); empty for cgroup v2.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Whether it is the cgroup v2 one.
    pub fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }
}

/// All hierarchies but named ones (`name=systemd`), which have no controller.
pub fn hierarchies() -> Vec<Hierarchy> {
    let mut found = mounted();
    found.retain(|h| !h.controllers.iter().any(|c| c.starts_with("name=")));
    found
}

/// All hierarchies; a named one has `name=...` in the place of a controller.
pub fn mounted() -> Vec<Hierarchy> {
    parse_mounts(&fs::read_to_string("/proc/self/mounts").unwrap())
}

fn parse_mounts(text: &str) -> Vec<Hierarchy> {
    const OPTIONS: &[&str] =
        &["rw", "ro", "nosuid", "nodev", "noexec", "relatime", "xattr", "clone_children"];
    let mut found = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, mount, kind, options, ..] = words[..] else { continue };
        let controllers = match kind {
            "cgroup2" => Vec::new(),
            "cgroup" => {
                let known = |word: &&str| !OPTIONS.contains(word) && !word.starts_with("release_agent=");
                options.split(',').filter(known).map(str::to_owned).collect()
            }
            _ => continue,
        };
        // One may be mounted at several places.
        if found.iter().all(|known: &Hierarchy| known.controllers != controllers) {
            found.push(Hierarchy { mount: PathBuf::from(mount), controllers });
        }
    }
    found
}

/// A group that someone else made: it can be read, and nothing happens to it on drop.
#[derive(Debug, Clone)]
pub struct Existing {
    path: String,
    hierarchies: Vec<Hierarchy>,
}

impl Existing {
    /// The group at this path.
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), hierarchies: hierarchies() }
    }

    /// The path as in `/proc/PID/cgroup`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its folder where this v1 controller is mounted, else in cgroup v2.
    pub fn dir(&self, controller: &str) -> PathBuf {
        let v1 = self.hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == controller));
        let found = v1.or_else(|| self.hierarchies.iter().find(|h| h.is_v2()));
        join(&found.unwrap().mount, &self.path)
    }

    /// Its folder in cgroup v2.
    pub fn v2_dir(&self) -> Option<PathBuf> {
        self.hierarchies.iter().find(|h| h.is_v2()).map(|h| join(&h.mount, &self.path))
    }

    /// The CPU time the kernel has charged to it and its children.
    pub fn cpu_usage(&self) -> Duration {
        let dir = self.dir("cpuacct");
        if let Ok(nanoseconds) = fs::read_to_string(dir.join("cpuacct.usage")) {
            return Duration::from_nanos(nanoseconds.trim().parse().unwrap());
        }
        let text = fs::read_to_string(dir.join("cpu.stat")).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix("usage_usec ")).unwrap();
        Duration::from_micros(line.parse().unwrap())
    }

    /// The memory the kernel has charged to it, in bytes.
    pub fn memory_usage(&self) -> u64 {
        let dir = self.dir("memory");
        let v1 = fs::read_to_string(dir.join("memory.usage_in_bytes"));
        v1.or_else(|_| fs::read_to_string(dir.join("memory.current"))).unwrap().trim().parse().unwrap()
    }
}

/// A group in every hierarchy. On drop its processes are killed and the group is removed, children first.
#[derive(Debug)]
pub struct Cgroup(Existing);

impl Deref for Cgroup {
    type Target = Existing;

    fn deref(&self) -> &Existing {
        &self.0
    }
}

impl Cgroup {
    /// `/nodetally-<tag>-<pid>-<n>`.
    pub fn new(tag: &str) -> Self {
        remove_leftovers();
        Self::at(&format!("/{}", unique(tag)))
    }

    /// A group below this one. Drop the child before the parent or leave both to the parent's drop.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self::at(&format!("{}/{name}", self.path))
    }

    /// A group at this path, made with its parents; the parents stay.
    pub fn at(path: &str) -> Self {
        let group = Self(Existing::at(path));
        for hierarchy in &group.hierarchies {
            make(hierarchy, &group.path);
        }
        group
    }

    /// Sets the memory limit in bytes.
    pub fn limit_memory(&self, bytes: u64) {
        let dir = self.dir("memory");
        let v1 = dir.join("memory.limit_in_bytes");
        let file = if v1.exists() { v1 } else { dir.join("memory.max") };
        fs::write(file, bytes.to_string()).unwrap();
    }

    /// Makes this many groups below it, named like containers, each with one sleeping process. They end with
    /// this group.
    pub fn fill_with_sleepers(&self, number: usize) {
        for i in 0..number {
            let path = format!("{}/{i:064x}", self.path);
            for hierarchy in &self.hierarchies {
                make(hierarchy, &path);
            }
            let group =
                std::mem::ManuallyDrop::new(Self(Existing { path, hierarchies: self.hierarchies.clone() }));
            let mut sleeper = group.joining(Command::new("sleep").arg("infinity"));
            sleeper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // Reaped by init once this process is gone, or never seen again: it is killed with the group.
            drop(sleeper.spawn().unwrap());
        }
    }

    /// Starts a program in it.
    pub fn start(&self, command: &Command) -> Running {
        Running::start(&mut self.joining(command))
    }

    /// A shell that joins the group in every hierarchy and then becomes the program.
    fn joining(&self, command: &Command) -> Command {
        const JOIN: &str = r#"n=$1; shift; while [ $n -gt 0 ]; do echo 0 > "$1" || exit 97; shift; n=$((n-1)); done; exec "$@""#;
        let files: Vec<PathBuf> =
            self.hierarchies.iter().map(|h| join(&h.mount, &self.path).join("cgroup.procs")).collect();
        let mut shell = Command::new("sh");
        shell.args(["-c", JOIN, "join"]).arg(files.len().to_string()).args(&files);
        shell.arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        shell
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for hierarchy in &self.hierarchies {
            remove(&join(&hierarchy.mount, &self.path));
        }
    }
}

/// The folders on the way to a group that the test makes: they go when this is dropped, after the group. What was
/// there before is somebody else's.
#[derive(Debug)]
pub struct Slices(Vec<PathBuf>);

impl Slices {
    /// Those that are missing on a path such as `/machine.slice`.
    pub fn missing(path: &str) -> Self {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        let on = |mount: &Path| ends.clone().map(|end| join(mount, &path[..end])).collect::<Vec<_>>();
        let all = mounted().into_iter().flat_map(|hierarchy| on(&hierarchy.mount));
        Self(all.filter(|folder| !folder.exists()).collect())
    }
}

impl Drop for Slices {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn join(mount: &Path, path: &str) -> PathBuf {
    mount.join(path.trim_start_matches('/'))
}

/// Makes the folder and its parents usable: cpuset copies its parent's CPUs, v2 hands its controllers down.
fn make(hierarchy: &Hierarchy, path: &str) {
    let mut dir = hierarchy.mount.clone();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if hierarchy.is_v2() {
            let offered = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
            for controller in offered.split_whitespace() {
                let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
        let parent = dir.clone();
        dir.push(name);
        if !dir.is_dir() {
            fs::create_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        }
        if hierarchy.controllers.iter().any(|c| c == "cpuset") {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let inherited = fs::read_to_string(parent.join(file)).unwrap();
                fs::write(dir.join(file), inherited.trim()).unwrap();
            }
        }
    }
}

/// Kills what runs there and removes the folder, children first; tried for some seconds, for dying takes time.
fn remove(dir: &Path) {
    until(Duration::from_secs(20), || {
        for folder in tree(dir) {
            kill_all(&folder);
            let _ = fs::remove_dir(&folder);
        }
        !dir.exists()
    });
}

/// The folder and all below it, deepest first.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let folders = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path());
    let mut found: Vec<PathBuf> = folders.flat_map(|folder| tree(&folder)).collect();
    found.push(dir.to_owned());
    found
}

fn kill_all(dir: &Path) {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Removes groups of test processes that were killed before they could clean up: the name carries the process id.
fn remove_leftovers() {
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(&hierarchy.mount).unwrap().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix("nodetally-").and_then(|rest| rest.rsplit('-').nth(1));
            if owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
                remove(&entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_v2_and_named_hierarchies_are_told_apart() {
        let found = parse_mounts(concat!(
            "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n",
            "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0\n",
            "cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n",
            "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0\n",
            "cgroup2 /srv/sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0\n"
        ));
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(found[1].controllers, ["name=systemd"]);
        assert!(found[2].is_v2() && found[2].mount == Path::new("/sys/fs/cgroup/unified"));
    }

    #[test]
    fn a_group_is_made_joined_and_removed() {
        if !crate::live::root() {
            return;
        }
        let dirs: Vec<PathBuf>;
        {
            let group = Cgroup::new("selftest");
            let child = group.child("inner");
            let burner = child.start(Command::new("sh").args(["-c", "while :; do :; done"]));
            // Until the shell has joined everywhere and become the burner.
            let path = format!("/proc/{}/cgroup", burner.pid());
            let joined = || fs::read_to_string(&path).unwrap().matches(child.path()).count();
            let everywhere = until(Duration::from_secs(10), || joined() == hierarchies().len());
            assert!(everywhere, "{} {}", joined(), burner.said());
            let burnt = until(Duration::from_secs(10), || group.cpu_usage() > Duration::from_millis(20));
            assert!(burnt, "{:?}", group.cpu_usage());
            dirs = hierarchies().iter().map(|h| join(&h.mount, group.path())).collect();
            assert!(dirs.iter().all(|dir| dir.is_dir()));
        }
        assert!(dirs.iter().all(|dir| !dir.exists()));
    }
}
