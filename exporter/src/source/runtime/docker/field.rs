//! A field of an answer that may be missing, null, or of a type it should not have. What is not wanted is passed over
//! as it is read: an answer of any shape takes no more memory than its text.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Labels and variables of one container that are kept in mind while its answer is read.
const MOST: usize = 4096;

/// Such a field.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    Right(T),
    Null,
    Wrong,
    #[default]
    Absent,
}

impl<T> Field<T> {
    pub fn get(self) -> Option<T> {
        match self {
            Self::Right(value) => Some(value),
            _ => None,
        }
    }

    /// As `get`, noting `name` when the type was wrong.
    pub fn noting(self, name: &'static str, wrong: &mut Vec<&'static str>) -> Option<T> {
        if matches!(self, Self::Wrong) && !wrong.contains(&name) {
            wrong.push(name);
        }
        self.get()
    }

    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Wrong, Self::Right)
    }
}

/// What a field may hold; anything else is passed over.
pub(super) trait Value: Sized {
    fn text(_: &str) -> Option<Self> {
        None
    }

    fn number(_: u64) -> Option<Self> {
        None
    }

    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Has a struct read from a map.
macro_rules! of_map {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::source::runtime::docker::field::Value for $name {
            fn map<'de, A: serde::de::MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
                serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Some)
            }
        }
    )+};
}
pub(super) use of_map;

impl Value for String {
    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Value for u64 {
    fn number(number: u64) -> Option<Self> {
        Some(number)
    }
}

impl Value for u32 {
    fn number(number: u64) -> Option<Self> {
        number.try_into().ok()
    }
}

/// Of more than [`MOST`] the first.
impl Value for Vec<String> {
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let (mut texts, mut is_right) = (Self::new(), true);
        while let Some(text) = list.next_element::<Field<String>>()? {
            match text.get() {
                Some(text) if texts.len() < MOST => texts.push(text),
                Some(_) => {}
                None => is_right = false,
            }
        }
        Ok(is_right.then_some(texts))
    }
}

/// Texts by key.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Of more than [`MOST`] those whose keys sort first.
    pub pairs: BTreeMap<String, String>,
    /// Some value was no text.
    pub is_odd: bool,
}

impl Value for Pairs {
    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut read = Self::default();
        while let Some((key, value)) = map.next_entry::<String, Field<String>>()? {
            read.is_odd |= matches!(value, Field::Wrong);
            let Some(value) = value.get() else { continue };
            read.pairs.insert(key, value);
            if read.pairs.len() > MOST {
                read.pairs.pop_last();
            }
        }
        Ok(Some(read))
    }
}

impl<'de, T: Value> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Value> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field<T>, E> {
        Ok(Field::Wrong)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field<T>, E> {
        Ok(Field::Wrong)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field<T>, E> {
        Ok(Field::of(T::number(number)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field<T>, E> {
        Ok(Field::Wrong)
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<T>, E> {
        Ok(Field::of(T::text(text)))
    }

    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Field<T>, A::Error> {
        Ok(Field::of(T::list(list)?))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
        Ok(Field::of(T::map(map)?))
    }
}
