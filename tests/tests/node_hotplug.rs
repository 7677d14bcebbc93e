//! Devices that come, go and change their names between two scrapes, though their files are held open.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use tests::{exporter::Exporter, live, page::Page};

/// Two interfaces of our own; taken away on drop.
struct Links([String; 2]);

impl Links {
    fn new() -> Self {
        let id = std::process::id();
        let links = Self([format!("one{id}"), format!("two{id}")]);
        links.add(0, 1400);
        links.add(1, 1401);
        links
    }

    fn add(&self, index: usize, mtu: u32) {
        ip(&format!("link add {} mtu {mtu} type bridge", self.0[index]));
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for name in self.0.iter().chain([&swap()]) {
            let _ = Command::new("ip").args(["link", "del", name]).output();
        }
    }
}

/// The name that one bears while they exchange theirs.
fn swap() -> String {
    format!("swap{}", std::process::id())
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

#[test]
fn an_interface_s_figures_are_its_own_whatever_becomes_of_it() {
    if !live::root() {
        return;
    }
    let links = Links::new();
    let [one, two] = &links.0;
    let exporter = Exporter::start(&["--ebpf=off", "--no-container", "--docker=", "--scrape.share=0"]);
    let mtus = || {
        let page: Page = exporter.page();
        [one, two].map(|name| page.value("node_network_mtu_bytes", &[("device", name)]))
    };
    assert_eq!(mtus(), [Some(1400.0), Some(1401.0)]);
    ip(&format!("link set {one} mtu 1300"));
    assert_eq!(mtus(), [Some(1300.0), Some(1401.0)], "changed");
    ip(&format!("link del {one}"));
    links.add(0, 1200);
    assert_eq!(mtus(), [Some(1200.0), Some(1401.0)], "made anew");
    let swap = swap();
    for (from, to) in [(one, &swap), (two, one), (&swap, two)] {
        ip(&format!("link set {from} name {to}"));
    }
    assert_eq!(mtus(), [Some(1401.0), Some(1200.0)], "the names exchanged");
    ip(&format!("link del {two}"));
    assert_eq!(mtus(), [Some(1401.0), None], "gone");
}
