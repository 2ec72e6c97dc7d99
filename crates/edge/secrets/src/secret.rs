//! A value that does not show itself, and where new ones come from.

use crate::error::{Error, Step};

/// A secret value. Neither `Debug` nor `Display` shows it; its bytes are overwritten when it is dropped (as well as
/// safe code can: copies that the allocator moved are out of reach).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for handing it to a program or, on explicit request, to a person.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
}

/// Where random bytes come from; an argument, so that tests decide them.
pub trait Random {
    /// Fills the buffer.
    ///
    /// # Errors
    /// If the source has none to give.
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), Error>;
}

/// The kernel's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(buf)
            .map_err(|error| Error::io(Step::Random, "", &std::io::Error::other(error.to_string())))
    }
}

/// Bytes of a new key: 256 bits, the strength of HS256 and of the hash behind a session id.
const KEY_BYTES: usize = 32;

/// A new key, as 64 hexadecimal digits: no quoting is needed in any file or shell.
pub(crate) fn make(random: &mut dyn Random) -> Result<Secret, Error> {
    let mut bytes = [0_u8; KEY_BYTES];
    random.fill(&mut bytes)?;
    let secret = Secret::new(hex(&bytes));
    bytes.fill(0);
    std::hint::black_box(&bytes);
    Ok(secret)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("hunter2hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "(hidden) Secret(hidden) Some(Secret(hidden))"
        );
        assert_eq!(secret.expose(), "hunter2hunter2");
    }

    #[test]
    fn new_keys_are_256_bits_and_differ() {
        let (a, b) = (
            make(&mut SystemRandom).unwrap(),
            make(&mut SystemRandom).unwrap(),
        );
        assert_eq!(a.expose().len(), 64);
        assert!(a.expose().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(a, b);
    }
}
