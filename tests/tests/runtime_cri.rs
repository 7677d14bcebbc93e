//! The client of the container runtime interface against a server that speaks the real gRPC.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runtime_support;

use std::collections::HashMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use exporter::source::runtime::cri::Cri as Client;
use exporter::source::runtime::follow::Pace;
use exporter::source::runtime::{Answer, Metadata, NetworkMode, Status};
use runtime_support::Following;
use tests::cri::{Cri, Happened, NODE, Odd, RUNNING, v1};
use tests::running::until;

const UID: &str = "0f51f0a2-1111-2222-3333-444455556666";

fn id(letter: char) -> String {
    letter.to_string().repeat(64)
}

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn info(pid: u32, cgroup: &str, sandbox: Option<&str>) -> HashMap<String, String> {
    let sandbox = sandbox.map(|id| format!(r#""sandboxID":"{id}","#)).unwrap_or_default();
    let info = format!(
        r#"{{{sandbox}"pid":{pid},"runtimeSpec":{{"ociVersion":"1.0.2","process":{{"env":["APP_X=1","SECRET=2"]}},
            "linux":{{"cgroupsPath":"{cgroup}","namespaces":[{{"type":"network","path":"/var/run/netns/x"}}]}}}}}}"#
    );
    map(&[("info", &info)])
}

fn pod(id: &str, pid: u32, network: i32, cgroup: &str) -> v1::PodSandboxStatusResponse {
    let metadata = v1::PodSandboxMetadata {
        name: "web-0".to_owned(),
        uid: UID.to_owned(),
        namespace: "shop".to_owned(),
        attempt: 1,
    };
    let options = v1::Namespace { options: Some(v1::NamespaceOption { network }) };
    let status = v1::PodSandboxStatus {
        id: id.to_owned(),
        metadata: Some(metadata),
        state: 0,
        created_at: 1_795_421_730_000_000_000,
        linux: Some(v1::LinuxPodSandboxStatus { namespaces: Some(options) }),
        labels: map(&[("app", "web"), ("io.kubernetes.pod.name", "web-0")]),
        annotations: HashMap::new(),
    };
    v1::PodSandboxStatusResponse { status: Some(status), info: info(pid, cgroup, None) }
}

fn container(id: &str, pid: u32, pod: &str, cgroup: &str) -> v1::ContainerStatusResponse {
    let status = v1::ContainerStatus {
        id: id.to_owned(),
        metadata: Some(v1::ContainerMetadata { name: "nginx".to_owned(), attempt: 2 }),
        state: RUNNING,
        created_at: 1_795_421_731_000_000_000,
        started_at: 1_795_421_732_500_000_000,
        image: Some(v1::ImageSpec { image: "quay.io/nginx:1".to_owned() }),
        image_ref: "sha256:77".to_owned(),
        labels: map(&[
            ("io.kubernetes.container.name", "nginx"),
            ("io.kubernetes.pod.name", "web-0"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", UID),
        ]),
        annotations: map(&[("io.kubernetes.container.restartCount", "2")]),
    };
    v1::ContainerStatusResponse { status: Some(status), info: info(pid, cgroup, Some(pod)) }
}

fn follow(cri: &Cri) -> Following {
    let pace = Pace {
        retry_first: Duration::from_millis(5),
        tries: 6,
        reconnect_first: Duration::from_millis(10),
        reconnect_longest: Duration::from_millis(40),
    };
    Following::at(pace, Client::new("cri-o", cri.socket()).within(Duration::from_millis(300)))
}

fn silence(client: &Following) {
    assert_eq!(client.answers.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
}

fn all(_: &Metadata) -> bool {
    true
}

#[test]
fn a_pod_is_told_with_both_drivers_cgroups() {
    let cri = Cri::start();
    let (web, web_pod, db, db_pod) = (id('a'), id('b'), id('c'), id('d'));
    // systemd's form, and cgroupfs'.
    let slice = "kubepods-burstable-pod0f51f0a2_1111.slice";
    cri.has_pod(pod(&web_pod, 70, 0, &format!("{slice}:crio:{web_pod}")));
    cri.has(container(&web, 71, &web_pod, &format!("{slice}:crio:{web}")), &web_pod);
    cri.has_pod(pod(&db_pod, 80, NODE, &format!("/kubepods/burstable/podx/crio-{db_pod}")));
    cri.has(container(&db, 81, &db_pod, &format!("/kubepods/burstable/podx/crio-{db}")), &db_pod);
    let client = follow(&cri);
    let mut told: HashMap<String, Metadata> = HashMap::new();
    while told.len() < 4 {
        let Answer::Is(metadata) = client.next() else { panic!("one is unknown") };
        assert!(told.insert(metadata.id.clone(), *metadata).is_none());
    }
    silence(&client);

    let expected = Metadata {
        name: format!("k8s_nginx_web-0_shop_{UID}_2"),
        image: "quay.io/nginx:1".to_owned(),
        labels: [
            ("io.kubernetes.container.name", "nginx"),
            ("io.kubernetes.pod.name", "web-0"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", UID),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec(),
        env: vec![("APP_X".to_owned(), "1".to_owned())],
        cgroup: Some(format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f51f0a2_1111.slice/crio-{web}.scope"
        )),
        pid: Some(71),
        network: NetworkMode::Container(web_pod.clone()),
        created: Some(1_795_421_731.0),
        started: Some(1_795_421_732.5),
        restart_count: 2,
        status: Status::Running,
        ..Metadata::of(&web)
    };
    assert_eq!(told[&web], expected);
    let expected = Metadata {
        name: format!("k8s_POD_web-0_shop_{UID}_1"),
        labels: [
            ("app", "web"),
            ("io.kubernetes.container.name", "POD"),
            ("io.kubernetes.pod.name", "web-0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec(),
        env: vec![("APP_X".to_owned(), "1".to_owned())],
        cgroup: Some(format!("/kubepods/burstable/podx/crio-{db_pod}")),
        sandbox: true,
        pid: Some(80),
        network: NetworkMode::Host,
        created: Some(1_795_421_730.0),
        restart_count: 1,
        status: Status::Running,
        ..Metadata::of(&db_pod)
    };
    assert_eq!(told[&db_pod], expected);
    assert_eq!((&told[&web_pod].network, &told[&db].network), (&NetworkMode::Own, &NetworkMode::Host));
    assert_eq!(told[&db].cgroup, Some(format!("/kubepods/burstable/podx/crio-{db}")));
}

#[test]
fn events_bring_births_and_ends() {
    let cri = Cri::start();
    let (web, web_pod) = (id('a'), id('b'));
    let client = follow(&cri);
    assert!(until(Duration::from_secs(20), || cri.listeners() == 1 && cri.calls("ListPodSandbox") == 1));
    cri.has_pod(pod(&web_pod, 70, 0, "/x"));
    cri.tells(&web_pod, Happened::Started);
    assert!(client.told(&web_pod, all).sandbox);
    let mut created = container(&web, 0, &web_pod, "/y");
    created.status.as_mut().unwrap().state = 0;
    cri.has(created, &web_pod);
    cri.tells(&web, Happened::Created);
    assert_eq!(client.told(&web, all).status, Status::Created);
    cri.has(container(&web, 71, &web_pod, "/y"), &web_pod);
    cri.tells(&web, Happened::Started);
    assert_eq!(client.told(&web, |told| told.status == Status::Running).pid, Some(71));
    let mut ended = container(&web, 71, &web_pod, "/y");
    ended.status.as_mut().unwrap().state = 2;
    cri.has(ended, &web_pod);
    cri.tells(&web, Happened::Stopped);
    assert_eq!(client.told(&web, |told| told.status == Status::Exited).pid, None);
    cri.lacks(&web);
    cri.tells(&web, Happened::Deleted);
    assert_eq!(client.next(), Answer::Gone { id: web });
    assert_eq!(cri.calls("ListContainers"), 1, "nothing is polled");
}

#[test]
fn without_events_a_container_is_found_by_its_cgroup() {
    for (name, odd) in
        [("cri-o", Some(Odd::Status("12"))), ("cri-o", Some(Odd::Status("0"))), ("containerd", None)]
    {
        let cri = Cri::start();
        cri.is_called(name);
        if let Some(odd) = odd {
            cri.odd("GetContainerEvents", odd);
        }
        let (web, web_pod) = (id('a'), id('b'));
        // A runtime need not keep a process for a pod.
        cri.has_pod(pod(&web_pod, 0, 0, "/x"));
        let client = follow(&cri);
        let told = client.told(&web_pod, all);
        assert_eq!((told.pid, told.sandbox), (None, true));
        cri.has(container(&web, 71, &web_pod, "/y"), &web_pod);
        client.follower.look(&web);
        assert_eq!(client.told(&web, all).name, format!("k8s_nginx_web-0_shop_{UID}_2"));
        client.follower.look(&id('e'));
        assert_eq!(client.next(), Answer::Unknown { id: id('e') });
        assert!(cri.calls("GetContainerEvents") <= 1, "{name}: asked for events again");
        if name == "containerd" {
            assert_eq!(cri.calls("GetContainerEvents"), 0, "they would be taken from the kubelet");
        }
    }
}

#[test]
fn a_container_is_named_when_its_pod_or_the_details_are_not_told() {
    let cri = Cri::start();
    let (web, web_pod) = (id('a'), id('b'));
    let mut bare = container(&web, 71, &web_pod, "/y");
    bare.info.clear();
    cri.has(bare, &web_pod);
    let client = follow(&cri);
    let told = client.told(&web, |told| !told.name.is_empty());
    assert_eq!(told.name, format!("k8s_nginx_web-0_shop_{UID}_2"), "by its labels");
    assert_eq!((told.network, told.cgroup, told.pid), (NetworkMode::Container(web_pod), None, None));
}

#[test]
fn a_runtime_that_comes_late_and_again_is_found() {
    let mut cri = Cri::start();
    cri.stop();
    let (web, web_pod) = (id('a'), id('b'));
    cri.has_pod(pod(&web_pod, 70, 0, "/x"));
    cri.has(container(&web, 71, &web_pod, "/y"), &web_pod);
    let client = follow(&cri);
    client.follower.look(&web);
    silence(&client);
    cri.start_again();
    // In whichever order.
    let mut missing = vec![web.clone(), web_pod.clone()];
    while !missing.is_empty() {
        let answer = client.next();
        missing.retain(|id| !matches!(&answer, Answer::Is(told) if told.id == *id));
    }
    while client.answers.recv_timeout(Duration::from_millis(300)).is_ok() {}
    cri.stop();
    cri.lacks(&web);
    let later = id('c');
    cri.has(container(&later, 72, &web_pod, "/z"), &web_pod);
    cri.start_again();
    let mut heard = [client.next(), client.next()];
    heard.sort_by_key(|answer| matches!(answer, Answer::Is(_)));
    assert_eq!(heard[0], Answer::Gone { id: web });
    assert!(matches!(&heard[1], Answer::Is(told) if told.id == later), "{heard:?}");
}

#[test]
fn whatever_the_runtime_answers_the_names_come_in_the_end() {
    let invalid = v1::ContainerStatusResponse::default();
    let mut no_text = prost::Message::encode_to_vec(&container(&id('a'), 71, &id('b'), "/y"));
    let at = no_text.windows(5).position(|window| window == b"nginx").unwrap();
    no_text[at] = 0xff;
    let odd = [
        Odd::Status("13"),
        Odd::Message(vec![0xff; 1000]),
        Odd::Message(prost::Message::encode_to_vec(&invalid)),
        Odd::Message([0x0a, 0].repeat(100_000)),
        Odd::Message(no_text),
        Odd::Huge,
        Odd::Trickle,
        Odd::Silence,
        Odd::Reset,
        Odd::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Odd::Garbage(vec![0; 1_000_000]),
    ];
    for method in ["Version", "ListContainers", "ListPodSandbox", "ContainerStatus", "GetContainerEvents"] {
        for odd in &odd {
            let cri = Cri::start();
            let (web, web_pod) = (id('a'), id('b'));
            cri.has_pod(pod(&web_pod, 70, 0, "/x"));
            cri.has(container(&web, 71, &web_pod, "/y"), &web_pod);
            cri.odd(method, odd.clone());
            let client = follow(&cri);
            let called = if matches!(odd, Odd::Garbage(_)) { "Garbage" } else { method };
            assert!(until(Duration::from_secs(20), || cri.calls(called) > 0), "{method} {odd:?}");
            cri.well(method);
            client.follower.look(&web);
            let name = format!("k8s_nginx_web-0_shop_{UID}_2");
            assert_eq!(client.told(&web, |told| told.name == name).pid, Some(71), "{method} {odd:?}");
            let began = Instant::now();
            drop(client.thread);
            assert!(began.elapsed() < Duration::from_millis(400), "{method} {odd:?}");
        }
    }
}
