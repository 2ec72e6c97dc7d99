//! Reading.

use base64::Engine;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::encode::is_forbidden;
use super::{DEPTH_MAX, Fault, VALUES_MAX, Value};

/// Why a document is not a message of XML-RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Not well-formed XML.
    Xml(String),
    /// XML that the protocol does not know at this place.
    Unexpected(String),
    /// A value whose text is not one of its type.
    BadValue(&'static str),
    /// More than [`DEPTH_MAX`] or [`VALUES_MAX`].
    TooLarge,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Xml(text) => write!(f, "not XML: {text}"),
            Error::Unexpected(what) => write!(f, "not XML-RPC: unexpected {what}"),
            Error::BadValue(kind) => write!(f, "not XML-RPC: bad {kind}"),
            Error::TooLarge => f.write_str("too many or too deep values"),
        }
    }
}

impl std::error::Error for Error {}

/// Reads a `methodCall`: the method's name and its parameters (none if there is no `params`).
pub fn call(text: &str) -> Result<(String, Vec<Value>), Error> {
    let mut parser = Parser::new(text);
    parser.strict = true;
    parser.open("methodCall")?;
    parser.open("methodName")?;
    let method = parser.text()?.trim().to_owned();
    let mut params = Vec::new();
    match parser.next()? {
        Token::Close => {}
        Token::Open(name) if name == "params" => {
            params = parser.params()?;
            parser.close()?;
        }
        other => return Err(other.unexpected()),
    }
    parser.end()?;
    Ok((method, params))
}

/// Reads a `methodResponse`.
pub fn response(text: &str) -> Result<Result<Value, Fault>, Error> {
    let mut parser = Parser::new(text);
    parser.open("methodResponse")?;
    let result = match parser.next()? {
        Token::Open(name) if name == "params" => {
            let mut params = parser.params()?;
            match (params.pop(), params.is_empty()) {
                (Some(value), true) => Ok(value),
                _ => return Err(Error::Unexpected("number of results".to_owned())),
            }
        }
        Token::Open(name) if name == "fault" => {
            parser.open("value")?;
            let fault = parser.value(0)?;
            parser.close()?;
            let code = fault.get("faultCode").and_then(Value::as_int);
            let text = fault.get("faultString").and_then(Value::as_str);
            match (code.and_then(|code| i32::try_from(code).ok()), text) {
                (Some(code), Some(text)) => Err(Fault {
                    code,
                    text: text.to_owned(),
                }),
                _ => return Err(Error::BadValue("fault")),
            }
        }
        other => return Err(other.unexpected()),
    };
    parser.close()?;
    parser.end()?;
    Ok(result)
}

enum Token {
    Open(String),
    Close,
    Text(String),
    End,
}

impl Token {
    fn unexpected(self) -> Error {
        Error::Unexpected(match self {
            Token::Open(name) => format!("<{name}>"),
            Token::Close => "end of an element".to_owned(),
            Token::Text(_) => "text".to_owned(),
            Token::End => "end of the document".to_owned(),
        })
    }
}

struct Parser<'a> {
    reader: Reader<&'a [u8]>,
    values: usize,
    /// Characters that XML forbids are refused, as Supervisor's parser does. Answers are read with them: Supervisor
    /// writes what is in a log as it is.
    strict: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        reader.config_mut().expand_empty_elements = true;
        Parser {
            reader,
            values: 0,
            strict: false,
        }
    }

    /// The next token. Comments, declarations and instructions are passed over.
    fn token(&mut self) -> Result<Token, Error> {
        match self.any_token()? {
            Token::Text(text) if self.strict && text.contains(is_forbidden) => {
                Err(Error::Xml("a character that XML does not know".to_owned()))
            }
            other => Ok(other),
        }
    }

    fn any_token(&mut self) -> Result<Token, Error> {
        loop {
            let event = self
                .reader
                .read_event()
                .map_err(|error| Error::Xml(error.to_string()))?;
            return Ok(match event {
                Event::Start(tag) => {
                    Token::Open(String::from_utf8_lossy(tag.name().as_ref()).into_owned())
                }
                Event::End(_) => Token::Close,
                Event::Eof => Token::End,
                Event::Text(text) => Token::Text(
                    text.xml10_content()
                        .map_err(|error| Error::Xml(error.to_string()))?
                        .into_owned(),
                ),
                Event::CData(text) => Token::Text(
                    text.xml10_content()
                        .map_err(|error| Error::Xml(error.to_string()))?
                        .into_owned(),
                ),
                Event::GeneralRef(reference) => Token::Text(entity(&reference)?.to_string()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::DocType(_) => return Err(Error::Unexpected("document type".to_owned())),
                // Not sent with expand_empty_elements.
                Event::Empty(_) => return Err(Error::Unexpected("empty element".to_owned())),
            });
        }
    }

    /// The next token that is not white space.
    fn next(&mut self) -> Result<Token, Error> {
        loop {
            match self.token()? {
                Token::Text(text) if text.trim().is_empty() => {}
                other => return Ok(other),
            }
        }
    }

    fn open(&mut self, name: &str) -> Result<(), Error> {
        match self.next()? {
            Token::Open(found) if found == name => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.next()? {
            Token::Close => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.next()? {
            Token::End => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    /// The text up to the end of the element.
    fn text(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            match self.token()? {
                Token::Text(more) => text.push_str(&more),
                Token::Close => return Ok(text),
                other => return Err(other.unexpected()),
            }
        }
    }

    /// Behind `<params>`.
    fn params(&mut self) -> Result<Vec<Value>, Error> {
        let mut params = Vec::new();
        loop {
            match self.next()? {
                Token::Close => return Ok(params),
                Token::Open(name) if name == "param" => {
                    self.open("value")?;
                    params.push(self.value(0)?);
                    self.close()?;
                }
                other => return Err(other.unexpected()),
            }
        }
    }

    /// Behind `<value>`, to behind its end.
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        self.values += 1;
        if depth >= DEPTH_MAX || self.values > VALUES_MAX {
            return Err(Error::TooLarge);
        }
        let mut text = String::new();
        loop {
            match self.token()? {
                Token::Text(more) => text.push_str(&more),
                Token::Close => return Ok(Value::String(text)),
                Token::Open(kind) if text.trim().is_empty() => {
                    let value = self.typed(&kind, depth)?;
                    self.close()?;
                    return Ok(value);
                }
                other => return Err(other.unexpected()),
            }
        }
    }

    fn typed(&mut self, kind: &str, depth: usize) -> Result<Value, Error> {
        match kind {
            "int" | "i4" | "i8" => {
                let number = self.text()?.trim().parse();
                number.map(Value::Int).map_err(|_| Error::BadValue("int"))
            }
            "boolean" => match self.text()?.trim() {
                "0" => Ok(Value::Bool(false)),
                "1" => Ok(Value::Bool(true)),
                _ => Err(Error::BadValue("boolean")),
            },
            "double" => {
                let number = self.text()?.trim().parse();
                number
                    .map(Value::Double)
                    .map_err(|_| Error::BadValue("double"))
            }
            "string" | "dateTime.iso8601" => Ok(Value::String(self.text()?)),
            "base64" => {
                let mut text = self.text()?;
                text.retain(|c| !c.is_ascii_whitespace());
                base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .map(Value::String)
                    .ok_or(Error::BadValue("base64"))
            }
            "array" => self.array(depth),
            "struct" => self.members(depth),
            other => Err(Error::Unexpected(format!("<{other}>"))),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Error> {
        self.open("data")?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Token::Close => break,
                Token::Open(name) if name == "value" => items.push(self.value(depth + 1)?),
                other => return Err(other.unexpected()),
            }
        }
        self.close()?;
        Ok(Value::Array(items))
    }

    fn members(&mut self, depth: usize) -> Result<Value, Error> {
        let mut members = Vec::new();
        loop {
            match self.next()? {
                Token::Close => return Ok(Value::Struct(members)),
                Token::Open(name) if name == "member" => {
                    self.open("name")?;
                    let name = self.text()?;
                    self.open("value")?;
                    members.push((name, self.value(depth + 1)?));
                    self.close()?;
                }
                other => return Err(other.unexpected()),
            }
        }
    }
}

/// Character references and the five entities that XML itself has.
fn entity(reference: &quick_xml::events::BytesRef) -> Result<char, Error> {
    let bad = |error: &dyn std::fmt::Display| Error::Xml(error.to_string());
    if let Some(c) = reference.resolve_char_ref().map_err(|error| bad(&error))? {
        return Ok(c);
    }
    let name = reference.decode().map_err(|error| bad(&error))?;
    match name.as_ref() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        other => Err(Error::Unexpected(format!("entity &{other};"))),
    }
}
