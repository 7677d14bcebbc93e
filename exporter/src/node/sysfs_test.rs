//! A root of a unit test's own, and what a collector makes of it.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    collector::{Context, Descriptor, Failure},
    config::{Asked, Paths, parse},
    metric::Page,
};

/// A folder that stands for /sys, removed on drop.
pub struct Root(PathBuf);

impl Root {
    pub fn new(tag: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nodetally-{tag}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("makes");
        Self(path)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("is below the root")).expect("makes");
        std::fs::write(path, contents).expect("writes");
    }

    /// Many files of one folder.
    pub fn fill(&self, folder: &str, files: &[(&str, &str)]) {
        for (name, contents) in files {
            self.write(&format!("{folder}/{name}"), contents);
        }
    }

    /// The samples of one scrape, in the page's order.
    pub fn samples(&self, collector: &Descriptor, flags: &[&str]) -> Result<Vec<String>, Failure> {
        let Ok(Asked::Run(flags)) = parse(flags.iter().map(|flag| (*flag).to_owned())) else {
            panic!("{flags:?}: refused");
        };
        let paths = Paths {
            procfs: self.0.join("proc"),
            sysfs: self.0.clone(),
            rootfs: self.0.clone(),
            udev_data: self.0.join("udev"),
        };
        let context = Context { paths: &paths, flags: &flags };
        let mut page = Page::default();
        (collector.build)(&context).expect("builds").collect(&mut page)?;
        assert_eq!(page.dropped(), 0, "a family was written twice");
        let text = str::from_utf8(page.text()).expect("a page is UTF-8");
        Ok(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
