//! The grammar of os-release, a part of the shell's.

use std::{fs::File, io::Read, path::Path};

use super::text;

/// Longer than any os-release.
const LARGEST: u64 = 1 << 20;

/// The distribution's name with its version, as it is shown to people; `None` where it is not told.
pub fn pretty_name(rootfs: &Path) -> Option<Vec<u8>> {
    let file = ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|file| File::open(rootfs.join(file)).ok())?;
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    let mut known = text::lines(&text).filter_map(|line| assignment(line.trim_ascii()));
    known.find(|(key, _)| key == b"PRETTY_NAME").map(|(_, value)| value)
}

/// `KEY=value`, the value bare or in quotes of either kind.
pub fn assignment(line: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let at = line.iter().position(|&byte| byte == b'=')?;
    let (key, value) = line.split_at_checked(at)?;
    let (key, value) = (key.trim_ascii(), value.strip_prefix(b"=")?.trim_ascii());
    let first = key.first()?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if first.is_ascii_digit() || !key.iter().all(is_name) {
        return None;
    }
    let value = match value.split_first() {
        Some((b'\'', rest)) => rest.get(..rest.iter().position(|&byte| byte == b'\'')?)?.to_vec(),
        Some((b'"', rest)) => quoted(rest)?,
        _ => value.to_vec(),
    };
    Some((key, value))
}

/// What stands before the closing quote, the backslashes undone; `None` without a closing quote.
fn quoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    loop {
        match *rest.next()? {
            b'"' => return Some(value),
            b'\\' => value.push(match *rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                other => other,
            }),
            byte => value.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_below_the_root() {
        let root = std::env::temp_dir().join(format!("nodetally-os-release-{}", std::process::id()));
        std::fs::create_dir_all(root.join("usr/lib")).expect("makes a folder");
        let text = "# x\nNAME=A\nbroken\nPRETTY_NAME=\"A \\\"1\\\"\"\n";
        std::fs::write(root.join("usr/lib/os-release"), text).expect("writes");
        let found = pretty_name(&root);
        std::fs::remove_dir_all(&root).expect("removes");
        assert_eq!(found.as_deref(), Some(&b"A \"1\""[..]));
        assert_eq!(pretty_name(&root), None);
    }
}
