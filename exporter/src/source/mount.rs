//! `/proc/<pid>/mountinfo` and statfs(2). (The `procfs` crate wants UTF-8, and maps for the options.)

use std::{
    ffi::{CStr, CString},
    path::Path,
};

use rustix::io::Errno;

use super::{
    file::{KeptFile, Serves},
    text,
};

/// One mount, as its line tells it. Device, root and file system are as the kernel wrote them, octal escapes and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Its number, which no other mount has while anything uses this one.
    pub id: &'a [u8],
    /// The number of the mount that it lies in.
    pub parent: &'a [u8],
    /// The folder of the file system that is mounted, with octal escapes.
    pub folder: &'a [u8],
    /// What is mounted: a device, a server's export, or any word.
    pub device: &'a [u8],
    /// Where, with octal escapes: see [`unescape`].
    pub point: &'a [u8],
    /// The file system's type.
    pub fstype: &'a [u8],
    /// Device number, first part.
    pub major: &'a [u8],
    /// Device number, second part.
    pub minor: &'a [u8],
    /// Whether it cannot be written, by the mount's or the file system's options.
    pub readonly: bool,
    /// The file system's options, with octal escapes.
    pub options: &'a [u8],
}

impl Mount<'_> {
    /// The value of an option of the file system's, as it was given.
    pub fn option(&self, name: &[u8]) -> Option<Vec<u8>> {
        let value = self.options.split(|&byte| byte == b',').find_map(|option| {
            let (key, value) = option.split_at(option.iter().position(|&byte| byte == b'=')?);
            (key == name).then(|| value.get(1..))?
        })?;
        Some(unescape(value, |_| true))
    }
}

/// The host's root as it is seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoot(
    /// Without its ending slash: empty for our own.
    Vec<u8>,
);

impl HostRoot {
    /// The host's root at this folder.
    pub fn new(folder: &Path) -> Self {
        let folder = folder.as_os_str().as_encoded_bytes();
        let end = folder.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        Self(folder.get(..end).unwrap_or_default().to_vec())
    }

    /// The mount point as the host names it: a container sees its binds of the host's root below this one.
    pub fn name<'a>(&self, point: &'a [u8]) -> &'a [u8] {
        match point.strip_prefix(self.0.as_slice()) {
            Some(b"") => b"/",
            Some(rest) if rest.starts_with(b"/") => rest,
            _ => point,
        }
    }

    /// Where the host's absolute path is seen from here; `None` with a zero byte in it.
    pub fn path(&self, of_host: &[u8]) -> Option<CString> {
        CString::new([self.0.as_slice(), of_host].concat()).ok()
    }
}

/// The mounts. A line that makes no sense is left out.
pub fn mounts(mountinfo: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    text::lines(mountinfo).filter_map(mount)
}

fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = fields.next()?;
    let parent = fields.next()?;
    let number = fields.next()?;
    let colon = number.iter().position(|&byte| byte == b':')?;
    let (major, minor) = (number.get(..colon)?, number.get(colon + 1..)?);
    text::whole(major).and(text::whole(minor))?;
    let folder = fields.next()?;
    let point = fields.next()?;
    let own_options = fields.next()?;
    // Any number of optional fields ends with a dash.
    fields.find(|&field| field == b"-")?;
    let (fstype, device) = (fields.next()?, fields.next()?);
    let options = fields.next().unwrap_or_default();
    let readonly = is_readonly(own_options) || is_readonly(options);
    let mount = Mount { id, parent, folder, device, point, fstype, major, minor, readonly, options };
    (!point.is_empty()).then_some(mount)
}

fn is_readonly(options: &[u8]) -> bool {
    options.split(|&byte| byte == b',').any(|option| option == b"ro" || option == b"emergency_ro")
}

/// Turns `\040` and the like into the bytes they stand for, those bytes that `wanted` names.
pub fn unescape(text: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match octal(rest).filter(|&decoded| byte == b'\\' && wanted(decoded)) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => bytes.push(byte),
        }
    }
    bytes
}

/// The byte that the next three octal digits give.
fn octal(text: &[u8]) -> Option<u8> {
    let digits = text.first_chunk::<3>()?;
    digits.iter().try_fold(0_u8, |value, &digit| {
        (b'0'..=b'7').contains(&digit).then(|| value.checked_mul(8)?.checked_add(digit - b'0'))?
    })
}

/// The host's list of mounts.
#[derive(Debug)]
pub struct MountList {
    /// The first process' view is the host's, also from within a container that sees the host's processes.
    first: KeptFile,
    /// Our own, where the first process is hidden from us.
    own: KeptFile,
    is_hidden: bool,
    is_read: bool,
}

impl MountList {
    /// Names the files; nothing is opened yet.
    pub fn new(procfs: &Path) -> Self {
        Self {
            first: KeptFile::new(procfs.join("1/mountinfo"), Serves::Records),
            own: KeptFile::new(procfs.join("self/mountinfo"), Serves::Records),
            is_hidden: false,
            is_read: false,
        }
    }

    /// The list, if it is another one than at the last call.
    pub fn news(&mut self) -> Option<&[u8]> {
        self.is_hidden |= self.first.open().is_err();
        let file = if self.is_hidden { &mut self.own } else { &mut self.first };
        // The kernel tells of changes to a file that is open; to write the list is much work for it.
        if self.is_read && !file.has_changed() {
            return None;
        }
        self.is_read = true;
        file.open()
            .and_then(|()| file.read())
            .inspect_err(|error| tracing::debug!(%error, "no file systems"))
            .ok()
    }

    /// The next call is as the first.
    pub fn forget(&mut self) {
        self.is_read = false;
    }
}

/// How much a file system holds. Sizes are in blocks of `block_size` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in a block.
    pub block_size: i64,
    /// All blocks.
    pub blocks: u64,
    /// Free ones.
    pub free: u64,
    /// Free ones that a user without privileges may take.
    pub available: u64,
    /// All files (inodes).
    pub files: u64,
    /// Files that can still be made.
    pub files_free: u64,
}

impl Space {
    /// All of it, in bytes.
    pub fn size(&self) -> u64 {
        self.bytes(self.blocks)
    }

    /// What is taken, in bytes.
    pub fn used(&self) -> u64 {
        self.bytes(self.blocks.saturating_sub(self.free))
    }

    fn bytes(&self, blocks: u64) -> u64 {
        blocks.saturating_mul(self.block_size.try_into().unwrap_or(0))
    }
}

/// Asks the file system at `path` for its space. It waits for as long as the file system does.
///
/// # Errors
/// What statfs(2) says.
pub fn space(path: &CStr) -> Result<Space, Errno> {
    let answer = rustix::fs::statfs(path)?;
    Ok(Space {
        #[allow(clippy::useless_conversion, reason = "its width depends on the machine and the C library")]
        block_size: answer.f_bsize.into(),
        blocks: answer.f_blocks,
        free: answer.f_bfree,
        available: answer.f_bavail,
        files: answer.f_files,
        files_free: answer.f_ffree,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_optional_fields() {
        let text = b"29 1 259:2 / / rw,relatime shared:1 master:2 - ext4 /dev/vda1 rw,errors=remount-ro\n\
            30 24 0:6 / /srv ro,nosuid - nfs4 host:/a\\040b ro,vers=4.2\n31 1 0:7 / /x rw - tmpfs  rw\n";
        let found: Vec<_> = mounts(text).collect();
        assert_eq!(
            found[0],
            Mount {
                id: b"29",
                parent: b"1",
                folder: b"/",
                device: b"/dev/vda1",
                point: b"/",
                fstype: b"ext4",
                major: b"259",
                minor: b"2",
                readonly: false,
                options: b"rw,errors=remount-ro",
            }
        );
        assert_eq!((found[1].device, found[1].readonly), (&b"host:/a\\040b"[..], true));
        assert_eq!((found[2].device, found[2].fstype), (&b""[..], &b"tmpfs"[..]), "an empty device");
    }

    #[test]
    fn a_file_system_may_be_read_only_without_its_mount() {
        for (line, readonly) in [
            (&b"1 1 8:1 / / rw - ext4 d rw,emergency_ro"[..], true),
            (b"1 1 8:1 / / rw - ext4 d ro", true),
            (b"1 1 8:1 / / rw,errors=remount-ro - ext4 d rw,ro_flag", false),
            (b"1 1 8:1 / / rw - ext4 d", false),
        ] {
            assert_eq!(mounts(line).map(|mount| mount.readonly).collect::<Vec<_>>(), [readonly], "{line:?}");
        }
    }

    #[test]
    fn lines_cut_short_are_left_out() {
        let whole = b"29 1 259:2 / /a rw,relatime shared:1 - ext4 /dev/vda1";
        assert_eq!(mounts(whole).count(), 1);
        for end in 0..b"29 1 259:2 / /a rw,relatime shared:1 - ext4".len() {
            assert_eq!(mounts(&whole[..end]).count(), 0, "{end}");
        }
        for bad in [&b"29 1 259 / /a rw - ext4 d rw"[..], b"29 1 a:b / /a rw - ext4 d rw", b"\xff\xff", b""] {
            assert_eq!(mounts(bad).count(), 0, "{bad:?}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        let all = |text: &[u8]| unescape(text, |_| true);
        assert_eq!(all(b"/a\\040b\\011c\\012d\\134e\\043"), b"/a b\tc\nd\\e#");
        assert_eq!(unescape(b"\\040\\134", |byte| byte == b' '), b" \\134");
        for kept in [&b"\\04"[..], b"\\", b"\\0x0", b"\\777", b"\\089", b""] {
            assert_eq!(all(kept), kept);
        }
    }

    #[test]
    fn options_have_their_escapes_undone() {
        let line = b"1 1 0:5 / / rw - overlay overlay rw,lowerdir=/l\\0541:/l2,upperdir=/a\\054b\\040c/\\134d=e,xino=off";
        let found: Vec<_> = mounts(line).collect();
        assert_eq!(found[0].option(b"upperdir").as_deref(), Some(&b"/a,b c/\\d=e"[..]));
        assert_eq!(found[0].option(b"lowerdir").as_deref(), Some(&b"/l,1:/l2"[..]));
        assert_eq!((found[0].option(b"upper"), found[0].option(b"rw")), (None, None));
    }

    #[test]
    fn the_host_s_names_and_paths() {
        for folder in ["/host", "/host/"] {
            let root = HostRoot::new(Path::new(folder));
            for (point, name) in
                [("/host", "/"), ("/host/srv", "/srv"), ("/hosts", "/hosts"), ("/", "/"), ("/dev", "/dev")]
            {
                assert_eq!(root.name(point.as_bytes()), name.as_bytes(), "{folder}: {point}");
            }
            assert_eq!(root.path(b"/srv").as_deref(), Some(c"/host/srv"));
        }
        let own = HostRoot::new(Path::new("/"));
        assert_eq!((own.name(b"/srv"), own.path(b"/srv").as_deref()), (&b"/srv"[..], Some(c"/srv")));
    }

    #[test]
    fn the_root_has_space_and_nothing_has_none() {
        let root = space(c"/").expect("the root is mounted");
        assert!(root.blocks >= root.free && root.free >= root.available && root.block_size > 0);
        assert_eq!(space(c"/nonexistent"), Err(Errno::NOENT));
    }
}
