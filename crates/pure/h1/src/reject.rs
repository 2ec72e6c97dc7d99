//! Why a message was refused: one variant per rule, with the status that a client is answered and a short name that
//! stays the same (logs, counters, tests).

/// A request that is not served. After any of them the connection must be closed: where the next request would begin
/// is no longer certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// A CR that is not followed by LF.
    BareCr,
    /// An LF that does not follow CR.
    BareLf,
    /// More than one empty line before the request line, or a stray CR there.
    LeadingLines,
    /// The request line is not `method SP target SP HTTP/x.y`; an HTTP/0.9 line, blanks too many, no target.
    RequestLine,
    /// The method is not made of capital letters and hyphens, or longer than [`crate::METHOD_BYTES_MAX`].
    MethodUnknown,
    /// CONNECT or TRACE.
    MethodRefused,
    /// A version other than 1.0 and 1.1, and the preface of HTTP/2.
    VersionUnsupported,
    /// The target holds a control character or a byte outside ASCII.
    TargetCharacter,
    /// The target holds a fragment.
    TargetFragment,
    /// The target is neither a path, nor an http(s) URL, nor `*` with OPTIONS.
    TargetForm,
    /// The target is longer than [`crate::Limits::target_bytes_max`].
    TargetTooLong,
    /// A header name is empty, holds a character that is no token character, or is followed by a blank.
    HeaderName,
    /// A header value holds a control character.
    HeaderValue,
    /// A line begins with a blank: the first one, or a folded one.
    FoldedLine,
    /// More than [`crate::HEADER_LINES_MAX`] lines.
    TooManyHeaders,
    /// The head is longer than [`crate::Limits::head_bytes_max`].
    HeadTooLong,
    /// HTTP/1.1 without Host.
    HostMissing,
    /// Two Host lines.
    HostRepeated,
    /// Host is empty, too long, or no name or address with an optional port.
    HostInvalid,
    /// The authority of an absolute target is not the Host.
    HostMismatch,
    /// Content-Length is not a plain decimal number below 2^64.
    LengthInvalid,
    /// Two Content-Length lines, equal or not.
    LengthRepeated,
    /// Transfer-Encoding beside Content-Length.
    LengthAndEncoding,
    /// Two Transfer-Encoding lines.
    EncodingRepeated,
    /// Transfer-Encoding is anything but `chunked`.
    EncodingUnsupported,
    /// Transfer-Encoding in HTTP/1.0.
    EncodingOnHttp10,
    /// The body is longer than [`crate::Limits::body_bytes_max`].
    BodyTooLarge,
    /// Connection is not a list of names, or nominates too many.
    ConnectionInvalid,
    /// Connection nominates a header that is meant for the program, in order to have it removed on the way.
    ConnectionNominates,
    /// Two Authorization lines: the gateway and the program could look at different ones.
    AuthorizationRepeated,
    /// Expect is anything but `100-continue`.
    ExpectUnsupported,
    /// Upgrade to something else than websocket.
    UpgradeUnsupported,
    /// An upgrade to websocket that is not a GET without body whose Connection names upgrade.
    UpgradeInvalid,
    /// A chunked body broke a rule.
    Chunk(BodyError),
}

impl Reject {
    /// The status to answer with.
    pub fn status(self) -> u16 {
        self.table().0
    }

    /// The rule's name: short, stable, safe to log.
    pub fn reason(self) -> &'static str {
        self.table().1
    }

    fn table(self) -> (u16, &'static str) {
        match self {
            Reject::BareCr => (400, "bare-cr"),
            Reject::BareLf => (400, "bare-lf"),
            Reject::LeadingLines => (400, "leading-lines"),
            Reject::RequestLine => (400, "request-line"),
            Reject::MethodUnknown => (501, "method-unknown"),
            Reject::MethodRefused => (405, "method-refused"),
            Reject::VersionUnsupported => (505, "version-unsupported"),
            Reject::TargetCharacter => (400, "target-character"),
            Reject::TargetFragment => (400, "target-fragment"),
            Reject::TargetForm => (400, "target-form"),
            Reject::TargetTooLong => (414, "target-too-long"),
            Reject::HeaderName => (400, "header-name"),
            Reject::HeaderValue => (400, "header-value"),
            Reject::FoldedLine => (400, "folded-line"),
            Reject::TooManyHeaders => (431, "too-many-headers"),
            Reject::HeadTooLong => (431, "head-too-long"),
            Reject::HostMissing => (400, "host-missing"),
            Reject::HostRepeated => (400, "host-repeated"),
            Reject::HostInvalid => (400, "host-invalid"),
            Reject::HostMismatch => (400, "host-mismatch"),
            Reject::LengthInvalid => (400, "length-invalid"),
            Reject::LengthRepeated => (400, "length-repeated"),
            Reject::LengthAndEncoding => (400, "length-and-encoding"),
            Reject::EncodingRepeated => (400, "encoding-repeated"),
            Reject::EncodingUnsupported => (501, "encoding-unsupported"),
            Reject::EncodingOnHttp10 => (400, "encoding-on-http10"),
            Reject::BodyTooLarge => (413, "body-too-large"),
            Reject::ConnectionInvalid => (400, "connection-invalid"),
            Reject::ConnectionNominates => (400, "connection-nominates"),
            Reject::AuthorizationRepeated => (400, "authorization-repeated"),
            Reject::ExpectUnsupported => (417, "expect-unsupported"),
            Reject::UpgradeUnsupported => (501, "upgrade-unsupported"),
            Reject::UpgradeInvalid => (400, "upgrade-invalid"),
            Reject::Chunk(BodyError::TooLarge) => (413, "body-too-large"),
            Reject::Chunk(error) => (400, error.reason()),
        }
    }
}

impl From<BodyError> for Reject {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Reject::BodyTooLarge,
            other => Reject::Chunk(other),
        }
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status(), self.reason())
    }
}

impl std::error::Error for Reject {}

/// A body that is not what its framing promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyError {
    /// A chunk size is not 1 to 16 hexadecimal digits.
    ChunkSize,
    /// A chunk extension holds a control character, or extensions exceed [`crate::CHUNK_EXT_BYTES_MAX`].
    ChunkExtension,
    /// A CRLF is missing where the chunked coding wants exactly one.
    ChunkLine,
    /// A trailer line is malformed, or trailers exceed [`crate::TRAILER_BYTES_MAX`].
    Trailer,
    /// More bytes than allowed.
    TooLarge,
    /// The sender closed before the body was complete.
    Truncated,
}

impl BodyError {
    /// The rule's name: short, stable, safe to log.
    pub fn reason(self) -> &'static str {
        match self {
            BodyError::ChunkSize => "chunk-size",
            BodyError::ChunkExtension => "chunk-extension",
            BodyError::ChunkLine => "chunk-line",
            BodyError::Trailer => "trailer",
            BodyError::TooLarge => "body-too-large",
            BodyError::Truncated => "body-truncated",
        }
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for BodyError {}

/// An answer of the program that cannot be passed on; the client is answered 502 and the connection is not reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadAnswer {
    /// Not `HTTP/1.x SP status`, or a status outside 100..=999.
    StatusLine,
    /// A line that does not end in CRLF, or a stray CR.
    LineEnd,
    /// A malformed header line.
    HeaderLine,
    /// More than [`crate::HEADER_LINES_MAX`] lines.
    TooManyHeaders,
    /// Longer than [`crate::Limits::head_bytes_max`].
    HeadTooLong,
    /// Content-Length invalid or repeated.
    Length,
    /// Transfer-Encoding other than `chunked`, repeated, beside Content-Length, or in HTTP/1.0.
    Encoding,
    /// Connection is not a list of names.
    Connection,
    /// 101 although no upgrade was asked for, or not to websocket.
    Switched,
}

impl BadAnswer {
    /// Always 502.
    pub fn status(self) -> u16 {
        502
    }

    /// The rule's name: short, stable, safe to log.
    pub fn reason(self) -> &'static str {
        match self {
            BadAnswer::StatusLine => "answer-status-line",
            BadAnswer::LineEnd => "answer-line-end",
            BadAnswer::HeaderLine => "answer-header-line",
            BadAnswer::TooManyHeaders => "answer-too-many-headers",
            BadAnswer::HeadTooLong => "answer-head-too-long",
            BadAnswer::Length => "answer-length",
            BadAnswer::Encoding => "answer-encoding",
            BadAnswer::Connection => "answer-connection",
            BadAnswer::Switched => "answer-switched",
        }
    }
}

impl std::fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for BadAnswer {}
