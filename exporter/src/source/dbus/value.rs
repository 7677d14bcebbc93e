//! Values as a D-Bus message carries them, read in order and never past the end.

/// The bytes are not what the protocol, or the call, promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer makes no sense")]
pub struct Malformed;

/// Which byte of a number comes first, as the message's sender chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// A run of values: a message's body, or the elements of an array.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// From the message's body on, as padding is counted from there, to the end of the run.
    bytes: &'a [u8],
    at: usize,
    order: Order,
}

impl<'a> Values<'a> {
    pub(super) fn new(bytes: &'a [u8], order: Order) -> Self {
        Self { bytes, at: 0, order }
    }

    /// Whether all has been read.
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Goes on to where a value of this alignment begins: 8 for a struct.
    ///
    /// # Errors
    /// The run ends before.
    pub fn align(&mut self, to: usize) -> Result<(), Malformed> {
        let at = self.at.checked_next_multiple_of(to).filter(|&at| at <= self.bytes.len());
        self.at = at.ok_or(Malformed)?;
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn fixed<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Malformed> {
        self.align(SIZE)?;
        let mut bytes: [u8; SIZE] = self.take(SIZE)?.try_into().map_err(|_| Malformed)?;
        if self.order == Order::Big {
            bytes.reverse();
        }
        Ok(bytes)
    }

    /// A byte (`y`).
    ///
    /// # Errors
    /// The run ends before.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    /// A number of 32 bits (`u`, `i`, `b`).
    ///
    /// # Errors
    /// The run ends before.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// A number of 64 bits (`t`, `x`).
    ///
    /// # Errors
    /// The run ends before.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.fixed().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.u32()?).map_err(|_| Malformed)
    }

    /// A string or an object's path (`s`, `o`).
    ///
    /// # Errors
    /// The run ends before, or the closing NUL is missing.
    pub fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.closed(length)
    }

    /// A signature (`g`).
    ///
    /// # Errors
    /// The run ends before, or the closing NUL is missing.
    pub fn signature(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.byte()?.into();
        self.closed(length)
    }

    fn closed(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let text = self.take(length)?;
        if self.take(1)? == [0] { Ok(text) } else { Err(Malformed) }
    }

    /// The elements of an array whose elements have this alignment.
    ///
    /// # Errors
    /// The run ends before.
    pub fn array(&mut self, alignment: usize) -> Result<Self, Malformed> {
        let length = self.length()?;
        self.align(alignment)?;
        let start = self.at;
        self.take(length)?;
        Ok(Self { bytes: self.bytes.get(..self.at).ok_or(Malformed)?, at: start, order: self.order })
    }

    /// A variant (`v`) that holds one plain value.
    ///
    /// # Errors
    /// The run ends before, or the variant holds something larger.
    pub fn variant(&mut self) -> Result<Plain<'a>, Malformed> {
        Ok(match self.signature()? {
            b"s" | b"o" => Plain::Text(self.text()?),
            b"g" => Plain::Text(self.signature()?),
            b"b" => Plain::Switch(self.u32()? != 0),
            b"u" => Plain::Whole(self.u32()?.into()),
            b"t" => Plain::Whole(self.u64()?),
            _ => return Err(Malformed),
        })
    }
}

/// A plain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain<'a> {
    /// A text, in UTF-8 if the peer keeps to the protocol.
    Text(&'a [u8]),
    /// A number of 32 or 64 bits without sign.
    Whole(u64),
    /// Yes or no.
    Switch(bool),
}

impl<'a> Plain<'a> {
    /// The text, if it is one.
    pub fn text(self) -> Option<&'a [u8]> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    pub fn whole(self) -> Option<u64> {
        if let Self::Whole(number) = self { Some(number) } else { None }
    }

    /// Yes or no, if it is that.
    pub fn switch(self) -> Option<bool> {
        if let Self::Switch(on) = self { Some(on) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn little(bytes: &[u8]) -> Values<'_> {
        Values::new(bytes, Order::Little)
    }

    #[test]
    fn numbers_are_padded_and_in_the_sender_s_order() {
        let mut values = little(&[7, 0, 0, 0, 1, 2, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0x80]);
        assert_eq!(values.byte(), Ok(7));
        assert_eq!(values.u32(), Ok(0x201));
        assert_eq!(values.u64(), Ok(0x8000_0000_0000_0009));
        assert!(values.is_done());
        assert_eq!(values.byte(), Err(Malformed));
        assert_eq!(Values::new(&[0, 0, 1, 2], Order::Big).u32(), Ok(0x102));
    }

    #[test]
    fn texts_end_with_a_nul_within_the_run() {
        assert_eq!(little(b"\x02\0\0\0ab\0").text(), Ok(&b"ab"[..]));
        assert_eq!(little(b"\x02as\0").signature(), Ok(&b"as"[..]));
        for bad in [&b"\x02\0\0\0abc"[..], b"\x02\0\0\0ab", b"\xff\xff\xff\xffab\0", b"\x02\0", b""] {
            assert_eq!(little(bad).text(), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn an_array_ends_where_it_says() {
        let mut values = little(b"\x08\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0");
        let mut elements = values.array(8).expect("has eight bytes");
        assert_eq!((elements.u32(), elements.u32(), elements.u32()), (Ok(1), Ok(2), Err(Malformed)));
        assert!(elements.is_done());
        assert_eq!(values.u32(), Ok(3));
        assert!(little(b"\xff\xff\xff\xff").array(8).is_err());
        assert!(little(b"\x09\0\0\0\0\0\0\0\x01\0\0\0").array(4).is_err());
    }

    #[test]
    fn variants_hold_plain_values() {
        assert_eq!(little(b"\x01s\0\0\x01\0\0\0x\0").variant(), Ok(Plain::Text(b"x")));
        assert_eq!(little(b"\x01u\0\0\x05\0\0\0").variant(), Ok(Plain::Whole(5)));
        assert_eq!(little(b"\x01b\0\0\x01\0\0\0").variant(), Ok(Plain::Switch(true)));
        let long = b"\x01t\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(little(long).variant().map(Plain::whole), Ok(Some(u64::MAX)));
        for bad in [&b"\x02as\0"[..], b"\x01s\0", b"\x01t\0\0\0\0\0\0\0", b"\x01v\0\x01v\0", b""] {
            assert_eq!(little(bad).variant(), Err(Malformed), "{bad:?}");
        }
    }
}
