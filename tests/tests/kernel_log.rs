//! The kernel half's own log lines: in an object built with the `log` feature they reach the exporter's log.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kernel_support;

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use exporter::source::bpf::{Program, Request};
use kernel_support::{Group, load, only, turn};
use tests::live;

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As `cargo xtask build-ebpf` leaves it beside its other output.
fn object() -> Option<Vec<u8>> {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().find(|dir| dir.join("ebpf").is_dir())?;
    fs::read(PathBuf::from(target).join("ebpf/nodetally-ebpf-log.o")).ok()
}

#[test]
fn log_lines_come_out_of_the_kernel() {
    let Some(_turn) = turn() else { return };
    let object = object();
    live::need("an object with log lines; type `cargo xtask build-ebpf`", object.is_some());
    let Some(object) = object else { return };
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let mut kernel = load(&Request { object: Some(object), ..only(Program::Life) });
    let group = Group::cpu("log");
    let log = kernel.log.as_mut().expect("the object has log lines");
    tracing::subscriber::with_default(subscriber, || log.flush());
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    println!("{text}");
    assert!(
        text.contains(&format!("cgroup {} of hierarchy {}: 1", group.key.id, group.key.hierarchy)),
        "{text}"
    );
}
