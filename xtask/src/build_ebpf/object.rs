//! The built object: freed of debug information, and compared with another in what the kernel sees of it.

use std::collections::BTreeMap;

use object::{
    Object, ObjectSection, ObjectSymbol, RelocationTarget,
    build::elf::{Builder, SectionData},
};

use crate::Outcome;

/// Type information that is no instruction, no map and no data: `.BTF.ext` says which line an instruction is of.
const LINES: &str = ".BTF.ext";
const TYPES: &str = ".BTF";

/// `object` without its `.debug_*` sections: they are four fifths of it and no loader reads them.
pub fn without_debug(object: &[u8]) -> Outcome<Vec<u8>> {
    let mut builder = Builder::read(object).map_err(|e| format!("the built object: {e}"))?;
    for section in &mut builder.sections {
        let name = section.name.to_vec();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    // The linker keeps all names in one table; what writes the file wants one for the sections' own.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    builder.delete_orphans();
    let mut out = Vec::new();
    builder.write(&mut out).map_err(|e| format!("the built object: {e}"))?;
    plain_names(&mut out)?;
    Ok(out)
}

/// The kernel takes letters, digits, `_` and `.` in a type's name; the linker makes structs' names so, but leaves
/// a union `MaybeUninit<u8>` as it is.
fn plain_names(object: &mut [u8]) -> Outcome {
    let file = object::File::parse(&*object).map_err(|e| format!("the built object: {e}"))?;
    let section = file.section_by_name(TYPES).and_then(|section| section.file_range());
    let (start, len) = section.ok_or("the built object has no .BTF")?;
    let (start, len) = (start.try_into().unwrap_or(usize::MAX), len.try_into().unwrap_or(usize::MAX));
    let btf =
        object.get_mut(start..).and_then(|rest| rest.get_mut(..len)).ok_or("section .BTF is cut off")?;
    for name in named_types(btf).ok_or("section .BTF is cut off")? {
        for byte in btf.get_mut(name..).unwrap_or_default().iter_mut().take_while(|byte| **byte != 0) {
            if !byte.is_ascii_alphanumeric() && !b"_.".contains(byte) {
                *byte = b'_';
            }
        }
    }
    Ok(())
}

/// Where the names of structs and unions stand in a BTF section. Other names may hold more: `.maps`, `[u8; 4]`.
fn named_types(btf: &[u8]) -> Option<Vec<usize>> {
    let strings = word(btf, 4)? as usize + word(btf, 16)? as usize;
    let mut names = Vec::new();
    each_type(btf, |at, kind, _| {
        let name = word(btf, at)?;
        if matches!(kind, 4 | 5) && name != 0 {
            names.push(strings + name as usize);
        }
        Some(())
    })?;
    Some(names)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// What follows a type's head: words of an entry, number of entries, and whether an entry begins with a name.
type Entries = (usize, usize, bool);

/// Calls `f` with the place, the kind and the entries of each type of a BTF section.
fn each_type(btf: &[u8], mut f: impl FnMut(usize, u32, Entries) -> Option<()>) -> Option<()> {
    let mut at = word(btf, 4)? as usize + word(btf, 8)? as usize;
    let end = at + word(btf, 12)? as usize;
    while at < end {
        let info = word(btf, at + 4)?;
        let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        let entries = match kind {
            1 | 14 | 17 => (1, 1, false),
            3 => (3, 1, false),
            4 | 5 | 19 => (3, count, true),
            15 => (3, count, false),
            6 | 13 => (2, count, true),
            _ => (0, 0, false),
        };
        f(at, kind, entries)?;
        at += 12 + 4 * entries.0 * entries.1;
    }
    Some(())
}

/// In what two objects differ: one line a section. Nothing if only line information does.
pub fn differences(one: &[u8], other: &[u8]) -> Outcome<Vec<String>> {
    let (one, other) = (sections(one)?, sections(other)?);
    let mut found = Vec::new();
    for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
        match (one.get(name), other.get(name)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => found.push(format!("{name} differs")),
            (Some(_), None) => found.push(format!("a fresh build has no {name}")),
            _ => found.push(format!("only a fresh build has {name}")),
        }
    }
    Ok(found)
}

/// What the kernel is given of each section: bytes and what they refer to, types by name.
fn sections(object: &[u8]) -> Outcome<BTreeMap<String, Vec<String>>> {
    let file = object::File::parse(object).map_err(|e| format!("an object: {e}"))?;
    let mut all = BTreeMap::new();
    for section in file.sections() {
        let name = section.name().unwrap_or_default().to_owned();
        let data = section.data().map_err(|e| format!("section {name}: {e}"))?;
        let loaded = matches!(section.flags(), object::SectionFlags::Elf { sh_flags } if sh_flags & 2 != 0);
        if name == TYPES {
            all.insert(name, types(data).ok_or("section .BTF is cut off")?);
        } else if loaded && name != LINES {
            let mut content = vec![format!("{data:02x?}")];
            for (at, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else { continue };
                let symbol = file.symbol_by_index(index).map_err(|e| format!("section {name}: {e}"))?;
                let target = symbol.name().unwrap_or_default();
                content.push(format!("{at:#x}: {target} {:?}", relocation.flags()));
            }
            all.insert(name, content);
        }
    }
    Ok(all)
}

/// One line for each type of a BTF section, its names spelled out: string offsets move with the line information.
fn types(btf: &[u8]) -> Option<Vec<String>> {
    let strings = word(btf, 4)? as usize + word(btf, 16)? as usize;
    let name = |offset: u32| {
        let text = btf.get(strings + offset as usize..).unwrap_or_default();
        String::from_utf8_lossy(text.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
    };
    let mut lines = Vec::new();
    each_type(btf, |at, _, (words, count, named)| {
        let mut line =
            format!("{} {:#x} {:#x}", name(word(btf, at)?), word(btf, at + 4)?, word(btf, at + 8)?);
        for i in 0..words * count {
            let value = word(btf, at + 12 + 4 * i)?;
            line.push(' ');
            line += &if named && i % words == 0 { name(value) } else { value.to_string() };
        }
        lines.push(line);
        Some(())
    })?;
    Some(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn committed() -> Vec<u8> {
        std::fs::read(super::super::committed()).unwrap()
    }

    #[test]
    fn an_object_is_like_itself() {
        assert_eq!(differences(&committed(), &committed()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_changed_instruction_constant_or_type_shows() {
        let object = committed();
        let file = object::File::parse(&*object).unwrap();
        for name in ["tp_btf/sched_switch", "cgroup_skb/egress", ".rodata", ".maps", ".BTF", "license"] {
            let (start, len) = file.section_by_name(name).unwrap().file_range().unwrap();
            assert!(len > 0, "{name}");
            let mut changed = object.clone();
            // In `.BTF` past the header: the first type's size.
            let at = usize::try_from(start).unwrap() + if name == ".BTF" { 24 + 8 } else { 0 };
            changed[at] ^= 1;
            assert_eq!(differences(&object, &changed).unwrap(), [format!("{name} differs")]);
        }
    }

    #[test]
    fn changed_line_information_does_not_show() {
        let object = committed();
        let file = object::File::parse(&*object).unwrap();
        let (start, len) = file.section_by_name(LINES).unwrap().file_range().unwrap();
        let mut changed = object.clone();
        changed[usize::try_from(start + len - 4).unwrap()] ^= 1;
        assert_ne!(object, changed);
        assert_eq!(differences(&object, &changed).unwrap(), Vec::<String>::new());
    }
}
