//! Pods as Kubernetes makes them, by a real containerd: its own API and its container runtime interface tell the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runtime_support;

use std::collections::HashMap;
use std::time::Duration;

use exporter::source::runtime::{Answer, NetworkMode, containerd, cri};
use runtime_support::{Following, runs};
use tests::containerd::{Containerd, IMAGE};
use tests::cri::client::Kubelet;
use tests::cri::{NODE, v1};

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn pod_config(containerd: &Containerd) -> v1::PodSandboxConfig {
    let node = v1::NamespaceOption { network: NODE };
    let metadata = v1::PodSandboxMetadata {
        name: "web-0".to_owned(),
        uid: "u-1".to_owned(),
        namespace: "shop".to_owned(),
        attempt: 1,
    };
    v1::PodSandboxConfig {
        metadata: Some(metadata),
        labels: map(&[("io.kubernetes.pod.name", "web-0"), ("app", "web")]),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: containerd.pods(),
            security_context: Some(v1::LinuxSandboxSecurityContext { namespace_options: Some(node) }),
        }),
        ..v1::PodSandboxConfig::default()
    }
}

fn container_config() -> v1::ContainerConfig {
    let node = v1::NamespaceOption { network: NODE };
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: "nginx".to_owned(), attempt: 2 }),
        image: Some(v1::ImageSpec { image: IMAGE.to_owned() }),
        command: vec!["sleep".to_owned(), "1000".to_owned()],
        envs: vec![v1::KeyValue { key: "APP_X".to_owned(), value: "1".to_owned() }],
        labels: map(&[("io.kubernetes.container.name", "nginx"), ("io.kubernetes.pod.name", "web-0")]),
        annotations: map(&[("io.kubernetes.container.restartCount", "2")]),
        linux: Some(v1::LinuxContainerConfig {
            security_context: Some(v1::LinuxContainerSecurityContext { namespace_options: Some(node) }),
        }),
        ..v1::ContainerConfig::default()
    }
}

fn cgroup_of(pid: u32) -> Option<String> {
    let all = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let of_memory = all.lines().find(|line| line.contains(":memory:")).or(all.lines().last());
    of_memory.unwrap().rsplit(':').next().map(str::to_owned)
}

#[test]
fn a_real_pod_is_told_by_both_apis() {
    let Some(containerd) = Containerd::start_with_cri() else { return };
    let kubelet = Kubelet::new(&containerd.socket());
    let config = pod_config(&containerd);
    let pod = kubelet.pod(&config);
    let first = kubelet.container(&pod, &config, &container_config());
    let own = Following::of(containerd::Containerd::new(containerd.socket()));
    let interface = Following::of(cri::Cri::new("containerd", containerd.socket()));

    let told = [interface.told(&first, runs), own.told(&first, runs)];
    assert_eq!(told[0].name, "k8s_nginx_web-0_shop_u-1_2");
    assert_eq!(told[1].name, first);
    for told in &told {
        let label =
            |key: &str| told.labels.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        assert_eq!(label("io.kubernetes.container.name"), Some("nginx"), "{told:?}");
        assert_eq!((told.image.as_str(), told.restart_count, told.sandbox), (IMAGE, 2, false), "{told:?}");
        assert_eq!(told.network, NetworkMode::Host);
        assert_eq!(told.env, [("APP_X".to_owned(), "1".to_owned())]);
        assert_eq!(told.cgroup.as_deref(), Some(format!("{}/{first}", containerd.pods()).as_str()));
        assert_eq!(told.cgroup, cgroup_of(told.pid.unwrap()));
        assert!((told.created.unwrap() - now()).abs() < 600.0);
    }
    assert_eq!(told[0].pid, told[1].pid);

    // (It may have been told of before.)
    interface.follower.look(&pod);
    own.follower.look(&pod);
    let told = [interface.told(&pod, runs), own.told(&pod, runs)];
    assert_eq!(told[0].name, "k8s_POD_web-0_shop_u-1_1");
    for told in &told {
        assert!(told.sandbox && told.labels.contains(&("app".to_owned(), "web".to_owned())), "{told:?}");
        assert_eq!(told.network, NetworkMode::Host);
        assert_eq!(told.cgroup, cgroup_of(told.pid.unwrap()));
    }

    // A birth: containerd's own events tell of it, the interface is asked by the cgroup's name.
    let mut more = container_config();
    more.metadata = Some(v1::ContainerMetadata { name: "more".to_owned(), attempt: 0 });
    let second = kubelet.container(&pod, &config, &more);
    own.told(&second, runs);
    interface.follower.look(&second);
    assert_eq!(interface.told(&second, runs).name, "k8s_more_web-0_shop_u-1_0");
    kubelet.remove(&second);
    let gone = Answer::Gone { id: format!("k8s.io/{second}") };
    while own.answers.recv_timeout(Duration::from_secs(30)).unwrap() != gone {}
    interface.follower.look(&second);
    let gone = Answer::Gone { id: second };
    while interface.answers.recv_timeout(Duration::from_secs(30)).unwrap() != gone {}
    kubelet.remove(&first);
    kubelet.remove_pod(&pod);
}

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}
