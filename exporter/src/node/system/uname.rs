//! The kernel's name and version, and the node's name.

use std::ffi::CStr;

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "uname",
    on_by_default: true,
    summary: "the kernel's name and version, the node's name",
    reads: "uname(2)",
    since: "2.6",
    pace: Pace::Quick,
    flags: &[],
    families: &[&INFO],
    build: Uname::build,
};

static INFO: Family =
    Family::gauge("node_uname_info", "1, with the kernel's and the node's names as uname(2) gives them.");

#[derive(Default)]
struct Uname {
    /// The names that the labels were made of, each ended by a zero byte.
    names: Vec<u8>,
    labels: Labels,
}

impl Uname {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(_: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self::default()))
    }

    fn update(&mut self, names: [(&str, &CStr); 6]) {
        let now = || names.iter().flat_map(|(_, name)| name.to_bytes_with_nul());
        if !now().eq(&self.names) {
            self.names = now().copied().collect();
            self.labels = Labels::new(names.map(|(label, name)| (label, name.to_bytes())));
        }
    }
}

impl Collector for Uname {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let uname = rustix::system::uname();
        self.update([
            ("domainname", uname.domainname()),
            ("machine", uname.machine()),
            ("nodename", uname.nodename()),
            ("release", uname.release()),
            ("sysname", uname.sysname()),
            ("version", uname.version()),
        ]);
        page.family(&INFO).sample(&self.labels, 1_u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_makes_new_labels() {
        let mut uname = Uname::default();
        let mut text = |node| {
            let names = ["domainname", "machine", "nodename", "release", "sysname", "version"];
            uname.update(names.map(|name| (name, if name == "nodename" { node } else { c"x" })));
            String::from_utf8(uname.labels.text().to_vec()).expect("labels are UTF-8")
        };
        assert!(text(c"one").contains(r#"machine="x",nodename="one",release="x""#));
        assert!(text(c"two").contains(r#"nodename="two""#));
        assert!(text(c"").contains(r#"nodename="""#));
    }
}
