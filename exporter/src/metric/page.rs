//! The page: one buffer that every collector appends to.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::LazyLock,
    time::Duration,
};

use super::{Family, Kind, Labels, Value};

/// What is a hash already is not hashed again.
type Hashes = HashSet<u64, BuildHasherDefault<AsItIs>>;

#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// By which names are told apart, in all pages alike.
fn hash_of(name: &[u8]) -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    HASHER.hash_one(name)
}

/// A family's HELP and TYPE lines, and the hash of its name.
#[derive(Clone, Debug)]
struct Head {
    text: Vec<u8>,
    hash: u64,
}

/// Writes the HELP and TYPE lines.
fn write_head(text: &mut Vec<u8>, name: &str, kind: Kind, help: &str) {
    for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind.word(), "\n"] {
        text.extend_from_slice(part.as_bytes());
    }
}

/// Text format 0.0.4 as it grows. A family is written once per page: what comes later under the same name is
/// dropped and counted, so that the page stays valid whatever a collector does. So is a sample whose labels became
/// those of another one because neither was UTF-8.
#[derive(Debug)]
pub struct Page {
    text: Vec<u8>,
    written: Hashes,
    /// Of each family written so far, by its number: the same at each scrape.
    heads: Vec<Option<Head>>,
    /// Where each family's text begins.
    starts: Vec<usize>,
    /// Samples of the family being written whose labels may not be theirs alone.
    lossy: Hashes,
    dropped: u64,
    /// What each sample line ends with.
    end: Vec<u8>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            written: Hashes::default(),
            heads: Vec::new(),
            starts: Vec::new(),
            lossy: Hashes::default(),
            dropped: 0,
            end: b"\n".to_vec(),
        }
    }
}

impl Page {
    /// Empties the page, keeping its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.written.clear();
        self.starts.clear();
        self.dropped = 0;
        self.stamp(None);
    }

    /// Gives samples from here on the time at which they were read, counted from 1970; or none.
    pub fn stamp(&mut self, time: Option<Duration>) {
        self.end.clear();
        if let Some(time) = time {
            self.end.extend_from_slice(format!(" {}", time.as_millis()).as_bytes());
        }
        self.end.push(b'\n');
    }

    /// Begins a family. Its HELP and TYPE lines come with its first sample, so a family without one leaves no trace.
    pub fn family<'page>(&'page mut self, family: &'page Family) -> Samples<'page> {
        Samples { page: self, name: family.name, header: Header::Known(family), state: State::Unwritten }
    }

    /// Begins a family whose name is made from input; type and help are those of `pattern`, which stands for it.
    /// One that the pattern does not stand for, as where the input's part of it is empty, is dropped and counted.
    pub fn named<'page>(&'page mut self, pattern: &'page Family, name: &'page str) -> Samples<'page> {
        let is_declared = pattern.covers(name);
        self.dropped += u64::from(!is_declared);
        let state = if is_declared { State::Unwritten } else { State::Refused };
        Samples { page: self, name, header: Header::Of(pattern), state }
    }

    /// Takes over what another page holds; families that this one has already are dropped.
    pub fn append(&mut self, other: &Self) {
        for section in other.sections() {
            self.section(section);
        }
        self.dropped += other.dropped;
    }

    /// The same for families that somebody else has named, in the order of their names: dropped are also those of whose
    /// samples one would have another family's name, as `x_count` of a summary `x`. Gives the names of those dropped.
    pub fn append_foreign(&mut self, other: &Self) -> Vec<String> {
        const SUFFIXES: [&[u8]; 3] = [b"_bucket", b"_count", b"_sum"];
        let (mut composed, mut dropped) = (HashSet::new(), Vec::new());
        for section in other.sections() {
            let name = name_of(section);
            let is_composed = is_composed(section);
            let mut bases = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(*suffix));
            let clashes = bases.any(|base| composed.contains(base))
                || (is_composed && SUFFIXES.iter().any(|suffix| self.has(&[name, suffix].concat())));
            self.dropped += u64::from(clashes);
            if clashes || !self.section(section) {
                dropped.push(String::from_utf8_lossy(name).into_owned());
            } else if is_composed {
                composed.insert(name);
            }
        }
        self.dropped += other.dropped;
        dropped
    }

    /// Takes over one family's finished text, which begins with its HELP line. `false` if it is dropped.
    pub fn section(&mut self, text: &[u8]) -> bool {
        let is_taken = text.is_empty() || self.begin(hash_of(name_of(text)));
        if is_taken {
            self.text.extend_from_slice(text);
        }
        is_taken
    }

    fn sections(&self) -> impl Iterator<Item = &[u8]> {
        self.starts.iter().enumerate().map(|(index, &start)| {
            let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
            self.text.get(start..end).unwrap_or_default()
        })
    }

    /// The text written so far.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Exchanges the text's buffer for another one, which is emptied first.
    pub fn swap_text(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        std::mem::swap(&mut self.text, buffer);
        self.clear();
    }

    /// Families and samples dropped since [`Page::clear`] because they were there already.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn has(&self, name: &[u8]) -> bool {
        self.written.contains(&hash_of(name))
    }

    /// Sees to it that the family's head is made; gives the hash of its name.
    fn head(&mut self, family: &Family) -> u64 {
        let number = family.number();
        if self.heads.len() <= number {
            self.heads.resize(number + 1, None);
        }
        let Some(place) = self.heads.get_mut(number) else { return hash_of(family.name.as_bytes()) };
        let head = place.get_or_insert_with(|| {
            let mut text = Vec::new();
            write_head(&mut text, family.name, family.kind, family.help);
            Head { text, hash: hash_of(family.name.as_bytes()) }
        });
        head.hash
    }

    /// Whether no family of this name is there yet.
    fn begin(&mut self, name: u64) -> bool {
        if !self.written.insert(name) {
            self.dropped += 1;
            return false;
        }
        self.starts.push(self.text.len());
        self.lossy.clear();
        true
    }

    /// Whether a sample whose labels may be another one's as well is the first with them in its family.
    fn is_first(&mut self, first: &Labels, second: &Labels) -> bool {
        let text = [first.text(), b"\0", second.text()].concat();
        let is_first = self.lossy.insert(hash_of(&text));
        self.dropped += u64::from(!is_first);
        is_first
    }
}

/// The family name in a section's first line, `# HELP name ...`.
fn name_of(section: &[u8]) -> &[u8] {
    section.split(|&byte| byte == b' ').nth(2).unwrap_or_default()
}

/// Whether a section's second line, `# TYPE name ...`, tells of samples with suffixes.
fn is_composed(section: &[u8]) -> bool {
    let kind = section.split(|&byte| byte == b'\n').nth(1).unwrap_or_default();
    kind.ends_with(b" histogram") || kind.ends_with(b" summary")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unwritten,
    Open,
    Refused,
}

/// The samples of one family.
#[derive(Debug)]
pub struct Samples<'page> {
    page: &'page mut Page,
    name: &'page str,
    header: Header<'page>,
    state: State,
}

/// Where the HELP and TYPE lines are from.
#[derive(Debug)]
enum Header<'page> {
    /// They are the family's own.
    Known(&'page Family),
    /// The family stands for others.
    Of(&'page Family),
}

impl Samples<'_> {
    /// Writes a sample without labels.
    pub fn plain(&mut self, value: impl Into<Value>) {
        self.sample(&Labels::EMPTY, value);
    }

    /// Writes a sample.
    pub fn sample(&mut self, labels: &Labels, value: impl Into<Value>) {
        self.joined(labels, &Labels::EMPTY, value);
    }

    /// Writes a sample whose labels come in two parts: those of its owner and its own.
    pub fn joined(&mut self, first: &Labels, second: &Labels, value: impl Into<Value>) {
        if self.state == State::Unwritten {
            self.open();
        }
        if self.state == State::Refused {
            return;
        }
        if (first.is_lossy() || second.is_lossy()) && !self.page.is_first(first, second) {
            return;
        }
        let Page { text: out, end, .. } = &mut *self.page;
        out.extend_from_slice(self.name.as_bytes());
        if !first.is_empty() || !second.is_empty() {
            out.push(b'{');
            out.extend_from_slice(first.text());
            if !first.is_empty() && !second.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(second.text());
            out.push(b'}');
        }
        out.push(b' ');
        value.into().write(out);
        out.extend_from_slice(end);
    }

    fn open(&mut self) {
        let hash = match self.header {
            Header::Known(family) => self.page.head(family),
            Header::Of(_) => hash_of(self.name.as_bytes()),
        };
        if !self.page.begin(hash) {
            self.state = State::Refused;
            return;
        }
        self.state = State::Open;
        let Page { text, heads, .. } = &mut *self.page;
        match self.header {
            Header::Known(family) => {
                let head = heads.get(family.number()).and_then(Option::as_ref);
                text.extend_from_slice(head.map_or(&[], |head| head.text.as_slice()));
            }
            Header::Of(pattern) => write_head(text, self.name, pattern.kind, pattern.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static UP: Family = Family::gauge("up", "Whether it is.");
    static OWN_SUM: Family = Family::gauge("own_sum", "Own.");
    static BYTES: Family = Family::counter("bytes_total", "Bytes.");

    fn text(page: &Page) -> &str {
        str::from_utf8(page.text()).expect("a page is UTF-8")
    }

    #[test]
    fn a_name_without_its_own_part_is_dropped() {
        static MADE: Family = Family::gauge("made_*", "Help.");
        let mut page = Page::default();
        page.named(&MADE, "made_").plain(1.0);
        assert_eq!((text(&page), page.dropped()), ("", 1));
    }

    #[test]
    fn a_family_has_one_header_before_its_samples() {
        let mut page = Page::default();
        let mut samples = page.family(&BYTES);
        samples.sample(&Labels::new([("device", "a")]), 1.0);
        samples.joined(&Labels::new([("device", "b")]), &Labels::new([("mode", "x")]), 2_000_000_u64);
        page.family(&UP).plain(1.0);
        assert_eq!(
            text(&page),
            "# HELP bytes_total Bytes.\n# TYPE bytes_total counter\nbytes_total{device=\"a\"} 1\n\
             bytes_total{device=\"b\",mode=\"x\"} 2e+06\n# HELP up Whether it is.\n# TYPE up gauge\nup 1\n"
        );
    }

    #[test]
    fn samples_bear_their_time_where_it_is_asked_for() {
        let mut page = Page::default();
        page.stamp(Some(Duration::from_micros(1_500_900)));
        page.family(&UP).plain(1.0);
        page.stamp(None);
        page.family(&BYTES).plain(2.0);
        assert!(text(&page).contains("\nup 1 1500\n") && text(&page).ends_with("\nbytes_total 2\n"));
        page.stamp(Some(Duration::ZERO));
        page.clear();
        page.family(&UP).plain(1.0);
        assert!(text(&page).ends_with("\nup 1\n"));
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let mut page = Page::default();
        let _ = page.family(&UP);
        assert_eq!(text(&page), "");
    }

    #[test]
    fn a_family_that_comes_again_is_dropped_and_counted() {
        let mut page = Page::default();
        page.family(&UP).plain(1.0);
        page.family(&UP).plain(2.0);
        let mut other = Page::default();
        other.family(&BYTES).plain(3.0);
        other.family(&UP).plain(4.0);
        page.append(&other);
        assert_eq!(page.dropped(), 2);
        assert_eq!(
            text(&page),
            "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n# HELP bytes_total Bytes.\n# TYPE bytes_total counter\nbytes_total 3\n"
        );
    }

    #[test]
    fn foreign_families_give_way_to_names_that_are_there() {
        let section = |name: &str, kind: &str| format!("# HELP {name} x\n# TYPE {name} {kind}\n{name} 1\n");
        let mut other = Page::default();
        for (name, kind) in [
            ("a", "summary"),
            ("a_count", "gauge"),
            ("a_other", "gauge"),
            ("bytes", "histogram"),
            ("own", "histogram"),
            ("up", "gauge"),
            ("up_sum", "gauge"),
        ] {
            assert!(other.section(section(name, kind).as_bytes()));
        }
        assert!(!other.section(section("up", "gauge").as_bytes()));
        let mut page = Page::default();
        page.family(&UP).plain(7.0);
        page.family(&OWN_SUM).plain(7.0);
        assert_eq!(page.append_foreign(&other), ["a_count", "own", "up"]);
        assert_eq!(page.dropped(), 4);
        let names: Vec<_> = page.sections().map(|section| str::from_utf8(name_of(section))).collect();
        assert_eq!(names, ["up", "own_sum", "a", "a_other", "bytes", "up_sum"].map(Ok));
        assert!(text(&page).contains("up 7\n") && !text(&page).contains("up 1\n"));
    }

    #[test]
    fn samples_whose_labels_became_alike_are_written_once_in_each_family() {
        let mut page = Page::default();
        let labels =
            [&b"\xff"[..], b"\xfe", "\u{fffd}".as_bytes(), b"a\xff"].map(|id| Labels::new([("id", id)]));
        for family in [&BYTES, &UP] {
            let mut samples = page.family(family);
            for (value, labels) in (1_u64..).zip(&labels) {
                samples.joined(labels, &Labels::EMPTY, value);
            }
        }
        let samples: Vec<_> = text(&page).lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "bytes_total{id=\"\u{fffd}\"} 1",
                "bytes_total{id=\"a\u{fffd}\"} 4",
                "up{id=\"\u{fffd}\"} 1",
                "up{id=\"a\u{fffd}\"} 4"
            ]
        );
        assert_eq!(page.dropped(), 4);
    }

    #[test]
    fn a_cleared_page_takes_the_same_families_again() {
        let mut page = Page::default();
        page.family(&UP).plain(1.0);
        let mut buffer = vec![1, 2, 3];
        page.swap_text(&mut buffer);
        assert!(buffer.ends_with(b"up 1\n"));
        assert!(page.text().is_empty());
        page.family(&UP).plain(2.0);
        assert!(text(&page).ends_with("up 2\n"));
    }

    #[test]
    fn a_star_stands_for_at_least_one_letter() {
        let covers = |family: &'static str, name| Family::gauge(family, "").covers(name);
        assert!(covers("node_load1", "node_load1") && !covers("node_load1", "node_load15"));
        assert!(covers("node_vmstat_*", "node_vmstat_pgfault") && !covers("node_vmstat_*", "node_vmstat_"));
        assert!(
            covers("a_*_total", "a_b_total")
                && !covers("a_*_total", "a_b")
                && !covers("a_*_total", "a_total")
        );
    }
}
