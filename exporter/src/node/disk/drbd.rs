//! DRBD: what was sent, received and written, what waits, how the two sides are.

use crate::{
    collector::{Collector, Context, Descriptor, Failure, Pace},
    config::ConfigError,
    metric::{Family, Labels, Page},
    source::{
        file::{KeptFile, ReadError, Serves},
        text,
    },
};

/// What this collector is.
pub static DESCRIPTOR: Descriptor = Descriptor {
    name: "drbd",
    on_by_default: false,
    summary: "DRBD 8: what was sent, received and written, what waits, how the two sides are",
    reads: "/proc/drbd",
    since: "2.6.33",
    // The file waits for a device's lock.
    pace: Pace::MayBlock,
    flags: &[],
    families: &EVERY_FAMILY,
    build: Drbd::build,
};

const NUMBERS: usize = 12;

/// The keys that have a number, and what makes it one of the family's unit. What `nr` counts is KiB as well; the
/// reference gives it as it is, and so do we.
static OF_KEYS: [(&[u8], f64, Family); NUMBERS] = [
    (b"ns", 1024.0, Family::counter("node_drbd_network_sent_bytes_total", "Bytes sent to the other side.")),
    (
        b"nr",
        1.0,
        Family::counter("node_drbd_network_received_bytes_total", "Data from the other side, in KiB."),
    ),
    (b"dw", 1024.0, Family::counter("node_drbd_disk_written_bytes_total", "Bytes written to the disk here.")),
    (b"dr", 1024.0, Family::counter("node_drbd_disk_read_bytes_total", "Bytes read from the disk here.")),
    (b"al", 1.0, Family::counter("node_drbd_activitylog_writes_total", "Writes of the activity log.")),
    (b"bm", 1.0, Family::counter("node_drbd_bitmap_writes_total", "Writes of the bitmap.")),
    (b"lo", 1.0, Family::gauge("node_drbd_local_pending", "Requests that wait for the disk here.")),
    (b"pe", 1.0, Family::gauge("node_drbd_remote_pending", "Requests that the other side has not answered.")),
    (
        b"ua",
        1.0,
        Family::gauge("node_drbd_remote_unacknowledged", "Requests of the other side not answered here."),
    ),
    (
        b"ap",
        1.0,
        Family::gauge("node_drbd_application_pending", "Requests handed to DRBD and not yet answered."),
    ),
    (b"ep", 1.0, Family::gauge("node_drbd_epochs", "Epochs, the groups of writes between two barriers.")),
    (
        b"oos",
        1024.0,
        Family::gauge("node_drbd_out_of_sync_bytes", "Data that differs between the sides, in bytes."),
    ),
];

static CONNECTED: Family =
    Family::gauge("node_drbd_connected", "1 if there is a connection to the other side, else 0.");
static PRIMARY: Family =
    Family::gauge("node_drbd_node_role_is_primary", "1 if the side is the primary one, else 0.");
static UP_TO_DATE: Family =
    Family::gauge("node_drbd_disk_state_is_up_to_date", "1 if the side's disk is up to date, else 0.");

static EVERY_FAMILY: [&Family; NUMBERS + 3] = {
    let mut all = [&CONNECTED; NUMBERS + 3];
    let mut index = 0;
    while index < NUMBERS {
        all[index] = &OF_KEYS[index].2;
        index += 1;
    }
    all[index] = &PRIMARY;
    all[index + 1] = &UP_TO_DATE;
    all
};

/// One device; what its lines do not tell is `None`.
#[derive(Debug, Default, PartialEq)]
struct Device {
    number: u64,
    numbers: [Option<f64>; NUMBERS],
    connected: Option<bool>,
    /// Here and on the other side.
    primary: [Option<bool>; 2],
    up_to_date: [Option<bool>; 2],
}

struct Drbd {
    file: KeptFile,
    sides: [Labels; 2],
}

impl Drbd {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the table's signature; other collectors have flags to refuse"
    )]
    fn build(context: &Context<'_>) -> Result<Box<dyn Collector>, ConfigError> {
        Ok(Box::new(Self {
            file: KeptFile::new(context.paths.procfs.join("drbd"), Serves::Records),
            sides: ["local", "remote"].map(|side| Labels::new([("node", side)])),
        }))
    }
}

impl Collector for Drbd {
    fn collect(&mut self, page: &mut Page) -> Result<(), Failure> {
        let text = self.file.read().map_err(ReadError::or_absent)?;
        let parsed = parse(text);
        let devices = parsed.ok_or_else(|| Failure::unreadable(self.file.path(), "keys with numbers"))?;
        let labels: Vec<Labels> = devices
            .iter()
            .map(|device| Labels::new([("device", format!("drbd{}", device.number))]))
            .collect();
        let each = || labels.iter().zip(&devices);
        for (index, (_, _, family)) in OF_KEYS.iter().enumerate() {
            let mut samples = page.family(family);
            for (labels, device) in each() {
                if let Some(number) = device.numbers.get(index).copied().flatten() {
                    samples.sample(labels, number);
                }
            }
        }
        let mut samples = page.family(&CONNECTED);
        for (labels, device) in each() {
            if let Some(connected) = device.connected {
                samples.sample(labels, connected);
            }
        }
        self.write_sides(&PRIMARY, each().map(|(labels, device)| (labels, device.primary)), page);
        self.write_sides(&UP_TO_DATE, each().map(|(labels, device)| (labels, device.up_to_date)), page);
        Ok(())
    }
}

impl Drbd {
    fn write_sides<'l>(
        &self,
        family: &'static Family,
        states: impl Iterator<Item = (&'l Labels, [Option<bool>; 2])>,
        page: &mut Page,
    ) {
        let mut samples = page.family(family);
        for (labels, states) in states {
            for (side, state) in self.sides.iter().zip(states) {
                if let Some(state) = state {
                    samples.joined(labels, side, state);
                }
            }
        }
    }
}

/// The devices; `None` where a known key has no number. What stands before the first device is left out.
fn parse(text: &[u8]) -> Option<Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    for word in text::lines(text).flat_map(text::fields) {
        let mut parts = word.split(|&byte| byte == b':');
        let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else { continue };
        if value.is_empty() {
            if let Some(number) = text::whole(key) {
                devices.retain(|device| device.number != number);
                devices.push(Device { number, ..Device::default() });
            }
            continue;
        }
        let Some(device) = devices.last_mut() else { continue };
        let numbers = device.numbers.iter_mut().zip(&OF_KEYS);
        if let Some((place, (_, unit, _))) = numbers.into_iter().find(|(_, (name, ..))| *name == key) {
            *place = Some(text::float(value)? * unit);
        }
        match key {
            b"cs" => device.connected = Some(value == b"Connected"),
            b"ro" => device.primary = sides(value, b"Primary"),
            b"ds" => device.up_to_date = sides(value, b"UpToDate"),
            _ => {}
        }
    }
    Some(devices)
}

fn sides(value: &[u8], good: &[u8]) -> [Option<bool>; 2] {
    let mut states = value.split(|&byte| byte == b'/').map(|state| state == good);
    [states.next(), states.next()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRBD: &[u8] = b"version: 8.4.3 (api:1/proto:86-101)\nsrcversion: 1A9\n\n \
        1: cs:Connected ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----\n    \
        ns:17 nr:10 dw:2 dr:1 al:11 bm:2 lo:3 pe:4 ua:5 ap:6 ep:1 wo:d oos:3\n 2: cs:WFConnection ro:Secondary\n";

    #[test]
    fn devices_are_read() {
        let devices = parse(DRBD).expect("makes sense");
        assert_eq!(devices.len(), 2);
        let first = &devices[0];
        assert_eq!((first.number, first.connected), (1, Some(true)));
        assert_eq!((first.primary, first.up_to_date), ([Some(true), Some(false)], [Some(true), Some(false)]));
        assert_eq!(first.numbers[..4], [Some(17.0 * 1024.0), Some(10.0), Some(2048.0), Some(1024.0)]);
        assert_eq!(first.numbers[11], Some(3072.0));
        assert_eq!(devices[1].connected, Some(false));
        assert_eq!(devices[1].primary, [Some(false), None]);
        assert_eq!(devices[1].numbers, [None; NUMBERS]);
    }

    #[test]
    fn garbage_fails_or_is_left_out() {
        for text in [&b" 0: ns:x"[..], b" 0: oos:\xff", b"0: ns:1,2"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        for text in [&b""[..], b"version: 8", b"ns:5", b"99999999999999999999: ns:1", b"\xff:"] {
            assert_eq!(parse(text), Some(Vec::new()), "{text:?}");
        }
        assert_eq!(parse(b"1: ns:1\n1: ns:2").expect("makes sense").len(), 1, "a number twice is one device");
    }
}
