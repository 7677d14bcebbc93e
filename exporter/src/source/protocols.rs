//! Files of pairs of lines, a protocol's names above their values: `/proc/net/snmp` and `/proc/net/netstat`.

use super::text;

/// Such a file, read again and again. Hundreds of names stay what they are and few are wanted, so a line of them is
/// compared as a whole; `C` is what is kept of a name that is wanted, `V` a value.
#[derive(Debug)]
pub struct Table<C, V> {
    rows: Vec<Row<C>>,
    /// Kept for its memory.
    values: Vec<V>,
}

#[derive(Debug)]
struct Row<C> {
    names: Vec<u8>,
    columns: Vec<Option<C>>,
}

impl<C, V> Default for Table<C, V> {
    fn default() -> Self {
        Self { rows: Vec::new(), values: Vec::new() }
    }
}

impl<C, V> Table<C, V> {
    /// Takes in the values up to the first that is no number; tells whether all are. `learn` is asked once what is kept
    /// of a protocol and name. None where a line of names is not followed by one of as many values for the same protocol.
    pub fn read(
        &mut self,
        text: &[u8],
        learn: impl Fn(&[u8], &[u8]) -> Option<C>,
        number: impl Fn(&[u8]) -> Option<V>,
    ) -> Option<bool> {
        self.values.clear();
        let mut all_numbers = true;
        let mut lines = text::lines(text);
        let mut place = 0;
        while let Some(names) = lines.next() {
            let mut fields = text::fields(lines.next()?);
            let protocol = fields.next().filter(|word| word.ends_with(b":"))?;
            let row = self.row(place, names, &learn)?;
            if !row.names.starts_with(protocol) {
                return None;
            }
            let columns = row.columns.len();
            let mut count = 0;
            for field in fields {
                count += 1;
                match number(field).filter(|_| all_numbers) {
                    Some(value) => self.values.push(value),
                    None => all_numbers = false,
                }
            }
            if count != columns {
                return None;
            }
            place += 1;
        }
        self.rows.truncate(place);
        Some(all_numbers)
    }

    /// What was wanted, with its value.
    pub fn cells(&self) -> impl Iterator<Item = (&C, &V)> {
        let columns = self.rows.iter().flat_map(|row| &row.columns);
        columns.zip(&self.values).filter_map(|(column, value)| Some((column.as_ref()?, value)))
    }

    /// What is known of the line of names at this place. None if it does not begin with a protocol.
    fn row(
        &mut self,
        place: usize,
        names: &[u8],
        learn: impl Fn(&[u8], &[u8]) -> Option<C>,
    ) -> Option<&Row<C>> {
        if self.rows.get(place).is_none_or(|row| row.names != names) {
            let mut fields = text::fields(names);
            let protocol = fields.next()?.strip_suffix(b":")?;
            let columns = fields.map(|name| learn(protocol, name)).collect();
            // A file that has changed its shape is learnt anew from here on.
            self.rows.truncate(place);
            self.rows.push(Row { names: names.to_vec(), columns });
        }
        self.rows.get(place)
    }
}
