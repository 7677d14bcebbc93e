//! The pack of conformance data. It may lie on a disk without links, where each is a small file that holds its target.

use std::{
    fs,
    os::unix::{ffi::OsStringExt, fs::symlink},
    path::Path,
};

/// Copies a tree, links as links. Gives their number.
pub fn copy_with_links(from: &Path, to: &Path) -> usize {
    fs::create_dir_all(to).unwrap();
    let mut links = 0;
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            links += copy_with_links(&source, &target);
            continue;
        }
        let contents = if kind.is_symlink() {
            fs::read_link(&source).unwrap().into_os_string().into_vec()
        } else {
            fs::read(&source).unwrap()
        };
        if kind.is_symlink() || entry.file_name() == "self" || stands_for_a_link(&contents) {
            symlink(str::from_utf8(&contents).unwrap(), target).unwrap();
            links += 1;
        } else {
            fs::write(&target, contents).unwrap();
        }
    }
    links
}

/// No other file of the pack is a path without a line's end.
fn stands_for_a_link(contents: &[u8]) -> bool {
    contents.len() < 300
        && contents.contains(&b'/')
        && !contents.contains(&0)
        && !contents.ends_with(b"\n")
        && contents.is_ascii()
}
