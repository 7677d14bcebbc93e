//! The answer to `supervisor.getAllProcessInfo`, as XML-RPC writes it: an array of structs of plain values.

use std::borrow::Cow;

/// A process as supervisord tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub name: Vec<u8>,
    /// The group that it belongs to.
    pub group: Vec<u8>,
    /// When it was started, in seconds since 1970.
    pub start: i64,
    /// The state: 0 stopped, 10 starting, 20 running, 30 failed to start, 40 stopping, 100 ended, 200 given up.
    pub state: i64,
    /// The status that it last ended with.
    pub exit_status: i64,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The processes.
    Processes(Vec<Process>),
    /// The server's own words for what went wrong.
    Fault(String),
}

/// More processes than any supervisord has.
const MOST: usize = 1 << 16;

/// Reads an answer; `None` for what is none.
pub fn parse(text: &[u8]) -> Option<Answer> {
    let mut reading = Reading::default();
    for token in Tokens(text) {
        reading.take(token?)?;
    }
    if !reading.is_answer {
        return None;
    }
    Some(match reading.fault {
        Some(fault) => Answer::Fault(String::from_utf8_lossy(&fault).into_owned()),
        None => Answer::Processes(reading.processes),
    })
}

/// Where in the answer we are.
#[derive(Default)]
struct Reading<'a> {
    is_answer: bool,
    fault: Option<Vec<u8>>,
    processes: Vec<Process>,
    /// Structs that are open.
    depth: usize,
    process: Process,
    member: Vec<u8>,
    /// The tag opened last, if nothing was closed since: what stands in it is text.
    leaf: Option<&'a [u8]>,
    text: &'a [u8],
}

impl<'a> Reading<'a> {
    fn take(&mut self, token: Token<'a>) -> Option<()> {
        match token {
            Token::Text(text) => {
                if self.leaf.is_some() {
                    self.text = text;
                }
            }
            Token::Open(tag) => {
                (self.leaf, self.text) = (Some(tag), b"");
                match tag {
                    b"methodResponse" => self.is_answer = true,
                    b"fault" => self.fault = Some(Vec::new()),
                    b"struct" => {
                        self.depth = self.depth.checked_add(1)?;
                        if self.depth == 1 {
                            self.process = Process::default();
                        }
                    }
                    _ => {}
                }
            }
            Token::Close(tag) => {
                let is_leaf = self.leaf.take() == Some(tag);
                match tag {
                    b"struct" => {
                        self.depth = self.depth.checked_sub(1)?;
                        if self.depth == 0 {
                            self.add()?;
                        }
                    }
                    b"name" if self.depth == 1 => self.member = unescape(self.text).into_owned(),
                    // A value that says no type is text.
                    b"value" if !is_leaf => {}
                    _ if is_leaf && self.depth == 1 => self.set()?,
                    _ => {}
                }
            }
        }
        Some(())
    }

    fn add(&mut self) -> Option<()> {
        if self.fault.is_none() {
            self.processes.push(std::mem::take(&mut self.process));
        }
        (self.processes.len() <= MOST).then_some(())
    }

    /// The value of a member.
    fn set(&mut self) -> Option<()> {
        let text = || unescape(self.text).into_owned();
        let number = || str::from_utf8(self.text).ok()?.trim().parse().ok();
        match (&*self.member, &mut self.fault) {
            (b"faultString", Some(fault)) => *fault = text(),
            (b"name", None) => self.process.name = text(),
            (b"group", None) => self.process.group = text(),
            (b"start", None) => self.process.start = number()?,
            (b"state", None) => self.process.state = number()?,
            (b"exitstatus", None) => self.process.exit_status = number()?,
            _ => {}
        }
        Some(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open(&'a [u8]),
    Close(&'a [u8]),
    Text(&'a [u8]),
}

/// Tags and what is between them; `None` once for what never ends. (An empty tag, `<string/>`, opens only: the value
/// around it closes.)
struct Tokens<'a>(&'a [u8]);

impl<'a> Iterator for Tokens<'a> {
    type Item = Option<Token<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.0;
            let (&first, after) = rest.split_first()?;
            if first != b'<' {
                let end = rest.iter().position(|&byte| byte == b'<').unwrap_or(rest.len());
                let (text, rest) = rest.split_at(end);
                self.0 = rest;
                return Some(Some(Token::Text(text)));
            }
            let Some(end) = after.iter().position(|&byte| byte == b'>') else {
                self.0 = b"";
                return Some(None);
            };
            let (tag, rest) = after.split_at(end);
            self.0 = rest.get(1..).unwrap_or_default();
            match tag.first() {
                Some(b'?' | b'!') => {}
                Some(b'/') => return Some(Some(Token::Close(tag.get(1..).unwrap_or_default().trim_ascii()))),
                _ => {
                    let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'/');
                    return Some(Some(Token::Open(tag.get(..end.unwrap_or(tag.len())).unwrap_or_default())));
                }
            }
        }
    }
}

/// Undoes `&amp;` and its like; what is none of them stays.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'&') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let entity = after.iter().take(10).position(|&byte| byte == b';').and_then(|end| after.get(..end));
        let Some((entity, meant)) = entity.filter(|_| first == b'&').and_then(|of| Some((of, meaning(of)?)))
        else {
            out.push(first);
            continue;
        };
        out.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
        rest = after.get(entity.len() + 1..).unwrap_or_default();
    }
    Cow::Owned(out)
}

fn meaning(entity: &[u8]) -> Option<char> {
    Some(match entity {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        _ => {
            let number = str::from_utf8(entity.strip_prefix(b"#")?).ok()?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n\
        <value><struct>\n<member>\n<name>description</name>\n<value><string>pid 1 &lt;x&gt;</string></value>\n</member>\n\
        <member>\n<name>name</name>\n<value><string>a&amp;b&#233;</string></value>\n</member>\n\
        <member>\n<name>group</name>\n<value>g</value>\n</member>\n\
        <member>\n<name>start</name>\n<value><int>1700000000</int></value>\n</member>\n\
        <member>\n<name>state</name>\n<value><i4>20</i4></value>\n</member>\n\
        <member>\n<name>extra</name>\n<value><struct><member><name>state</name><value><int>9</int></value></member></struct></value>\n</member>\n\
        <member>\n<name>exitstatus</name>\n<value><int>-1</int></value>\n</member>\n\
        <member>\n<name>logfile</name>\n<value><string/></value>\n</member>\n\
        </struct></value>\n<value><struct></struct></value>\n</data></array></value>\n</param>\n</params>\n</methodResponse>\n";

    #[test]
    fn processes_are_read() {
        let first = Process {
            name: "a&bé".into(),
            group: b"g".to_vec(),
            start: 1_700_000_000,
            state: 20,
            exit_status: -1,
        };
        let wanted = Answer::Processes(vec![first, Process::default()]);
        assert_eq!(parse(GOOD.as_bytes()), Some(wanted));
        let none = b"<methodResponse><params><param><value><array><data></data></array></value></param></params></methodResponse>";
        assert_eq!(parse(none), Some(Answer::Processes(Vec::new())));
    }

    #[test]
    fn a_fault_is_no_list() {
        let fault = b"<?xml version='1.0'?><methodResponse><fault><value><struct><member><name>faultCode</name>\
            <value><int>1</int></value></member><member><name>faultString</name><value><string>UNKNOWN_METHOD</string>\
            </value></member></struct></value></fault></methodResponse>";
        assert_eq!(parse(fault), Some(Answer::Fault("UNKNOWN_METHOD".to_owned())));
    }

    #[test]
    fn garbage_is_refused_and_does_no_harm() {
        for bad in [
            &b""[..],
            b"no xml",
            b"<html></html>",
            b"<methodResponse",
            b"<methodResponse></struct>",
            b"<methodResponse><struct><member><name>state</name><value><int>x</int></value></member></struct>",
            b"<methodResponse><struct><member><name>start</name><value><int>99999999999999999999</int></value>",
        ] {
            assert_eq!(parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
        let good = GOOD.as_bytes();
        for at in 0..good.len() {
            let _ = parse(&good[..at]);
            for byte in [0, b'<', b'>', b'/', b'&', 0xff] {
                let mut bad = good.to_vec();
                bad[at] = byte;
                let _ = parse(&bad);
            }
        }
        assert_eq!(&*unescape(b"&;&x;&#x41;&#xffffffff;&#;&amp"), b"&;&x;A&#xffffffff;&#;&amp");
        let many = format!("<methodResponse>{}", "<struct></struct>".repeat(MOST + 1));
        assert_eq!(parse(many.as_bytes()), None);
    }
}
