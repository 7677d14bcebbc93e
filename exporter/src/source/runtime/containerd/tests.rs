#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::Status;
use super::super::follow::Event;
use super::super::grpc::wire::{Malformed, Writer};
use super::super::oci::Network;
use super::record::{Envelope, Task, envelope, is_name, record, task};

fn new() -> Writer {
    Writer::default()
}

fn any(name: &str, value: &[u8]) -> Vec<u8> {
    new().text(1, name).bytes(2, value).end()
}

fn label(key: &str, value: &[u8]) -> Vec<u8> {
    new().text(1, key).bytes(2, value).end()
}

fn container(spec: &[u8]) -> Writer {
    new()
        .text(1, "abc")
        .bytes(2, &label("nerdctl/name", b"web"))
        .bytes(2, &label("a", b"1"))
        .text(3, "busybox:1")
        .bytes(4, &any("runtime", b"..."))
        .bytes(5, &any("types.containerd.io/opencontainers/runtime-spec/1/Spec", spec))
        .bytes(8, &new().number(1, 1_795_421_730).number(2, 500_000_000).end())
}

fn answer(container: Writer) -> Vec<u8> {
    new().bytes(1, &container.end()).end()
}

#[test]
fn a_record_is_read() {
    let spec = br#"{"process":{"env":["A=b"]},"linux":{"cgroupsPath":"/default/abc","namespaces":[]}}"#;
    let read = record(&answer(container(spec)), "abc").unwrap();
    assert_eq!(
        (read.name(), read.image.as_str(), read.created),
        (Some("web"), "busybox:1", Some(1_795_421_730.5))
    );
    assert_eq!((read.spec.cgroup.as_deref(), &read.spec.network), (Some("/default/abc"), &Network::Host));
    assert_eq!((read.restarts, read.is_sandbox(), read.wrong.len()), (None, false, 0));
    assert_eq!(read.labels.sorted()[0], ("a".to_owned(), "1".to_owned()));
}

#[test]
fn what_kubernetes_told_is_read() {
    let kept =
        br#"{"Version":"v1","Metadata":{"ID":"abc","Config":{"metadata":{"name":"web","attempt":4}}}}"#;
    let extension = |value: &[u8]| {
        let name = "io.cri-containerd.container.metadata";
        new().text(1, name).bytes(2, &any("...", value)).end()
    };
    let with = |value: &[u8]| answer(container(b"{}").bytes(10, &extension(value)).bytes(10, b"\xff"));
    assert_eq!(record(&with(kept), "abc").unwrap().restarts, Some(4));
    for odd in [&b"{}"[..], b"", b"\xff", br#"{"Metadata":{"Config":{"metadata":{"attempt":-1}}}}"#] {
        assert_eq!(record(&with(odd), "abc").unwrap().restarts, None, "{odd:?}");
    }
    let sandbox = container(b"{}").bytes(2, &label("io.cri-containerd.kind", b"sandbox"));
    assert!(record(&answer(sandbox), "abc").unwrap().is_sandbox());
}

#[test]
fn what_is_odd_costs_itself_alone() {
    let odd = container(b"nonsense").bytes(2, &label("c", b"\xff")).bytes(3, b"\xff").number(8, 7);
    let read = record(&answer(odd), "abc").unwrap();
    assert_eq!(read.wrong, ["spec", "image", "labels"]);
    assert_eq!((read.name(), read.created), (Some("web"), None));
    assert_eq!(record(&answer(container(b"{}")), "ab").unwrap_err(), Malformed, "another one");
    assert_eq!(record(&[], "abc").unwrap_err(), Malformed);
    let whole = answer(container(b"{}"));
    for length in 0..whole.len() {
        assert!(record(&whole[..length], "abc").is_err(), "{length}");
    }
}

#[test]
fn tasks_are_read() {
    let process = |status| new().text(2, "abc").number(3, 77).number(4, status).end();
    for (status, expected, pid) in [
        (1, Status::Created, Some(77)),
        (2, Status::Running, Some(77)),
        (3, Status::Exited, None),
        (4, Status::Paused, Some(77)),
        (5, Status::Paused, Some(77)),
        (0, Status::Unknown, None),
        (99, Status::Unknown, None),
    ] {
        assert_eq!(task(&process(status)), Ok(Task { id: "abc".to_owned(), pid, status: expected }));
    }
    let huge = new().text(1, "abc").text(2, "init").number(3, 1 << 40).number(4, 2).end();
    assert_eq!(task(&huge), Ok(Task { id: "abc".to_owned(), pid: None, status: Status::Running }));
    assert_eq!(task(&[0x0a, 9]), Err(Malformed));
}

#[test]
fn events_are_read() {
    let event = |topic: &str, body: Writer| {
        let whole =
            new().bytes(1, &[]).text(2, "k8s.io").text(3, topic).bytes(4, &any("x", &body.end())).end();
        envelope(&whole).unwrap().event()
    };
    let abc = || new().text(1, "abc");
    assert_eq!(event("/tasks/start", abc().number(2, 7)), Event::Changed("k8s.io/abc".into()));
    assert_eq!(event("/containers/delete", abc()), Event::Gone("k8s.io/abc".into()));
    assert_eq!(event("/tasks/exit", abc().text(2, "abc")), Event::Changed("k8s.io/abc".into()));
    assert_eq!(event("/tasks/exit", abc().text(2, "more")), Event::Other);
    assert_eq!(event("/tasks/start", new()), Event::Other);
    assert_eq!(event("/tasks/start", new().bytes(1, b"\xff")), Event::Other);
    assert_eq!(envelope(&[]), Ok(Envelope { namespace: "", topic: "", container: None }));
    assert_eq!(envelope(&[0x12, 9]), Err(Malformed));
}

#[test]
fn names_are_those_that_containerd_allows() {
    for good in ["a", "k8s.io", "moby", "0123", "a_b-c.d"] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "a b", "é", "-a", &"a".repeat(129), "a\n"] {
        assert!(!is_name(bad), "{bad}");
    }
}
