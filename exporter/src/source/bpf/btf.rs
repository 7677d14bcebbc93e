//! The kernel's own description of its types (BTF): where a struct's member lies, what an enum's value is.
//!
//! Reads the blob of `/sys/kernel/btf/vmlinux` in place. The blob comes from the kernel, yet nothing in it is
//! trusted: what does not fit is an error, never a panic and never a loop.

/// Types deeper than this within each other are nonsense (the kernel's own limit for the like is 32).
const DEEPEST: usize = 32;
/// Anonymous structs looked into for one member: a bound for a blob in which one holds itself.
const MOST_RECORDS: usize = 1000;
/// Bytes of a type's common head: name, info, size or type.
const HEAD: usize = 12;
const MAGIC: u16 = 0xeb9f;

/// Why a question to the BTF has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The blob is not BTF, or ends too early, or points outside itself.
    #[error("not a sound BTF blob: {0}")]
    Unsound(&'static str),
    /// No struct, union or enum has this name.
    #[error("the kernel has no type {0}")]
    NoType(String),
    /// The type has no such member or value.
    #[error("the kernel has no {0}")]
    NoMember(String),
    /// The member is not where a program can load it whole: a bitfield.
    #[error("{0} is a bitfield")]
    Bitfield(String),
}

/// Where a member lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the struct's start.
    pub offset: u32,
    /// Bytes of the member itself.
    pub size: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Enum64,
    Float,
    /// A type that only gives another a name or a quality.
    Alias,
    /// Functions, variables and what else has no size.
    Other,
}

/// One type: where it stands in the blob and what its head says.
#[derive(Debug, Clone, Copy)]
struct Type {
    at: usize,
    kind: Kind,
    count: usize,
    /// Members' offsets carry a bitfield's width in their top byte.
    widths: bool,
    /// By kind: size in bytes, or the id of the type it is built on.
    value: u32,
}

/// A parsed blob. Types are numbered from 1; 0 is `void`.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Start of each type in `types`.
    starts: Vec<u32>,
}

impl<'a> Btf<'a> {
    /// Finds the types in `blob`.
    ///
    /// # Errors
    /// [`BtfError::Unsound`] when the blob is not little-endian BTF of version 1 from start to end.
    pub fn parse(blob: &'a [u8]) -> Result<Self, BtfError> {
        let magic = blob.get(..2).and_then(|b| b.try_into().ok()).map(u16::from_le_bytes);
        if magic != Some(MAGIC) || blob.get(2) != Some(&1) {
            return Err(BtfError::Unsound("magic"));
        }
        let header = word(blob, 4)? as usize;
        let section = |at: usize| -> Result<&'a [u8], BtfError> {
            let start = header.checked_add(word(blob, at)? as usize).ok_or(BtfError::Unsound("header"))?;
            let end = start.checked_add(word(blob, at + 4)? as usize).ok_or(BtfError::Unsound("header"))?;
            blob.get(start..end).ok_or(BtfError::Unsound("section outside the blob"))
        };
        let mut btf = Self { types: section(8)?, strings: section(16)?, starts: Vec::new() };
        let mut at = 0;
        while at < btf.types.len() {
            btf.starts.push(u32::try_from(at).map_err(|_| BtfError::Unsound("too long"))?);
            at += HEAD + btf.tail(at)?;
        }
        if at != btf.types.len() {
            return Err(BtfError::Unsound("last type cut off"));
        }
        Ok(btf)
    }

    /// Where `path` lies in struct `of`: members joined by dots, those of anonymous members included.
    ///
    /// # Errors
    /// [`BtfError::NoType`], [`BtfError::NoMember`] or [`BtfError::Bitfield`], or an unsound blob.
    pub fn member(&self, of: &str, path: &str) -> Result<Member, BtfError> {
        let name = || format!("{of}.{path}");
        let mut id = self.find(of, &[Kind::Struct, Kind::Union])?;
        let mut bits = 0u32;
        for part in path.split('.') {
            let owner = self.resolve(id)?;
            let (member_bits, member) = self
                .member_of(&owner, part.as_bytes(), &mut { MOST_RECORDS })?
                .ok_or_else(|| BtfError::NoMember(name()))?;
            if member_bits % 8 != 0 {
                return Err(BtfError::Bitfield(name()));
            }
            bits = bits.checked_add(member_bits).ok_or(BtfError::Unsound("offset"))?;
            id = member;
        }
        Ok(Member { offset: bits / 8, size: self.size(id, DEEPEST)? })
    }

    /// The value called `name` of enum `of`.
    ///
    /// # Errors
    /// [`BtfError::NoType`] or [`BtfError::NoMember`], or an unsound blob.
    pub fn enum_value(&self, of: &str, name: &str) -> Result<u32, BtfError> {
        let ty = self.get(self.find(of, &[Kind::Enum])?)?;
        for i in 0..ty.count {
            let at = ty.at + HEAD + 8 * i;
            if self.name(word(self.types, at)?) == name.as_bytes() {
                return word(self.types, at + 4);
            }
        }
        Err(BtfError::NoMember(format!("{name} in enum {of}")))
    }

    fn find(&self, name: &str, kinds: &[Kind]) -> Result<u32, BtfError> {
        for id in (1u32..).take(self.starts.len()) {
            let ty = self.get(id)?;
            if kinds.contains(&ty.kind) && self.name(word(self.types, ty.at)?) == name.as_bytes() {
                return Ok(id);
            }
        }
        Err(BtfError::NoType(name.to_owned()))
    }

    /// Bit offset and type of member `name`, looked for in anonymous members too.
    fn member_of(&self, owner: &Type, name: &[u8], left: &mut usize) -> Result<Option<(u32, u32)>, BtfError> {
        *left = left.checked_sub(1).ok_or(BtfError::Unsound("a struct within itself"))?;
        if !matches!(owner.kind, Kind::Struct | Kind::Union) {
            return Ok(None);
        }
        for i in 0..owner.count {
            let at = owner.at + HEAD + 12 * i;
            let (text, id, offset) =
                (word(self.types, at)?, word(self.types, at + 4)?, word(self.types, at + 8)?);
            let (width, offset) = if owner.widths { (offset >> 24, offset & 0xff_ffff) } else { (0, offset) };
            let text = self.name(text);
            if text == name {
                // A width makes it a bitfield even on a byte's border: an odd offset says so to the caller.
                return Ok(Some((if width == 0 { offset } else { offset | 1 }, id)));
            }
            if text.is_empty() {
                let inner = self.resolve(id)?;
                if let Some((bits, id)) = self.member_of(&inner, name, left)? {
                    return Ok(Some((offset.checked_add(bits).ok_or(BtfError::Unsound("offset"))?, id)));
                }
            }
        }
        Ok(None)
    }

    /// The type behind names and qualities.
    fn resolve(&self, mut id: u32) -> Result<Type, BtfError> {
        for _ in 0..DEEPEST {
            let ty = self.get(id)?;
            if ty.kind != Kind::Alias {
                return Ok(ty);
            }
            id = ty.value;
        }
        Err(BtfError::Unsound("a type that names itself"))
    }

    fn size(&self, id: u32, deep: usize) -> Result<u32, BtfError> {
        let ty = self.resolve(id)?;
        match ty.kind {
            Kind::Pointer => Ok(8),
            Kind::Array if deep > 0 => {
                let element = self.size(word(self.types, ty.at + HEAD)?, deep - 1)?;
                let count = word(self.types, ty.at + HEAD + 8)?;
                element.checked_mul(count).ok_or(BtfError::Unsound("array"))
            }
            Kind::Array | Kind::Alias | Kind::Other => Err(BtfError::Unsound("a member without a size")),
            _ => Ok(ty.value),
        }
    }

    fn get(&self, id: u32) -> Result<Type, BtfError> {
        let start = (id as usize).checked_sub(1).and_then(|i| self.starts.get(i));
        let at = *start.ok_or(BtfError::Unsound("no such type"))? as usize;
        let info = word(self.types, at + 4)?;
        let kind = match (info >> 24) & 0x1f {
            1 => Kind::Int,
            2 => Kind::Pointer,
            3 => Kind::Array,
            4 => Kind::Struct,
            5 => Kind::Union,
            6 => Kind::Enum,
            8..=11 | 18 => Kind::Alias,
            16 => Kind::Float,
            19 => Kind::Enum64,
            _ => Kind::Other,
        };
        let value = word(self.types, at + 8)?;
        Ok(Type { at, kind, count: (info & 0xffff) as usize, widths: info >> 31 == 1, value })
    }

    /// Bytes that follow the head of the type at `at`.
    fn tail(&self, at: usize) -> Result<usize, BtfError> {
        let info = word(self.types, at + 4)?;
        let count = (info & 0xffff) as usize;
        match (info >> 24) & 0x1f {
            1 | 14 | 17 => Ok(4),
            3 => Ok(12),
            4 | 5 | 15 | 19 => Ok(12 * count),
            6 | 13 => Ok(8 * count),
            2 | 7..=12 | 16 | 18 => Ok(0),
            _ => Err(BtfError::Unsound("a kind of type not known here")),
        }
    }

    /// The string at `offset`; empty when there is none.
    fn name(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        let end = rest.iter().position(|b| *b == 0).unwrap_or(0);
        rest.get(..end).unwrap_or_default()
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let four = at.checked_add(4).and_then(|end| bytes.get(at..end)).and_then(|b| b.try_into().ok());
    four.map(u32::from_le_bytes).ok_or(BtfError::Unsound("cut off"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test fails by panicking")]
    use super::*;

    /// Puts a blob together type by type.
    #[derive(Default)]
    struct Maker {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Maker {
        fn new() -> Self {
            Self { types: Vec::new(), strings: vec![0] }
        }

        fn text(&mut self, name: &str) -> u32 {
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend(name.bytes().chain([0]));
            at
        }

        fn push(&mut self, words: &[u32]) -> &mut Self {
            self.types.extend(words.iter().flat_map(|w| w.to_le_bytes()));
            self
        }

        fn head(&mut self, kind: u32, name: &str, count: usize, widths: bool, value: u32) -> &mut Self {
            let name = self.text(name);
            self.push(&[name, u32::from(widths) << 31 | kind << 24 | count as u32, value])
        }

        fn record(&mut self, kind: u32, name: &str, widths: bool, members: &[(&str, u32, u32)]) -> &mut Self {
            self.head(kind, name, members.len(), widths, 64);
            for (name, ty, bits) in members {
                let name = self.text(name);
                self.push(&[name, *ty, *bits]);
            }
            self
        }

        fn blob(&self) -> Vec<u8> {
            let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
            let mut blob = vec![0x9f, 0xeb, 1, 0];
            blob.extend([24, 0, types, types, strings].iter().flat_map(|w| w.to_le_bytes()));
            blob.extend(&self.types);
            blob.extend(&self.strings);
            blob
        }
    }

    fn sample() -> Vec<u8> {
        let mut m = Maker::new();
        m.head(1, "u64", 0, false, 8).push(&[64]); // 1
        m.head(8, "u64_t", 0, false, 1); // 2: typedef
        m.record(4, "entity", false, &[("load", 1, 0), ("sum", 2, 320)]); // 3
        m.head(2, "", 0, false, 3); // 4: pointer to entity
        m.record(5, "", false, &[("inner", 1, 0), ("other", 4, 0)]); // 5: anonymous union
        m.record(4, "task", false, &[("se", 3, 128), ("", 5, 512), ("groups", 7, 640)]); // 6
        m.head(3, "", 0, false, 0).push(&[4, 1, 12]); // 7: array of 12 pointers
        m.record(4, "flags", true, &[("plain", 1, 64), ("bit", 1, 1 << 24 | 3), ("byte", 1, 8 << 24 | 8)]); // 8
        m.head(6, "subsys", 2, false, 4); // 9
        let (a, b) = (m.text("cpu_id"), m.text("cpuacct_id"));
        m.push(&[a, 1, b, 2]);
        m.blob()
    }

    #[test]
    fn members_are_found_through_structs_and_anonymous_unions() {
        let blob = sample();
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(btf.member("task", "se.sum").unwrap(), Member { offset: 16 + 40, size: 8 });
        assert_eq!(btf.member("task", "inner").unwrap(), Member { offset: 64, size: 8 });
        assert_eq!(btf.member("task", "other").unwrap(), Member { offset: 64, size: 8 });
        assert_eq!(btf.member("task", "groups").unwrap(), Member { offset: 80, size: 96 });
        assert_eq!(btf.member("flags", "plain").unwrap(), Member { offset: 8, size: 8 });
        assert_eq!(btf.enum_value("subsys", "cpuacct_id").unwrap(), 2);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let blob = sample();
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(btf.member("tusk", "se"), Err(BtfError::NoType("tusk".to_owned())));
        assert_eq!(btf.member("task", "se.none"), Err(BtfError::NoMember("task.se.none".to_owned())));
        assert_eq!(btf.member("task", "inner.x"), Err(BtfError::NoMember("task.inner.x".to_owned())));
        assert_eq!(btf.member("flags", "bit"), Err(BtfError::Bitfield("flags.bit".to_owned())));
        assert_eq!(btf.member("flags", "byte"), Err(BtfError::Bitfield("flags.byte".to_owned())));
        assert_eq!(btf.enum_value("subsys", "x"), Err(BtfError::NoMember("x in enum subsys".to_owned())));
    }

    #[test]
    fn loops_end() {
        let mut m = Maker::new();
        m.head(8, "a", 0, false, 2).head(8, "b", 0, false, 1); // each names the other
        m.record(4, "own", false, &[("", 3, 0), ("x", 1, 0), ("y", 4, 0)]); // 3: holds itself
        m.head(3, "", 0, false, 0).push(&[4, 1, 2]); // 4: an array of itself
        let blob = m.blob();
        let btf = Btf::parse(&blob).unwrap();
        assert!(matches!(btf.member("own", "x"), Err(BtfError::Unsound(_))));
        assert!(matches!(btf.member("own", "y"), Err(BtfError::Unsound(_))));
    }

    #[test]
    fn a_damaged_blob_is_refused_or_answers_but_never_panics() {
        let blob = sample();
        for end in 0..blob.len() {
            assert!(Btf::parse(&blob[..end]).is_err(), "cut at {end}");
        }
        for at in 0..blob.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = blob.clone();
                bad[at] = value;
                if let Ok(btf) = Btf::parse(&bad) {
                    let _ = (btf.member("task", "se.sum"), btf.member("task", "other"));
                    let _ = (btf.member("flags", "byte"), btf.enum_value("subsys", "cpuacct_id"));
                }
            }
        }
    }

    #[test]
    fn a_big_endian_or_empty_blob_is_refused() {
        assert!(Btf::parse(&[]).is_err());
        assert_eq!(Btf::parse(&[0xeb, 0x9f, 1, 0]).unwrap_err(), BtfError::Unsound("magic"));
    }
}
