//! A child process that never outlives its test.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// A started program with what it has printed so far; killed and reaped on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts it with both outputs captured.
    pub fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawned(command);
        let said = Arc::new(Mutex::new(Vec::new()));
        let readers =
            vec![copy(child.stdout.take().unwrap(), &said), copy(child.stderr.take().unwrap(), &said)];
        Self { child, said, readers }
    }

    /// Starts it with both outputs going where this process' own go.
    pub fn start_shown(command: &mut Command) -> Self {
        Self { child: spawned(command), said: Arc::default(), readers: Vec::new() }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Both outputs so far, in the order of arrival.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until the output holds `text`; gives whether it came in time.
    pub fn says(&self, text: &str, within: Duration) -> bool {
        until(within, || self.said().contains(text))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.rustix_pid(), signal).unwrap();
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end; `None` when it still runs after `within`. On an end all output has been read.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let (begun, within) = (Instant::now(), patience(within));
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.readers.drain(..).for_each(|reader| reader.join().unwrap());
                return Some(status);
            }
            if begun.elapsed() > within {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn rustix_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawned(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

fn copy(mut from: impl Read + Send + 'static, to: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut piece) {
            to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..n]);
        }
    })
}

/// What all takes longer by here, as `$NODETALLY_SLOW` says.
static SLOWNESS: LazyLock<u32> =
    LazyLock::new(|| std::env::var("NODETALLY_SLOW").ok().and_then(|text| text.parse().ok()).unwrap_or(1));

/// A time that something may take here.
pub fn patience(within: Duration) -> Duration {
    within * *SLOWNESS
}

/// Whether all takes longer here, as in a virtual machine without a processor of its own.
pub fn is_slow() -> bool {
    *SLOWNESS > 1
}

/// Tries `condition` every few milliseconds; gives whether it came true in time.
pub fn until(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let (begun, within) = (Instant::now(), patience(within));
    loop {
        if condition() {
            return true;
        }
        if begun.elapsed() > within {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs to the end; gives standard output, or panics with what was said.
pub fn output(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {}\n{said}", out.status);
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_exit_and_time_are_told() {
        let mut ends = Running::start(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!(ends.wait(Duration::from_secs(10)).unwrap().code(), Some(3));
        assert!(ends.said().contains("out\n") && ends.said().contains("err\n"));
        let mut stays = Running::start(Command::new("sleep").arg("100"));
        assert!(stays.wait(Duration::from_millis(20)).is_none() && stays.is_running());
        stays.signal(Signal::TERM);
        assert_eq!(stays.wait(Duration::from_secs(10)).unwrap().code(), None);
    }
}
