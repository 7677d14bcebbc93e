//! A systemd of a test's own: process 1 of its own namespaces, with a bus, logind and the units that the test names.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    cgroup, live,
    running::{Running, output, until},
    temp::{TempDir, unique},
};

const SCRIPT: &str = include_str!("systemd.sh");
const JOIN: &str =
    r#"n=$1; shift; while [ $n -gt 0 ]; do echo 0 > "$1/cgroup.procs"; shift; n=$((n-1)); done; exec "$@""#;

/// A running systemd. On drop it is killed with all that it started, and nothing of it stays.
#[derive(Debug)]
pub struct Systemd {
    process: Running,
    pid: Pid,
    groups: Groups,
    folder: TempDir,
}

/// Cgroups for systemd to be the root of its tree in.
#[derive(Debug)]
struct Groups(Vec<PathBuf>);

impl Systemd {
    /// Starts it with these units (name and text); gives it when its bus answers.
    pub fn start(units: &[(&str, &str)]) -> Option<Self> {
        let parts = ["systemd", "system/systemd-logind.service", "system/dbus.service"];
        let has = parts.iter().all(|part| Path::new("/usr/lib/systemd").join(part).is_file());
        if !live::root() || !live::need("systemd and dbus", has) {
            return None;
        }
        let folder = TempDir::new("systemd");
        for (name, text) in units {
            folder.write(&format!("units/{name}"), text);
        }
        let groups = Groups::new();
        let mut command = Command::new("sh");
        command.args(["-c", JOIN, "join"]).arg(groups.0.len().to_string()).args(&groups.0);
        command.args(["unshare", "--cgroup", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork"]);
        command.args(["--kill-child=KILL", "sh", "-c", SCRIPT, "systemd"]).arg(folder.path());
        let mut process = Running::start(&mut command);
        let children = format!("/proc/{0}/task/{0}/children", process.pid());
        let child = || fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok();
        let socket = folder.path().join("run/dbus/system_bus_socket");
        let began = until(Duration::from_secs(20), || socket.exists() || !process.is_running());
        assert!(began && process.is_running(), "systemd did not start: {}", process.said());
        let pid = Pid::from_raw(child().unwrap()).unwrap();
        Some(Self { process, pid, groups, folder })
    }

    /// The folder that it has as `/run`.
    pub fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The bus' socket.
    pub fn bus(&self) -> PathBuf {
        self.run().join("dbus/system_bus_socket")
    }

    /// Its process id, as this machine counts.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Runs a program among its processes and files; gives what it prints.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.pid()));
        command.args(["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--"]).args(arguments);
        output(command.env_remove("DBUS_SYSTEM_BUS_ADDRESS"))
    }

    /// Writes another text for a unit. It counts when systemd reads its units anew.
    pub fn rewrite(&self, unit: &str, text: &str) {
        let write = format!("printf '%s' '{text}' > /usr/lib/systemd/system/{unit}");
        self.command(&["sh", "-c", &write]);
    }

    /// Stops process 1, or lets it go on.
    pub fn freeze(&self, is_frozen: bool) {
        kill_process(self.pid, if is_frozen { Signal::STOP } else { Signal::CONT }).unwrap();
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // The end of process 1 ends all the others; the cgroups are free when they are gone.
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = self.process.wait(Duration::from_secs(10));
        let gone = until(Duration::from_secs(10), || self.groups.remove());
        if !gone {
            eprintln!("{:?} stay", self.groups.0);
        }
    }
}

impl Groups {
    fn new() -> Self {
        let name = unique("systemd");
        let wanted = |hierarchy: &cgroup::Hierarchy| {
            let named = |controller: &String| controller == "pids" || controller == "name=systemd";
            hierarchy.is_v2() || hierarchy.controllers.iter().any(named)
        };
        let groups: Vec<PathBuf> =
            cgroup::mounted().iter().filter(|of| wanted(of)).map(|of| of.mount.join(&name)).collect();
        for group in &groups {
            fs::create_dir(group).unwrap();
        }
        Self(groups)
    }

    fn remove(&self) -> bool {
        self.0.iter().all(|group| remove(group).is_ok())
    }
}

fn remove(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
