//! Pods on a real containerd, in the cgroups that both of the kubelet's drivers make.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, process::Command, time::Duration};

use tests::{
    cgroup::Slices,
    containerd::{Containerd, IMAGE},
    exporter::Exporter,
    page::Page,
    running::{output, until},
};

const PATIENCE: Duration = Duration::from_secs(15);

/// A pod of one container and its sandbox.
struct Pod {
    name: &'static str,
    uid: &'static str,
    /// Its cgroup.
    path: String,
    sandbox: (String, String),
    container: (String, String),
}

impl Pod {
    fn new(name: &'static str, uid: &'static str, path: String, element: fn(&str) -> String) -> Self {
        let half = uid.replace('-', "");
        let [sandbox, container] = ["a", "b"].map(|digit| {
            let id = format!("{half}{}", digit.repeat(32));
            (id.clone(), format!("{path}/{}", element(&id)))
        });
        Self { name, uid, path, sandbox, container }
    }

    fn run(&self, containerd: &Containerd) {
        let namespace = containerd.namespace(0);
        let pod = [
            format!("io.kubernetes.pod.name={}", self.name),
            "io.kubernetes.pod.namespace=shop".to_owned(),
            format!("io.kubernetes.pod.uid={}", self.uid),
        ];
        let run = |(id, path): &(String, String), more: &[&str]| {
            let mut flags = vec!["-d", "--cgroup", path.as_str()];
            flags.extend(pod.iter().flat_map(|label| ["--label", label.as_str()]));
            containerd.container(namespace, &[&flags[..], more].concat(), id, &["sleep", "1000"]);
            containerd.pid_of(namespace, id)
        };
        let pid = run(&self.sandbox, &["--label", "io.cri-containerd.kind=sandbox"]).to_string();
        output(
            Command::new("nsenter").args(["-t", &pid, "-n", "ip", "link", "add", "eth0", "type", "bridge"]),
        );
        let network = format!("network:/proc/{pid}/ns/net");
        let labels =
            ["--label", "io.cri-containerd.kind=container", "--label", "io.kubernetes.container.name=web"];
        run(&self.container, &[&["--with-ns", &network][..], &labels].concat());
    }

    /// What each of its three cgroups is labelled with.
    fn rows(&self) -> [(&str, BTreeMap<String, String>); 3] {
        let of = |path, more: &[(&str, &str)]| {
            let pod = [("id", path), ("pod", self.name), ("namespace", "shop")];
            let pairs = pod.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            (path, pairs.collect())
        };
        let (sandbox, container) = (&self.sandbox, &self.container);
        [
            of(self.path.as_str(), &[]),
            of(sandbox.1.as_str(), &[("name", &sandbox.0), ("image", IMAGE)]),
            of(container.1.as_str(), &[("name", &container.0), ("image", IMAGE), ("container", "web")]),
        ]
    }
}

fn rows(page: &Page, family: &str, path: &str) -> Vec<BTreeMap<String, String>> {
    let id = [("id", path)];
    page.matching(family, &id).map(|row| row.labels.clone()).collect()
}

// One test: the daemon takes seconds to start.
#[test]
fn pods_are_labelled_as_the_kubelet_does() {
    let Some(containerd) = Containerd::start(1) else { return };
    let uids = ["1a3a9f36-2a3b-4c5d-8e9f-0123456789ab", "5a3a9f36-2a3b-4c5d-8e9f-0123456789ab"];
    let slice = format!("kubepods-burstable-pod{}.slice", uids[1].replace('-', "_"));
    let pods = [
        Pod::new("early", uids[0], format!("/kubepods/besteffort/pod{}", uids[0]), str::to_owned),
        Pod::new("late", uids[1], format!("/kubepods.slice/kubepods-burstable.slice/{slice}"), |id| {
            format!("cri-containerd-{id}.scope")
        }),
    ];
    let [early, late] = &pods;
    // (Made empty by the daemon's end.)
    let slices = pods.each_ref().map(|pod| Slices::missing(&pod.path));
    early.run(&containerd);
    let socket = format!("--containerd={}", containerd.socket().display());
    let flags = [socket.as_str(), "--docker=", "--container.labels=kubelet", "--scrape.share=0"];
    let exporter = Exporter::start(&flags);
    let page = || exporter.page_of("/metrics?collect[]=container");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| late.run(&containerd));
        while !run.is_finished() {
            for (path, labels) in late.rows() {
                let shown = rows(&page(), "container_last_seen", path);
                assert!(
                    shown.is_empty() || shown == [labels],
                    "{path} with other labels at first: {shown:?}"
                );
            }
        }
        run.join().unwrap();
    });
    for pod in &pods {
        for (path, labels) in pod.rows() {
            let shown = || rows(&page(), "container_last_seen", path);
            let said = || exporter.process.said();
            assert!(until(PATIENCE, || shown() == [labels.clone()]), "{path}: {:?}\n{}", shown(), said());
        }
        let family = "container_network_receive_bytes_total";
        let sandbox = [
            ("pod", pod.name),
            ("namespace", "shop"),
            ("name", pod.sandbox.0.as_str()),
            ("interface", "eth0"),
        ];
        assert!(until(PATIENCE, || page().value(family, &sandbox).is_some()), "{}", exporter.process.said());
        let all = page().matching(family, &[("pod", pod.name)]).count();
        assert_eq!(all, 1, "the pod's network is shown once");
    }
    // The other style has the same facts under other names.
    let standalone = Exporter::start(&[flags[0], flags[1], flags[3]]);
    let labels = [
        ("id", early.container.1.as_str()),
        ("name", early.container.0.as_str()),
        ("container_label_io_kubernetes_pod_name", "early"),
        ("container_label_io_kubernetes_pod_namespace", "shop"),
        ("container_label_io_kubernetes_container_name", "web"),
    ];
    let is_shown = || standalone.page().value("container_last_seen", &labels).is_some();
    assert!(until(PATIENCE, is_shown), "{}", standalone.process.said());
    drop(containerd);
    drop(slices);
}
