//! The kernel's log, followed for the one thing that no file keeps: which cgroup lost a task to a want of memory.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, SeekFrom, open, seek},
    io::Errno,
};

use super::text;

/// More than a record is long; a shorter buffer would be refused.
const RECORD: usize = 8 << 10;
/// More than such a line is long: two paths and a few words.
const LINE: usize = 16 << 10;
/// Records that are read in one go at most. The rest comes in the next one.
const MOST_RECORDS: u32 = 4096;
/// How many readings of one line are tried at most: a path may hold the very words that end it.
const MOST_READINGS: usize = 4;

/// What the log tells of a kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kill {
    /// The paths that the line may name, from the root of the memory hierarchy. There is more than one only where
    /// names hold the words between them.
    Of(Vec<Vec<u8>>),
    /// One whose cgroup was not told: the kernel tells ten in five seconds at most, and one of a group.
    Unnamed,
}

/// The log from a moment on.
#[derive(Debug)]
pub struct Kmsg {
    log: OwnedFd,
    buffer: Vec<u8>,
    reading: Reading,
}

/// Where in the log's lines we are.
#[derive(Debug, Default)]
struct Reading {
    /// The begin of a line whose rest comes in other records.
    begun: Vec<u8>,
    /// A kill's cgroup was told, the kill itself is still to come.
    is_named: bool,
}

impl Kmsg {
    /// Opens `dev/kmsg` below the first of these folders that has it, at its end. Reading it later needs no right.
    ///
    /// # Errors
    /// What `open` says of the first.
    pub fn open(folders: &[&Path]) -> io::Result<Self> {
        let mut first = None;
        for folder in folders {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            match open(folder.join("dev/kmsg"), flags, Mode::empty()) {
                Ok(log) => {
                    let mut log = Self::over(log);
                    log.skip();
                    return Ok(log);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(Errno::NOENT).into())
    }

    /// Whatever gives a record at each reading and does not wait.
    pub fn over(log: OwnedFd) -> Self {
        Self { log, buffer: vec![0; RECORD], reading: Reading::default() }
    }

    /// Goes on from the end.
    pub fn skip(&mut self) {
        // (What is no file has no end.)
        let _ = seek(&self.log, SeekFrom::End(0));
        self.reading = Reading::default();
    }

    /// Takes what was logged since, without waiting.
    ///
    /// # Errors
    /// What `read` says; there is no more to come then.
    pub fn drain(&mut self, mut each: impl FnMut(Kill)) -> io::Result<()> {
        for _ in 0..MOST_RECORDS {
            match rustix::io::read(&self.log, &mut *self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    let record = self.buffer.get(..length).unwrap_or_default();
                    if let Some(kill) = self.reading.take(record) {
                        each(kill);
                    }
                }
                // Overwritten before they were read: the files count those kills.
                Err(Errno::PIPE) => self.reading = Reading::default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl AsFd for Kmsg {
    /// Readable when something was logged.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.log.as_fd()
    }
}

impl Reading {
    /// Takes in a record: `level,number,time,flags;text`.
    fn take(&mut self, record: &[u8]) -> Option<Kill> {
        let at = memchr::memchr(b';', record)?;
        let (head, text) = (record.get(..at)?, record.get(at + 1..)?);
        let text = text.split(|&byte| byte == b'\n').next()?;
        let mut head = head.split(|&byte| byte == b',');
        // Level and facility; that of the kernel is 0, which no process can write.
        if text::whole(head.next()?)? >> 3 != 0 {
            return None;
        }
        // (No task's name is so long that it holds this.)
        if text.starts_with(b"Killed process ") || memchr::memmem::find(text, b": Killed process ").is_some()
        {
            return (!std::mem::take(&mut self.is_named)).then_some(Kill::Unnamed);
        }
        let is_rest = matches!(head.nth(2), Some(b"c" | b"+"));
        if text.starts_with(NEW) || text.starts_with(OLD) {
            self.begun.clear();
        } else if !is_rest || self.begun.is_empty() {
            return None;
        }
        if self.begun.len() + text.len() > LINE {
            self.begun.clear();
            return None;
        }
        self.begun.extend_from_slice(text);
        let line = unescaped(&self.begun);
        let paths = if line.starts_with(NEW) { new_form(&line) } else { old_form(&line) }?;
        self.begun.clear();
        self.is_named = true;
        Some(Kill::Of(paths))
    }
}

const NEW: &[u8] = b"oom-kill:constraint=";
const OLD: &[u8] = b"Task in ";

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(records: &[u8]) {
    let mut reading = Reading::default();
    for record in records.split(|&byte| byte == 0) {
        let _ = reading.take(record);
    }
}

/// `oom-kill:constraint=C,...,task_memcg=PATH,task=NAME,pid=1,uid=2`, since Linux 5.0.
fn new_form(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let at = memchr::memmem::rfind(line, b",uid=")?;
    text::whole(line.get(at + 5..)?)?;
    let begin = b",task_memcg=";
    let mut paths = Vec::new();
    for from in memchr::memmem::find_iter(line, begin).take(MOST_READINGS) {
        let rest = line.get(from + begin.len()..)?;
        for to in memchr::memmem::find_iter(rest, b",task=").take(MOST_READINGS) {
            paths.extend(rest.get(..to).filter(|path| path.starts_with(b"/")).map(<[u8]>::to_vec));
        }
    }
    Some(paths).filter(|paths| !paths.is_empty())
}

/// `Task in PATH killed as a result of limit of PATH`, before.
fn old_form(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let rest = line.strip_prefix(OLD)?;
    let ends = memchr::memmem::find_iter(rest, b" killed as a result of limit of /").take(MOST_READINGS);
    let paths: Vec<_> = ends
        .filter_map(|to| rest.get(..to).filter(|path| path.starts_with(b"/")).map(<[u8]>::to_vec))
        .collect();
    Some(paths).filter(|paths| !paths.is_empty())
}

/// The log shows what is not printable, and the backslash, as `\xNN`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let code = after.strip_prefix(b"x").filter(|_| first == b'\\').and_then(|code| code.get(..2));
        let byte = code.and_then(text::hex).and_then(|byte| u8::try_from(byte).ok());
        plain.push(byte.unwrap_or(first));
        rest = if byte.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn told(records: &[&str]) -> Vec<Vec<String>> {
        let mut reading = Reading::default();
        let text = |path: Vec<u8>| String::from_utf8(path).unwrap();
        let kills = records.iter().filter_map(|record| reading.take(record.as_bytes()));
        let texts = kills.map(|kill| match kill {
            Kill::Of(paths) => paths.into_iter().map(text).collect(),
            Kill::Unnamed => Vec::new(),
        });
        texts.collect()
    }

    #[test]
    fn the_victim_s_own_cgroup_is_told() {
        let kill = format!(
            "6,11639,34878157614,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
             oom_memcg=/docker,task_memcg=/docker/{ID},task=tail,pid=4829,uid=0\n"
        );
        let killed = "3,11640,34878157636,-;Memory cgroup out of memory: Killed process 4829 (tail)\n";
        assert_eq!(told(&[&kill, killed]), [[format!("/docker/{ID}")]]);
        assert_eq!(told(&[killed, &kill, killed, killed]), [vec![], vec![format!("/docker/{ID}")], vec![]]);
        let forged = "4,1,2,-;Killed process[7]: segfault at 0\n";
        assert!(told(&[forged, "14,1,2,-;Killed process 7 (x)"]).is_empty());
        let global = "6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,\
                      global_oom,task_memcg=/,task=a b,pid=1,uid=7\n SUBSYSTEM=x\n";
        assert_eq!(told(&[global]), [["/"]]);
        let old = "6,1,2,-;Task in /a/b killed as a result of limit of /a\n";
        assert_eq!(told(&[old]), [["/a/b"]]);
        let escaped = "6,1,2,-;oom-kill:constraint=X,task_memcg=/\\x5c\\xc3\\xbc,task=\\x0a,pid=1,uid=7\n";
        assert_eq!(told(&[escaped]), [["/\\ü"]]);
    }

    #[test]
    fn a_long_line_comes_in_pieces() {
        let pieces = [
            "6,1,2,-;oom-kill:constraint=X,nodemask=(null),cpuset=/,oom_memcg=/long",
            "6,2,2,-;something else meanwhile",
            "6,3,2,c;,task_memcg=/long/path",
            "6,4,2,c;,task=sh,pid=1,uid=0\n",
        ];
        assert_eq!(told(&pieces), [["/long/path"]]);
        let endless = format!("6,4,2,c;{}\n", "x".repeat(8000));
        let records = [pieces[0], &endless, &endless, &endless, pieces[2], pieces[3]];
        assert!(told(&records).is_empty(), "no line is that long");
    }

    #[test]
    fn names_that_hold_the_words_between_are_told_in_every_reading() {
        let line = "6,1,2,-;oom-kill:constraint=X,cpuset=c,task_memcg=/forged,task_memcg=/a,task=b,task=x,pid=1,uid=0";
        let readings = &told(&[line])[0];
        assert!(readings.contains(&"/a,task=b".to_owned()) && readings.contains(&"/a".to_owned()));
        let many = ",task_memcg=/a,task=b".repeat(300);
        let readings = told(&[&format!("6,1,2,-;oom-kill:constraint=X{many},pid=1,uid=0")]);
        assert!(readings[0].len() <= MOST_READINGS * MOST_READINGS);
    }

    #[test]
    fn what_is_not_the_kernel_s_or_no_kill_is_passed_over() {
        let rest = "oom-kill:constraint=X,task_memcg=/a,task=b,pid=1,uid=0\n";
        assert_eq!(told(&[&format!("6,1,2,-;{rest}")]).len(), 1);
        for head in
            ["14,1,2,-;", "12,1,2,-;", "-6,1,2,-;", "6,1,2,-", "x;", ";", "", "99999999999999999999,1,2,-;"]
        {
            assert!(told(&[&format!("{head}{rest}")]).is_empty(), "{head}");
        }
        for text in [
            "oom-kill:constraint=",
            "oom-kill:constraint=X,task_memcg=/a,task=b,pid=1,uid=",
            "oom-kill:constraint=X,task_memcg=/a,task=b,pid=1,uid=x",
            "oom-kill:constraint=X,task_memcg=a,task=b,pid=1,uid=0",
            "oom-kill:constraint=X,task=b,task_memcg=/a,pid=1,uid=0",
            "Task in /a killed as a result of limit of a",
            "Task in a killed as a result of limit of /a",
            " oom-kill:constraint=X,task_memcg=/a,task=b,pid=1,uid=0",
        ] {
            assert!(told(&[&format!("6,1,2,-;{text}\n")]).is_empty(), "{text}");
        }
    }

    #[test]
    fn no_bytes_break_it() {
        let words: [&[u8]; 10] = [
            b"6,1,2,-;",
            b"6,1,2,c;",
            NEW,
            OLD,
            b",task_memcg=",
            b",task=",
            b",uid=",
            b"\\x",
            b"\xff",
            b"/0",
        ];
        let mut state = 7_u64;
        let mut reading = Reading::default();
        for _ in 0..20_000 {
            let mut text = Vec::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.extend_from_slice(words[usize::try_from(state >> 33).unwrap_or(0) % words.len()]);
            }
            let _ = reading.take(&text);
            assert!(reading.begun.len() <= LINE);
        }
    }
}
