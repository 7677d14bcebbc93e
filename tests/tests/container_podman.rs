//! Podman's containers: named by its API, and neither its monitor nor what its runtime makes within is one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, time::Duration};

use tests::{
    cgroup::{Cgroup, Slices},
    exporter::{self, Exporter},
    http,
    image::BUSYBOX,
    page::Page,
    podman::Podman,
    running::{output, until},
};

const PATIENCE: Duration = Duration::from_secs(15);
const SLEEP: [&str; 3] = [BUSYBOX, "sleep", "1000"];

/// Podman and the exporter beside it.
struct Bed {
    podman: Podman,
    exporter: Exporter,
}

impl Bed {
    fn page(&self) -> Page {
        self.exporter.page_of("/metrics?collect[]=container")
    }

    /// Waits until this is the one living cgroup of that name.
    #[track_caller]
    fn sees(&self, name: &str, path: &str) {
        let found = || ids(&self.page(), name);
        assert!(
            until(PATIENCE, || found() == [path]),
            "{name} is {:?}, not {path}\n{}",
            found(),
            self.said()
        );
    }

    fn said(&self) -> String {
        self.exporter.process.said()
    }
}

/// The living cgroups that bear a name.
fn ids(page: &Page, name: &str) -> Vec<String> {
    page.matching("container_last_seen", &[("name", name)]).map(|row| row.labels["id"].clone()).collect()
}

/// The labels of a living cgroup that is shown.
fn labels(page: &Page, path: &str) -> Option<BTreeMap<String, String>> {
    let id = [("id", path)];
    let mut rows = page.matching("container_last_seen", &id);
    let labels = rows.next()?.labels.clone();
    assert!(rows.next().is_none(), "{path} twice");
    Some(labels)
}

// One test: podman takes a while to start.
#[test]
fn containers_of_podman() {
    let Some(podman) = Podman::start() else { return };
    let early = podman.container(&[&["--name", "early"], &SLEEP[..]].concat());
    let socket = format!("--podman=unix://{}", podman.socket().display());
    let program = exporter::binary().display().to_string();
    let mut command =
        podman.within(&[&program, "--docker=", &socket, "--scrape.share=0", "--container.layer-usage=100ms"]);
    let exporter = Exporter::start_with(http::free_address(), &mut command);
    let mut bed = Bed { podman, exporter };
    bed.sees("early", &format!("/libpod_parent/libpod-{early}"));
    names_and_labels(&bed);
    a_layer_s_room(&bed);
    health(&bed);
    what_is_no_container(&bed, &early);
    the_shapes_of_systemd_and_of_users(&bed);
    a_short_life_has_its_name(&bed);
    names_stay_right(&mut bed, &early);
}

fn names_and_labels(bed: &Bed) {
    let label = ["--label", "a.b/c=\"Grüße\"\n\\", "--label", "empty="];
    let id = bed.podman.container(&[&["--name", "labelled"], &label[..], &SLEEP].concat());
    let path = format!("/libpod_parent/libpod-{id}");
    bed.sees("labelled", &path);
    let image = format!("localhost/{BUSYBOX}");
    let expected = [
        ("container_label_a_b_c", "\"Grüße\"\n\\"),
        ("id", path.as_str()),
        ("image", image.as_str()),
        ("name", "labelled"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let page = bed.page();
    assert_eq!(labels(&page, &path), Some(BTreeMap::from(expected)));
    let time = |field: &str| {
        let seconds = format!("{{{{{field}.Unix}}}}");
        bed.podman.run(&["inspect", "-f", &seconds, &id]).parse::<f64>().unwrap()
    };
    let value = |family: &str| page.value(family, &[("id", path.as_str())]);
    assert_eq!(value("container_creation_time_seconds"), Some(time(".Created")));
    assert_eq!(value("container_start_time_seconds"), Some(time(".State.StartedAt")));
}

fn a_layer_s_room(bed: &Bed) {
    let filter = [("name", "early")];
    let usage = || bed.page().value("container_fs_usage_bytes", &filter);
    assert!(until(PATIENCE, || usage().is_some()), "{}", bed.said());
    let before = usage().unwrap();
    bed.podman.run(&["exec", "early", "dd", "if=/dev/zero", "of=/four", "bs=1M", "count=4"]);
    let four = f64::from(4 << 20)..f64::from(5 << 20);
    assert!(until(PATIENCE, || four.contains(&(usage().unwrap() - before))), "{:?}, was {before}", usage());
    assert!(bed.page().value("container_fs_limit_bytes", &filter).unwrap() > usage().unwrap());
}

/// Checked by hand, for there is no systemd to do it in time.
fn health(bed: &Bed) {
    let check = ["--health-cmd", "test ! -e /ill", "--health-interval", "disable", "--health-retries", "1"];
    bed.podman.container(&[&["--name", "checked"], &check[..], &SLEEP].concat());
    let becomes = |state: f64| {
        let shown = || bed.page().value("container_health_state", &[("name", "checked")]);
        assert!(until(PATIENCE, || shown() == Some(state)), "{:?}, not {state}", shown());
    };
    becomes(0.0);
    bed.podman.run(&["healthcheck", "run", "checked"]);
    becomes(1.0);
    bed.podman.run(&["exec", "checked", "sh", "-c", ": > /ill"]);
    assert!(!bed.podman.command(&["healthcheck", "run", "checked"]).output().unwrap().status.success());
    becomes(0.0);
    assert_eq!(bed.page().value("container_health_state", &[("name", "early")]), Some(-1.0));
    bed.podman.run(&["rm", "--force", "--time", "0", "checked"]);
}

/// The monitor's cgroup, and the one that crun makes within the container's.
fn what_is_no_container(bed: &Bed, early: &str) {
    let path = format!("/libpod_parent/libpod-{early}");
    let inner = Cgroup::at(&format!("{path}/container"));
    for plain in ["/libpod_parent/conmon", inner.path()] {
        let shown = || labels(&bed.page(), plain);
        assert!(until(PATIENCE, || shown().is_some()), "{plain}");
        assert_eq!(shown(), Some(BTreeMap::from([("id".to_owned(), plain.to_owned())])));
    }
    bed.sees("early", &path);
}

/// Where podman's other cgroup manager puts a container, and where a user's is; its monitor stands beside it.
fn the_shapes_of_systemd_and_of_users(bed: &Bed) {
    let in_slice = |name: &str, slice: &str, then: &dyn Fn(&str)| {
        let id = bed.podman.run(&[&["create", "--name", name], &SLEEP[..]].concat());
        let slices = Slices::missing(slice);
        let monitor = Cgroup::at(&format!("{slice}/libpod-conmon-{id}.scope"));
        let scope = Cgroup::at(&format!("{slice}/libpod-{id}.scope"));
        let inner = scope.child("container");
        for path in [monitor.path(), inner.path(), scope.path()] {
            assert!(until(PATIENCE, || labels(&bed.page(), path).is_some()), "{path}");
        }
        then(scope.path());
        bed.sees(name, scope.path());
        drop((monitor, inner, scope, slices));
        bed.podman.run(&["rm", name]);
    };
    in_slice("by-systemd", "/machine.slice", &|_| {});
    let user = "/user.slice/user-61234.slice/user@61234.service/user.slice";
    in_slice("of-a-user", user, &|path| {
        let nameless = BTreeMap::from([("id".to_owned(), path.to_owned())]);
        assert_eq!(labels(&bed.page(), path), Some(nameless), "root's podman is not asked for it");
        let make = "mkdir -p /run/user/61234/podman && ln -s $0 /run/user/61234/podman/podman.sock";
        output(&mut bed.podman.within(&["sh", "-c", make, &bed.podman.socket().display().to_string()]));
    });
    in_slice("of-a-user-again", user, &|_| {});
}

fn a_short_life_has_its_name(bed: &Bed) {
    let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    bed.podman.run(&["run", "--rm", "--name", "short", BUSYBOX, "sh", "-c", burn]);
    let used = || bed.page().value("container_cpu_usage_seconds_total", &[("name", "short")]);
    assert!(until(PATIENCE, || used().is_some_and(|seconds| seconds > 0.02)), "{:?}", used());
    assert!(until(PATIENCE, || ids(&bed.page(), "short").is_empty()));
}

/// Through a new name, a new run, a new service and the end.
fn names_stay_right(bed: &mut Bed, early: &str) {
    let path = format!("/libpod_parent/libpod-{early}");
    bed.podman.run(&["rename", "early", "late"]);
    bed.sees("late", &path);
    assert_eq!(ids(&bed.page(), "early"), Vec::<String>::new());
    bed.podman.run(&["restart", "--time", "0", "late"]);
    bed.sees("late", &path);
    bed.podman.restart_service();
    bed.podman.run(&["rename", "late", "latest"]);
    let new = bed.podman.container(&[&["--name", "new"], &SLEEP[..]].concat());
    bed.sees("latest", &path);
    bed.sees("new", &format!("/libpod_parent/libpod-{new}"));
    bed.podman.run(&["rm", "--force", "--time", "0", "latest"]);
    assert!(until(PATIENCE, || ids(&bed.page(), "latest").is_empty()));
}
