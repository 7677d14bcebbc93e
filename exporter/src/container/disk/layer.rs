//! Where a container's own files lie: its write layer, as the mount at its root tells.

use crate::source::mount::{self, Mount};

/// Where Docker, podman and containerd keep roots that are copies of an image.
const COPIES: [&[u8]; 2] = [b"/vfs/dir", b"/io.containerd.snapshotter.v1.native/snapshots"];

/// What a container's root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// An overlay; where its upper folder may be, the likeliest first. One that is no whole path begins in the folder two
    /// above the mount point that the host has for the overlay.
    Overlay {
        /// Paths of the host's.
        uppers: Vec<Vec<u8>>,
        /// The overlay's device number.
        number: Number,
    },
    /// A folder of a file system, copied for it.
    Folder {
        /// From the file system's own root.
        folder: Vec<u8>,
        /// The file system's device number.
        number: Number,
    },
}

/// A device number, both parts as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// First part.
    pub major: Vec<u8>,
    /// Second part.
    pub minor: Vec<u8>,
}

/// The container's root in its own list of mounts; `None` if it is of a kind whose layers nobody can tell apart here.
pub fn root(mountinfo: &[u8]) -> Option<Root> {
    let root = mount::mounts(mountinfo).filter(|mount| mount.point == b"/").last()?;
    let number = Number { major: root.major.to_vec(), minor: root.minor.to_vec() };
    if root.fstype == b"overlay" {
        let uppers = uppers(&root)?;
        return Some(Root::Overlay { uppers, number });
    }
    let folder = mount::unescape(root.folder, |_| true);
    let (above, _) = split(&folder)?;
    let is_copy = COPIES.iter().any(|copies| above.ends_with(copies));
    is_copy.then_some(Root::Folder { folder, number })
}

/// The upper folder of an overlay as runtimes make them: beside one for its work. Older kernels tell it as it was given,
/// with a backslash before what would end the option, newer ones without.
fn uppers(root: &Mount<'_>) -> Option<Vec<Vec<u8>>> {
    let (upper, work) = (root.option(b"upperdir")?, root.option(b"workdir")?);
    let ((above, name), (above_work, work)) = (split(&upper)?, split(&work)?);
    let is_runtime_s = above == above_work && work == b"work" && (name == b"diff" || name == b"fs");
    let plain = without_backslashes(&upper);
    let mut uppers = vec![upper];
    if uppers.first() != Some(&plain) {
        uppers.push(plain);
    }
    is_runtime_s.then_some(uppers)
}

fn without_backslashes(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    plain
}

/// A path's folder and its last name.
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().rposition(|&byte| byte == b'/')?;
    Some((path.get(..at)?, path.get(at + 1..)?))
}

/// The folder in which Docker keeps what it knows of a container, its log among it, beside its layers.
pub fn docker_folder(layer: &[u8], id: &str) -> Option<Vec<u8>> {
    let (above, name) = split(layer)?;
    let top = if name == b"diff" {
        split(above)?.0.strip_suffix(b"/overlay2")?
    } else {
        above.strip_suffix(b"/vfs/dir")?
    };
    Some([top, b"/containers/", id.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn of(options: &str) -> Option<Vec<Vec<u8>>> {
        let text =
            format!("9 8 0:52 / / rw - overlay overlay rw,{options}\n10 9 0:53 / /proc rw - proc proc rw\n");
        match root(text.as_bytes())? {
            Root::Overlay { uppers, number } => {
                assert_eq!((&number.major[..], &number.minor[..]), (&b"0"[..], &b"52"[..]));
                Some(uppers)
            }
            Root::Folder { .. } => None,
        }
    }

    #[test]
    fn the_upper_folder_of_an_overlay() {
        for (options, upper) in [
            ("lowerdir=/l,upperdir=/d/overlay2/x/diff,workdir=/d/overlay2/x/work", "/d/overlay2/x/diff"),
            (
                "lowerdir=/l,upperdir=/s/snapshots/3/fs,workdir=/s/snapshots/3/work,index=off",
                "/s/snapshots/3/fs",
            ),
            ("lowerdir=l/A:l/B,upperdir=x/diff,workdir=x/work", "x/diff"),
            (r"upperdir=/a\054b\040c/diff,workdir=/a\054b\040c/work", "/a,b c/diff"),
        ] {
            assert_eq!(of(options), Some(vec![upper.as_bytes().to_vec()]), "{options}");
        }
        let escaped = r"upperdir=/a\134\054b\134:/diff,workdir=/a\134\054b\134:/work";
        assert_eq!(of(escaped), Some(vec![br"/a\,b\:/diff".to_vec(), b"/a,b:/diff".to_vec()]));
    }

    #[test]
    fn what_no_runtime_makes_is_no_layer() {
        for options in [
            "lowerdir=/l",
            "upperdir=/d/diff",
            "upperdir=/d/diff,workdir=/e/work",
            "upperdir=/etc,workdir=/work",
            "upperdir=diff,workdir=work",
            "upperdir=,workdir=",
        ] {
            assert_eq!(of(options), None, "{options}");
        }
    }

    #[test]
    fn the_last_root_counts_and_other_kinds_have_none() {
        let overlay = "9 8 0:52 / / rw - overlay overlay rw,upperdir=/x/diff,workdir=/x/work\n";
        let btrfs = "9 8 0:30 /docker/btrfs/subvolumes/abc / rw - btrfs /dev/sda rw\n";
        let vfs = "9 8 8:1 /var/lib/docker/vfs/dir/abc / rw - ext4 /dev/sda rw\n";
        assert!(matches!(root(overlay.as_bytes()), Some(Root::Overlay { .. })));
        assert_eq!(root([overlay, btrfs].concat().as_bytes()), None);
        let number = Number { major: b"8".to_vec(), minor: b"1".to_vec() };
        let folder = b"/var/lib/docker/vfs/dir/abc".to_vec();
        assert_eq!(root([overlay, vfs].concat().as_bytes()), Some(Root::Folder { folder, number }));
        assert_eq!((root(b""), root(b"9 8 8:1 / / rw - ext4 /dev/sda rw\n")), (None, None));
    }

    #[test]
    fn a_list_that_is_cut_short_or_broken_is_read_without_harm() {
        let whole = br"9 8 0:52 / / rw - overlay overlay rw,upperdir=/a\054\134/diff,workdir=/a\054\134/work";
        assert!(root(whole).is_some());
        for end in 0..whole.len() {
            // What is left may be a whole option still, but never another folder.
            assert_eq!(root(&whole[..end]), None, "{end}");
            for byte in [b'/', b'\\', b',', b'=', b' ', 0, 0xff] {
                let mut broken = whole.to_vec();
                broken[end] = byte;
                let _ = root(&broken);
            }
        }
        for path in [&b"/"[..], b"//", b"", b"\\", b"/diff", b"///diff"] {
            let _ = (split(path), without_backslashes(path), docker_folder(path, "x"));
        }
    }

    #[test]
    fn docker_s_folder_of_a_container() {
        let of = |layer: &str| docker_folder(layer.as_bytes(), "abc");
        let expected = Some(b"/var/lib/docker/containers/abc".to_vec());
        assert_eq!(of("/var/lib/docker/overlay2/l/diff"), expected);
        assert_eq!(of("/var/lib/docker/vfs/dir/l"), expected);
        assert_eq!(of("/var/lib/containerd/snapshots/3/fs"), None);
        assert_eq!((of(""), of("diff"), of("/diff")), (None, None, None));
    }
}
