//! Bytes of a frame: little-endian integers, length-prefixed everything else.
//!
//! A record is a list of `(tag, length, bytes)`: a reader skips tags it does not know and leaves fields that
//! are absent at their default, so a keeper of last month and a daemon of today understand each other. An
//! enum is `(tag, length, record)`: a variant that the reader does not know is an [`Error::Unknown`], which a
//! receiver drops, never a reason to close.

/// Why bytes are not a frame of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The frame ends inside a field.
    Short,
    /// Text that is not UTF-8.
    Text,
    /// A variant that this build does not know; the frame is skipped.
    Unknown(u16),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Short => f.write_str("frame ends inside a field"),
            Error::Text => f.write_str("text is not UTF-8"),
            Error::Unknown(tag) => write!(f, "frame of a newer kind ({tag})"),
        }
    }
}

impl std::error::Error for Error {}

/// What can stand in a frame.
pub trait Field: Sized {
    /// Appends this value.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads one value off the front of `input`.
    fn get(input: &mut &[u8]) -> Result<Self, Error>;
}

pub(crate) fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], Error> {
    let (head, tail) = input.split_at_checked(count).ok_or(Error::Short)?;
    *input = tail;
    Ok(head)
}

/// Writes `value` behind its tag and length; the record macro calls it for each field.
pub fn put_tagged(out: &mut Vec<u8>, tag: u16, value: &impl Field) {
    tag.put(out);
    let at = out.len();
    0u32.put(out);
    value.put(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads the next `(tag, bytes)` of a record, or nothing at its end.
pub fn next_tagged<'a>(input: &mut &'a [u8]) -> Result<Option<(u16, &'a [u8])>, Error> {
    if input.is_empty() {
        return Ok(None);
    }
    let tag = u16::get(input)?;
    let length = u32::get(input)? as usize;
    Ok(Some((tag, take(input, length)?)))
}

macro_rules! integer {
    ($($kind:ty),*) => {$(
        impl Field for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(input: &mut &[u8]) -> Result<Self, Error> {
                let bytes = take(input, std::mem::size_of::<$kind>())?;
                Ok(<$kind>::from_le_bytes(bytes.try_into().map_err(|_| Error::Short)?))
            }
        }
    )*};
}
integer!(u8, u16, u32, u64, i32, i64);

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(input: &mut &[u8]) -> Result<Self, Error> {
        Ok(u8::get(input)? != 0)
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn get(input: &mut &[u8]) -> Result<Self, Error> {
        let length = u32::get(input)? as usize;
        let bytes = take(input, length)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| Error::Text)
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        for item in self {
            item.put(out);
        }
    }
    fn get(input: &mut &[u8]) -> Result<Self, Error> {
        let count = u32::get(input)?;
        // No reservation from outside numbers: a lying count runs into Short, not out of memory.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::get(input)?);
        }
        Ok(items)
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.put(out);
            }
        }
    }
    fn get(input: &mut &[u8]) -> Result<Self, Error> {
        Ok(match u8::get(input)? {
            0 => None,
            _ => Some(T::get(input)?),
        })
    }
}

/// What is seldom there, out of the way of what is.
impl<T: Field> Field for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }
    fn get(input: &mut &[u8]) -> Result<Self, Error> {
        T::get(input).map(Box::new)
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(input: &mut &[u8]) -> Result<Self, Error> {
        Ok((A::get(input)?, B::get(input)?))
    }
}

/// A struct as a record of tagged fields.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* $tag:literal => $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$doc])* pub $field: $kind,)* }

        impl $crate::codec::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let at = out.len();
                0u32.put(out);
                $($crate::codec::put_tagged(out, $tag, &self.$field);)*
                let length = (out.len() - at - 4) as u32;
                out[at..at + 4].copy_from_slice(&length.to_le_bytes());
            }
            fn get(input: &mut &[u8]) -> Result<Self, $crate::codec::Error> {
                let length = u32::get(input)? as usize;
                let mut fields = $crate::codec::take(input, length)?;
                let mut value = $name::default();
                while let Some((tag, mut bytes)) = $crate::codec::next_tagged(&mut fields)? {
                    match tag {
                        $($tag => value.$field = <$kind as $crate::codec::Field>::get(&mut bytes)?,)*
                        _ => {}
                    }
                    let _ = &mut bytes;
                }
                Ok(value)
            }
        }
    };
}

/// An enum whose variants are records.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $tag:literal => $variant:ident
        { $($(#[$fdoc:meta])* $ftag:literal => $field:ident: $kind:ty,)* },)* }) => {
        $(#[$meta])*
        #[allow(missing_docs)] // the fields are described with their variant
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant { $($(#[$fdoc])* $field: $kind,)* },)* }

        impl $crate::codec::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($name::$variant { $($field,)* } => {
                        ($tag as u16).put(out);
                        let at = out.len();
                        0u32.put(out);
                        $($crate::codec::put_tagged(out, $ftag, $field);)*
                        let length = (out.len() - at - 4) as u32;
                        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
                    })*
                }
            }
            fn get(input: &mut &[u8]) -> Result<Self, $crate::codec::Error> {
                let tag = u16::get(input)?;
                let length = u32::get(input)? as usize;
                #[allow(unused_mut, unused_variables)]
                let mut fields = $crate::codec::take(input, length)?;
                match tag {
                    $($tag => {
                        $(let mut $field: Option<$kind> = None;)*
                        while let Some((ftag, mut bytes)) = $crate::codec::next_tagged(&mut fields)? {
                            match ftag {
                                $($ftag => $field = Some(<$kind as $crate::codec::Field>::get(&mut bytes)?),)*
                                _ => {}
                            }
                            let _ = &mut bytes;
                        }
                        Ok($name::$variant { $($field: $field.ok_or($crate::codec::Error::Short)?,)* })
                    })*
                    other => Err($crate::codec::Error::Unknown(other)),
                }
            }
        }
    };
}

/// A plain enum as one byte. An unknown byte reads as the first variant, which is therefore the safest one.
macro_rules! word {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $tag:literal => $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every variant, in order of its number.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];
            /// The word that people and JSON see.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
        impl Default for $name {
            fn default() -> Self { Self::ALL[0] }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }
        impl $crate::codec::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $($name::$variant => $tag,)* });
            }
            fn get(input: &mut &[u8]) -> Result<Self, $crate::codec::Error> {
                Ok(match <u8 as $crate::codec::Field>::get(input)? { $($tag => $name::$variant,)* _ => Self::default() })
            }
        }
    };
}
