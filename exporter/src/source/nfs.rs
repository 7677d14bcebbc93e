//! `/proc/net/rpc/nfs` and `/proc/net/rpc/nfsd`: lines of a key and its numbers.

use super::text;

/// Procedures of version 2, in the order of its lines. (The names are the reference's.)
pub const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create",
    "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];

/// Procedures of version 3, in the order of its lines.
pub const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];

/// Calls `take` with the key and the numbers of each line, as long as it says `Some`. `None` where it did not, or
/// where a line is not one of a key and whole numbers. Of the line `th` only two numbers are read: then come floats.
pub fn each_line(
    text: &[u8],
    numbers: &mut Vec<u64>,
    mut take: impl FnMut(&[u8], &[u64]) -> Option<()>,
) -> Option<()> {
    for line in text::lines(text) {
        let mut fields = text::fields(line);
        let key = fields.next()?;
        numbers.clear();
        let most = if key == b"th" { 2 } else { usize::MAX };
        for field in fields.take(most) {
            numbers.push(text::whole(field)?);
        }
        if numbers.is_empty() {
            return None;
        }
        take(key, numbers)?;
    }
    Some(())
}

/// Copies exactly as many numbers as there are places.
pub fn exactly(places: &mut [u64], numbers: &[u64]) -> Option<()> {
    (places.len() == numbers.len()).then(|| places.copy_from_slice(numbers))
}

/// Copies a count and as many numbers, of which there must be `least`. Newer kernels may have more than there are
/// places, older ones fewer.
pub fn counted(places: &mut [u64], least: usize, numbers: &[u64]) -> Option<()> {
    let (count, numbers) = numbers.split_first()?;
    if usize::try_from(*count) != Ok(numbers.len()) || numbers.len() < least {
        return None;
    }
    for (place, number) in places.iter_mut().zip(numbers) {
        *place = *number;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u64>)>> {
        let mut found = Vec::new();
        each_line(text, &mut Vec::new(), |key, numbers| {
            found.push((key.to_vec(), numbers.to_vec()));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn a_line_is_a_key_and_numbers() {
        let wanted = vec![(b"rc".to_vec(), vec![0, 6, 18_622]), (b"th".to_vec(), vec![8, 0])];
        assert_eq!(lines(b"rc 0 6 18622\nth 8 0 0.000 0.000\n"), Some(wanted));
        assert_eq!(lines(b""), Some(vec![]));
        for bad in
            [&b"rc"[..], b"rc x", b"rc 1 -1", b"rc 18446744073709551616", b"rc 0.5", b"\xff", b"th x 0"]
        {
            assert_eq!(lines(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_fill_their_places() {
        let mut places = [0; 2];
        assert_eq!(exactly(&mut places, &[1, 2]), Some(()));
        assert_eq!(exactly(&mut places, &[1]), None);
        assert_eq!(exactly(&mut places, &[1, 2, 3]), None);
        assert_eq!(counted(&mut places, 1, &[3, 7, 8, 9]), Some(()));
        assert_eq!(places, [7, 8]);
        assert_eq!(counted(&mut places, 1, &[1, 5]), Some(()));
        assert_eq!(places, [5, 8]);
        for bad in [&[][..], &[0], &[2, 1], &[u64::MAX, 1]] {
            assert_eq!(counted(&mut places, 1, bad), None, "{bad:?}");
        }
    }
}
