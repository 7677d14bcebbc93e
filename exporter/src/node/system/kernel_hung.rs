//! Tasks that the kernel has found hanging.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Page},
    source::{
        file::{KeptFile, ReadError, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "kernel_hung",
    on_by_default: true,
    summary: "tasks that hung in the kernel",
    reads: "/proc/sys/kernel/hung_task_detect_count",
    since: "6.13",
    pace: Pace::Quick,
    flags: &[],
    families: &[&HUNG],
    build: KernelHung::build,
};

static HUNG: Family = Family::counter(
    "node_kernel_hung_tasks_total",
    "Tasks found to have slept without end in the kernel, since boot.",
);

struct KernelHung {
    file: KeptFile,
}

impl KernelHung {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        let path = context.paths.procfs.join("sys/kernel/hung_task_detect_count");
        Ok(Box::new(Self { file: KeptFile::new(path, Serves::Whole) }))
    }
}

impl Collector for KernelHung {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let count = text::only(self.file.read().map_err(ReadError::or_absent)?)
            .ok_or_else(|| Failure::unreadable(self.file.path(), "one number"))?;
        page.family(&HUNG).plain(count);
        Ok(())
    }
}
