//! The same containers and cgroups, seen by the reference and by the exporter: the same ids, names, images, labels,
//! limits, times and interfaces, save a list with its reasons.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tests::{
    cadvisor::Cadvisor,
    cgroup::{Cgroup, Slices},
    docker::Docker,
    exporter::Exporter,
    image::{BUSYBOX, import_busybox},
    page::Page,
    running::until,
};

/// Variables of containers that are shown, by the beginning of their names; both know the flag.
const VARIABLES: &str = "-docker_env_metadata_whitelist=APP_,lower";

/// Whatever else runs on this machine is for neither to name.
const ALONE: [&str; 4] = ["--containerd=", "--crio=", "--podman=", "--scrape.share=0"];

type Labels = BTreeMap<String, String>;

/// Two keys of it are one label, for which the reference takes either value by chance.
const CLASH: &str = "clashing";
/// The label that they make, and its value here: that of the key that sorts first.
const CLASHING: (&str, &str) = ("container_label_com_example_x", "dot");
/// It has no network of its own: the reference repeats the host's, ours has what its sockets carried.
const HOSTED: &str = "hosted";

/// Families of which both must have the same rows with the same values.
const SPEC: [&str; 6] = [
    "container_spec_cpu_period",
    "container_spec_cpu_quota",
    "container_spec_cpu_shares",
    "container_spec_memory_limit_bytes",
    "container_spec_memory_reservation_limit_bytes",
    "container_spec_memory_swap_limit_bytes",
];

// One test: an engine takes seconds to start, and one process has one.
#[test]
fn both_see_the_same_containers() {
    let Some(docker) = Docker::start() else { return };
    import_busybox(&docker);
    let socket = format!("--docker=unix://{}", docker.socket().display());
    // Ours is there from the start, and has to follow; the reference comes when all has settled.
    let ours = Exporter::start(&[&[socket.as_str(), VARIABLES][..], &ALONE].concat());
    let containers = containers(&docker);
    let _slices = Slices::missing("/system.slice");
    let mut groups = cgroups();
    groups.extend(as_systemd_has_it(&containers["alone"]));
    let mut ids: Vec<&str> = containers.values().map(String::as_str).collect();
    ids.extend(groups.iter().map(|group| group.path()));
    ids.retain(|id| !is_mount(id));
    ids.extend(["/", "/docker"]);

    let Some(cadvisor) = Cadvisor::start(&docker.socket(), &[VARIABLES]) else { return };
    let theirs = cadvisor.page_with("container_memory_usage_bytes", &ids);
    let page = || ours.page_of("/metrics?collect[]=container");
    let complete = until(Duration::from_secs(10), || names_of(&page(), &ids) == names_of(&theirs, &ids));
    let ours = page();
    let differ: Vec<_> = { names_of(&ours, &ids).into_iter() }
        .zip(names_of(&theirs, &ids))
        .filter(|(here, there)| here != there)
        .collect();
    assert!(complete, "here and there: {differ:#?}");
    the_same_labels(&theirs, &ours, &ids);
    for page in [&theirs, &ours] {
        assert!(page.samples.iter().all(|row| row.labels.get("id").is_none_or(|id| !is_mount(id))));
    }
    the_same_values(&theirs, &ours, &ids);
    the_same_interfaces(&theirs, &ours, &containers);
    // The host's own come and go with whoever else is on it.
    let of_host = |page: &Page| interfaces(page, "container_network_receive_bytes_total", "/");
    let same = until(Duration::from_secs(10), || of_host(&page()) == of_host(&cadvisor.page()));
    assert!(same, "here {:?}, there {:?}", of_host(&page()), of_host(&cadvisor.page()));
    assert!(!of_host(&page()).is_empty());
    restricted_alike(&docker, groups[0].path());
}

/// Flags that leave cgroups and labels out leave out the same, of all that is on this machine.
fn restricted_alike(docker: &Docker, kept: &str) {
    let prefix = format!("-raw_cgroup_prefix_whitelist={kept}");
    let labels = "-whitelisted_container_labels=a,com.example/x,empty,restartcount";
    for (number, flags) in [
        &["-docker_only=true", "-store_container_labels=false", labels, &prefix][..],
        &["-docker_only", "-store_container_labels=true", labels],
        &["-store_container_labels=false", "-whitelisted_container_labels=a", &prefix],
    ]
    .iter()
    .enumerate()
    {
        let socket = format!("--docker=unix://{}", docker.socket().display());
        let ours = Exporter::start(&[*flags, &[socket.as_str()], &ALONE].concat());
        let Some(cadvisor) = Cadvisor::start(&docker.socket(), flags) else { return };
        let all = |page: &Page| -> BTreeSet<Labels> {
            page.matching("container_last_seen", &[]).map(|row| reviewed(&row.labels)).collect()
        };
        let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
        let same = until(Duration::from_secs(15), || {
            (here, there) = (all(&ours.page_of("/metrics?collect[]=container")), all(&cadvisor.page()));
            here == there && !here.is_empty()
        });
        let only = |a: &BTreeSet<Labels>, b| a.difference(b).cloned().collect::<Vec<_>>();
        assert!(
            same,
            "{flags:?}: only here {:#?}, only there {:#?}",
            only(&here, &there),
            only(&there, &here)
        );
        assert!(here.iter().any(|row| row.contains_key("container_label_a")));
        assert_eq!(here.iter().any(|row| row["id"] == kept), number != 1, "{here:?}");
    }
}

/// Containers of every kind; gives their cgroups by name.
fn containers(docker: &Docker) -> BTreeMap<&'static str, String> {
    let network = format!("{}-two", docker.bridge());
    docker.run(&["network", "create", &network]);
    let fails_once = "[ -e /once ] && exec sleep 1000; echo > /once; exit 1";
    let sleep = [BUSYBOX, "sleep", "1000"];
    let kinds: [(&str, &[&str]); 10] = [
        ("bridged", &["--label", "a=b"]),
        (
            "two-networks",
            &["--env", "APP_Mode=a\"b", "--env", "lower-case=c", "--env", "OTHER=d", "--env", "APP_EMPTY="],
        ),
        (HOSTED, &["--network", "host"]),
        ("joined", &["--network", "container:bridged"]),
        ("alone", &["--network", "none"]),
        ("paused", &[]),
        ("checked", &["--health-cmd", "true", "--health-interval", "1s"]),
        (CLASH, &["--label", "com.example/x=slash", "--label", "com.example.x=dot", "--label", "other=1"]),
        (
            "odd",
            &[
                "--label",
                "quotes=a\"b'c",
                "--label",
                "lines=one\ntwo\r\n",
                "--label",
                "back\\slash=\\n\\\\",
                "--label",
                "ключ.é=Grüße 🦀",
                "--label",
                "empty=",
                "--label",
                "9=number",
            ],
        ),
        ("limited", &["--cpus", "0.5", "-m", "64m", "--memory-reservation", "32m", "--cpu-shares", "300"]),
    ];
    let mut paths = BTreeMap::new();
    for (name, flags) in kinds {
        let id = docker.container(&[&["--name", name], flags, &sleep].concat());
        paths.insert(name, format!("/docker/{id}"));
    }
    let again = ["--name", "again", "--restart", "on-failure:3", BUSYBOX, "sh", "-c", fails_once];
    paths.insert("again", format!("/docker/{}", docker.container(&again)));
    let old = docker.container(&[&["--name", "old-name"], &sleep[..]].concat());
    docker.run(&["rename", "old-name", "new-name"]);
    paths.insert("new-name", format!("/docker/{old}"));
    docker.run(&["network", "connect", &network, "two-networks"]);
    docker.run(&["pause", "paused"]);
    let count = || docker.run(&["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again"]);
    assert!(until(Duration::from_secs(20), || count() == "1 running"), "{}", count());
    paths
}

/// Plain groups, one with limits and a child, names that must be escaped, and a mount unit's.
fn cgroups() -> Vec<Cgroup> {
    let group = Cgroup::new("beside");
    group.limit_memory(100 << 20);
    let names = ["child", "with space", "quo\"te", "Grüße.service"];
    let mut groups: Vec<Cgroup> = names.iter().map(|name| group.child(name)).collect();
    // A parent is dropped after its children.
    groups.push(group);
    groups
}

/// The scope of a container as Docker has it under systemd, and the mount that stands beside it.
fn as_systemd_has_it(path: &str) -> [Cgroup; 2] {
    let id = path.rsplit('/').next().unwrap();
    let units = [format!("docker-{id}.scope"), format!("var-lib-docker-containers-{id}-mounts-shm.mount")];
    units.map(|unit| Cgroup::at(&format!("/system.slice/{unit}")))
}

fn is_mount(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, kind)| kind == "mount")
}

/// The labels of each of these ids, once for each row.
fn names_of<'a>(page: &'a Page, ids: &[&str]) -> BTreeMap<&'a str, Vec<Labels>> {
    let mut names: BTreeMap<&str, Vec<Labels>> = BTreeMap::new();
    for sample in page.matching("container_last_seen", &[]) {
        let id = sample.labels["id"].as_str();
        if ids.contains(&id) {
            names.entry(id).or_default().push(reviewed(&sample.labels));
        }
    }
    names
}

/// What is compared of a row's labels.
fn reviewed(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    // The reference gives every row all labels that any row has.
    labels.retain(|_, value| !value.is_empty());
    if labels.get("name").is_some_and(|name| name == CLASH)
        && let Some(value) = labels.get_mut(CLASHING.0)
        && (value == "slash" || value == CLASHING.1)
    {
        "either".clone_into(value);
    }
    labels
}

/// Every family of ours has those labels and no others, and a clash has one winner.
fn the_same_labels(theirs: &Page, ours: &Page, ids: &[&str]) {
    let of_id = |page: &Page, id: &str, family: &str| {
        page.matching(family, &[("id", id)]).map(|sample| sample.labels.clone()).collect::<Vec<_>>()
    };
    for id in ids {
        let seen = of_id(ours, id, "container_last_seen");
        for family in
            ["container_start_time_seconds", "container_memory_usage_bytes", "container_spec_cpu_shares"]
        {
            assert_eq!(of_id(ours, id, family), seen, "{family}");
            assert_eq!(of_id(theirs, id, family).len(), 1, "{family} of {id}");
        }
    }
    let variables = [("container_env_app_mode", "a\"b"), ("container_env_lower_case", "c")];
    assert_eq!(ours.matching("container_last_seen", &variables).count(), 1);
    let clash = ours.matching("container_last_seen", &[("name", CLASH), CLASHING]);
    assert_eq!(clash.count(), 1, "the first key wins");
    let of_containers = ours.samples.iter().filter(|sample| sample.name.starts_with("container_"));
    let with_empty = { of_containers }.find(|sample| sample.labels.values().any(String::is_empty));
    assert_eq!(with_empty, None, "an empty label is none");
}

fn the_same_values(theirs: &Page, ours: &Page, ids: &[&str]) {
    let values = |page: &Page, family: &str| -> BTreeMap<String, f64> {
        let rows = page.matching(family, &[]).map(|sample| (sample.labels["id"].clone(), sample.value));
        rows.filter(|(id, _)| ids.contains(&id.as_str())).collect()
    };
    for family in SPEC {
        let (there, here) = (values(theirs, family), values(ours, family));
        assert!(there.values().any(|value| *value > 0.0), "{family}: nothing to compare");
        assert_eq!(here, there, "{family}");
    }
    // Until its version 0.57 the reference gave the time of creation as that of the start.
    let (there, here) = ("container_start_time_seconds", "container_creation_time_seconds");
    let (started, created, mut made) = (values(ours, there), values(ours, here), values(theirs, there));
    // These were made at several times: the oldest hierarchy is one that the reference does not look at.
    for old in ["/", "/docker"] {
        assert!(created[old] <= made[old], "{old}: {} {}", created[old], made[old]);
        made.insert(old.to_owned(), created[old]);
    }
    assert_eq!(created, made);
    assert!(started.iter().all(|(id, time)| *time >= created[id]), "{started:?} {created:?}");
}

fn the_same_interfaces(theirs: &Page, ours: &Page, containers: &BTreeMap<&str, String>) {
    let of_all = |page: &Page, family: &str| -> BTreeMap<String, BTreeSet<String>> {
        containers.iter().map(|(name, id)| ((*name).to_owned(), interfaces(page, family, id))).collect()
    };
    for way in ["receive", "transmit"] {
        for what in ["bytes", "packets", "errors", "packets_dropped"] {
            let family = format!("container_network_{way}_{what}_total");
            let (mut there, mut here) = (of_all(theirs, &family), of_all(ours, &family));
            let (host, own) = (there.remove(HOSTED).unwrap(), here.remove(HOSTED).unwrap());
            assert!(!host.is_empty() && !host.contains("host"), "{host:?}");
            let counted = if matches!(what, "bytes" | "packets") { vec!["host".to_owned()] } else { vec![] };
            assert_eq!(own.into_iter().collect::<Vec<_>>(), counted, "{family}");
            assert_eq!(here, there, "{family}");
            assert_eq!(here["two-networks"].len(), 2, "{here:?}");
        }
    }
}

fn interfaces(page: &Page, family: &str, id: &str) -> BTreeSet<String> {
    page.matching(family, &[("id", id)]).map(|sample| sample.labels["interface"].clone()).collect()
}
