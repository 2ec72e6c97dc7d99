//! Every bound of the codec, with its reason. [`Limits`] holds those that an operator may want to change.

/// Longest head (request or answer), bytes. Browsers stay under 16 KiB even with large cookies; servers behind us
/// accept 64 KiB (uvicorn's h11) or 32 KiB (nginx's four buffers of 8 KiB), so 32 KiB is refused here before there.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Ceiling for [`Limits::head_bytes_max`], bytes: spans are 16 bit wide.
pub const HEAD_BYTES_CEILING: usize = 60 * 1024;

/// Longest request target, bytes. RFC 9112 asks for at least 8000 octets; nginx has the same 8 KiB.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Most header lines in a head. nginx, h11 and Django have 100 to 1000; heads seen in practice have under 40.
pub const HEADER_LINES_MAX: usize = 100;

/// Longest method, bytes. The longest registered one is UPDATEREDIRECTREF (17).
pub const METHOD_BYTES_MAX: usize = 24;

/// Longest `Host`, bytes: a DNS name (253), a colon and a port.
pub const HOST_BYTES_MAX: usize = 259;

/// Most names that `Connection` may nominate for removal. Real ones nominate at most two or three.
pub const CONNECTION_NAMES_MAX: usize = 8;

/// Most digits of a chunk size: 16 hexadecimal digits fill 64 bits, a 17th would overflow them.
pub const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// Most bytes of chunk extensions in one body, in total: nobody uses them, and one-byte chunks with long
/// extensions make a small body cost much (the flood behind CVE-2024-22019).
pub const CHUNK_EXT_BYTES_MAX: u32 = 4 * 1024;

/// Most bytes of trailers after a chunked body. They are dropped, so this bounds only what is read in vain.
pub const TRAILER_BYTES_MAX: u32 = 8 * 1024;

/// Longest request body, bytes, where nothing else is configured: larger uploads belong in an object store.
pub const BODY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The bounds that an operator may change; the rest are constants of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest head, bytes; more than [`HEAD_BYTES_CEILING`] is taken as that. Exceeded: 431.
    pub head_bytes_max: usize,
    /// Longest request target, bytes. Exceeded: 414.
    pub target_bytes_max: usize,
    /// Longest request body, bytes, known from its length (at the head) or from its chunks (on the way). Exceeded: 413.
    pub body_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes_max: HEAD_BYTES_MAX,
            target_bytes_max: TARGET_BYTES_MAX,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}

impl Limits {
    /// The head's bound with the ceiling applied.
    pub(crate) fn head_bytes(&self) -> usize {
        self.head_bytes_max.min(HEAD_BYTES_CEILING)
    }
}
