//! `/proc/self/mountstats`: what the NFS client counts for each mount.

use super::text;

/// Bytes and pages of a mount.
pub const BYTES: usize = 8;
/// Events of a mount.
pub const EVENTS: usize = 27;
/// Figures of a connection.
pub const TRANSPORT: usize = 13;
/// Figures of an operation.
pub const OPERATION: usize = 8;

/// One NFS mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NfsMount<'a> {
    /// Its place among all mounts of the file, counted from 0.
    pub index: usize,
    /// What is mounted, `server:/path`.
    pub export: &'a [u8],
    /// Where, as the kernel escapes it.
    pub point: &'a [u8],
    /// Seconds since it was mounted.
    pub age: u64,
    /// Bytes read and written: as usual, directly, and by the server; then pages read and written.
    pub bytes: [u64; BYTES],
    /// Events, in the order of the line.
    pub events: [u64; EVENTS],
    /// Its connections.
    pub transports: Vec<Transport<'a>>,
    /// Its operations.
    pub operations: Vec<Operation<'a>>,
}

/// One connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport<'a> {
    /// `tcp`, `udp` or `rdma`.
    pub protocol: &'a [u8],
    /// Port, binds, connects, time to connect, idle time in seconds, sends, receives, bad transaction ids, requests,
    /// backlog, slots, sending and pending queue. What a protocol does not have is 0.
    pub figures: [u64; TRANSPORT],
}

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Requests, transmissions, major timeouts, bytes sent and received; milliseconds in the queue, until the answer,
    /// and in all.
    pub figures: [u64; OPERATION],
}

/// The NFS mounts; `None` where a line makes no sense.
pub fn nfs_mounts(mountstats: &[u8]) -> Option<Vec<NfsMount<'_>>> {
    let mut mounts = Vec::new();
    let mut index = 0;
    let mut lines = mountstats.split(|&byte| byte == b'\n');
    while let Some(line) = lines.next() {
        let mut words = text::fields(line);
        if words.next() != Some(b"device") {
            continue;
        }
        let mut next = || words.next();
        let (export, mounted, on, point) = (next()?, next()?, next()?, next()?);
        let (with, kind, fstype) = (next()?, next()?, next()?);
        if (mounted, on, with, kind) != (b"mounted", b"on", b"with", b"fstype") {
            return None;
        }
        if let Some(version) = next() {
            if !matches!(fstype, b"nfs" | b"nfs4") {
                return None;
            }
            let mut mount = NfsMount {
                index,
                export,
                point,
                age: 0,
                bytes: [0; BYTES],
                events: [0; EVENTS],
                transports: Vec::new(),
                operations: Vec::new(),
            };
            read(&mut mount, version.strip_prefix(b"statvers=").unwrap_or(version), &mut lines)?;
            mounts.push(mount);
        }
        index += 1;
    }
    Some(mounts)
}

/// Reads the lines of one mount up to the empty one.
fn read<'a>(
    mount: &mut NfsMount<'a>,
    version: &[u8],
    lines: &mut impl Iterator<Item = &'a [u8]>,
) -> Option<()> {
    let mut in_operations = false;
    for line in lines {
        let mut fields = text::fields(line);
        let Some(key) = fields.next() else { break };
        match key {
            _ if in_operations => mount.operations.push(operation(key, fields)?),
            b"age:" => mount.age = text::whole(fields.next()?)?,
            b"bytes:" => fill(&mut mount.bytes, fields)?,
            b"events:" => fill(&mut mount.events, fields)?,
            b"xprt:" => mount.transports.push(transport(version, fields)?),
            b"per-op" => in_operations = true,
            _ => {}
        }
    }
    Some(())
}

/// As many numbers as there are places, no more and no less.
fn fill<'a>(places: &mut [u64], mut fields: impl Iterator<Item = &'a [u8]>) -> Option<()> {
    fill_some(places, &mut fields)?;
    fields.next().is_none().then_some(())
}

/// As many numbers as there are places, from the fields' beginning.
fn fill_some<'a>(places: &mut [u64], fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<()> {
    for place in places {
        *place = text::whole(fields.next()?)?;
    }
    Some(())
}

fn operation<'a>(key: &'a [u8], mut fields: impl Iterator<Item = &'a [u8]>) -> Option<Operation<'a>> {
    let mut figures = [0; OPERATION];
    fill_some(&mut figures, &mut fields)?;
    // Newer kernels count errors behind them.
    fields.all(|field| text::whole(field).is_some()).then_some(())?;
    Some(Operation { name: key.strip_suffix(b":").unwrap_or(key), figures })
}

fn transport<'a>(version: &[u8], mut fields: impl Iterator<Item = &'a [u8]>) -> Option<Transport<'a>> {
    let protocol = fields.next()?;
    let mut figures = [0; TRANSPORT];
    // Only the newer version has slots and queues.
    let common = match version {
        b"1.0" => 10,
        b"1.1" => TRANSPORT,
        _ => return None,
    };
    match protocol {
        b"tcp" => fill(figures.get_mut(..common)?, fields)?,
        // Has no connects, no time to connect and no idle time.
        b"udp" => {
            fill_some(figures.get_mut(..2)?, &mut fields)?;
            fill(figures.get_mut(5..common)?, fields)?;
        }
        // Has counts of its own behind the ten.
        b"rdma" if version == b"1.1" => {
            fill_some(figures.get_mut(..10)?, &mut fields)?;
            let more = fields.try_fold(0_usize, |count, field| text::whole(field).map(|_| count + 1))?;
            (more >= 10).then_some(())?;
        }
        _ => return None,
    }
    Some(Transport { protocol, figures })
}

/// The server's address among the options of the file system in line `index` of mountinfo; empty where there is none.
pub fn server(mountinfo: &[u8], index: usize) -> &[u8] {
    text::lines(mountinfo).nth(index).and_then(address).unwrap_or_default()
}

fn address(line: &[u8]) -> Option<&[u8]> {
    let mut fields = text::fields(line);
    fields.find(|field| *field == b"-")?;
    let mut options = fields.nth(2)?.split(|&byte| byte == b',');
    options.find_map(|option| option.strip_prefix(b"addr="))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "device rootfs mounted on / with fstype rootfs\n\
        device srv:/x mounted on /mnt/a\\040b with fstype nfs4 statvers=1.1\n";

    fn with(lines: &str) -> Option<Vec<NfsMount<'static>>> {
        nfs_mounts(format!("{HEAD}{lines}").leak().as_bytes())
    }

    #[test]
    fn a_mount_has_what_stands_below_it() {
        let found = with(
            "\tage:\t13968\n\tbytes:\t1 2 3 4 5 6 7 8\n\txprt:\ttcp 832 0 1 0 11 6 7 0 9 0 24 26 57\n\
             \txprt:\tudp 832 1 2 3 4 5 6 7 8 9\n\tper-op statistics\n\t  NULL: 0 1 2 3 4 5 6 7\n\
             \t  READ: 0 1 2 3 4 5 6 7 8\n\ndevice proc mounted on /proc with fstype proc\n",
        );
        let mounts = found.expect("parses");
        assert_eq!(mounts.len(), 1);
        let mount = &mounts[0];
        assert_eq!((mount.index, mount.export, mount.point), (1, &b"srv:/x"[..], &b"/mnt/a\\040b"[..]));
        assert_eq!((mount.age, mount.bytes), (13_968, [1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(mount.transports[0].figures, [832, 0, 1, 0, 11, 6, 7, 0, 9, 0, 24, 26, 57]);
        assert_eq!(mount.transports[1].figures, [832, 1, 0, 0, 0, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(mount.operations[1], Operation { name: b"READ", figures: [0, 1, 2, 3, 4, 5, 6, 7] });
    }

    #[test]
    fn versions_and_protocols_differ_in_columns() {
        let of = |version: &[u8], text: &'static str| {
            transport(version, text::fields(text.as_bytes())).map(|transport| transport.figures)
        };
        assert_eq!(of(b"1.0", "tcp 1 2 3 4 5 6 7 8 9 10"), Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0]));
        assert_eq!(of(b"1.0", "udp 1 2 3 4 5 6 7"), Some([1, 2, 0, 0, 0, 3, 4, 5, 6, 7, 0, 0, 0]));
        let rdma = "rdma 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20";
        assert_eq!(of(b"1.1", rdma), Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0]));
        for (version, bad) in [
            (&b"1.0"[..], "tcp 1 2 3 4 5 6 7 8 9"),
            (b"1.1", "tcp 1 2 3 4 5 6 7 8 9 10"),
            (b"1.1", "udp 1 2 3 4 5 6 7 8 9 10 11"),
            (b"1.1", "rdma 1 2 3 4 5 6 7 8 9 10 11"),
            (b"1.0", rdma),
            (b"2", "tcp 1 2 3 4 5 6 7 8 9 10"),
            (b"1.1", "local 1"),
            (b"1.1", ""),
        ] {
            assert_eq!(of(version, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_fails_all() {
        for bad in [
            "\tage:\n",
            "\tage: x\n",
            "\tbytes: 1 2 3 4 5 6 7\n",
            "\tbytes: 1 2 3 4 5 6 7 8 9\n",
            "\tbytes: 1 2 3 4 5 6 7 18446744073709551616\n",
            "\tevents: 1 2\n",
            "\tper-op statistics\n\tNULL: 1 2 3 4 5 6 7\n",
            "\tper-op statistics\n\tNULL: 1 2 3 4 5 6 7 8 x\n",
            "\ndevice x mounted on /y with fstype ext4 statvers=1.1\n",
            "\ndevice x mounted on /y\n",
            "\ndevice x mounted at /y with fstype ext4\n",
        ] {
            assert_eq!(with(bad), None, "{bad:?}");
        }
        assert_eq!(nfs_mounts(b"\xff\nno device mounted on /x with fstype y\n"), Some(vec![]));
    }

    #[test]
    fn the_server_s_address_is_an_option() {
        let text = b"21 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
            194 21 0:42 / /mnt rw - nfs srv:/x rw,mountaddr=1.1.1.1,addr=192.168.1.1,local_lock=none\n21 0 8:1 / - \xff";
        assert_eq!(server(text, 0), b"");
        assert_eq!(server(text, 1), b"192.168.1.1");
        assert_eq!(server(text, 2), b"");
        assert_eq!(server(text, 3), b"");
    }
}
