//! XML-RPC, as much of it as Supervisor and its clients speak (xmlrpc.com/spec.md, Python's `xmlrpc.client`).
//!
//! Decoding is one pass without a tree of the document: the only thing that is built is the value itself, and
//! its size, depth and number of parts are bounded before memory is asked for. Document types and entities of
//! their own are refused, so there is nothing to expand. `nil` is refused: Supervisor has no use for it.

mod decode;
mod encode;

pub use decode::{Error, call, response};
pub use encode::{write_call, write_fault, write_response};

/// Bytes of the longest request: the longest honest one is a `system.multicall` over every process.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Depth of values in values: `system.multicall` with struct parameters needs 6.
pub const DEPTH_MAX: usize = 32;
/// Values in one message: a request of [`REQUEST_BYTES_MAX`] made of nothing but the smallest values holds some
/// 45,000; a status of 1000 processes holds 14,000.
pub const VALUES_MAX: usize = 200_000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `int`, `i4`, `i8`. Written in 32 bits, saturated: that is what clients of the protocol read.
    Int(i64),
    /// `boolean`.
    Bool(bool),
    /// `string`, or a value without a type; `base64` and `dateTime.iso8601` are read as one.
    String(String),
    /// `double`.
    Double(f64),
    /// `array`.
    Array(Vec<Value>),
    /// `struct`, in the order of its members.
    Struct(Vec<(String, Value)>),
}

impl Value {
    /// A struct.
    pub fn members<const N: usize>(members: [(&str, Value); N]) -> Value {
        Value::Struct(
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
    /// The member of a struct; of a name that is there twice the last, as in Python.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(members) => members.iter().rev().find(|(n, _)| n == name).map(|m| &m.1),
            _ => None,
        }
    }
    /// Bytes of all texts in it.
    pub fn text_bytes(&self) -> usize {
        match self {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(Value::text_bytes).sum(),
            Value::Struct(members) => {
                let of = |(name, value): &(String, Value)| name.len() + value.text_bytes();
                members.iter().map(of).sum()
            }
            Value::Int(_) | Value::Bool(_) | Value::Double(_) => 0,
        }
    }
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
    /// The number of an int (or of a boolean, as in Python).
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(truth) => Some(i64::from(*truth)),
            _ => None,
        }
    }
    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }
    /// Python's truth of it.
    pub fn truthy(&self) -> bool {
        match self {
            Value::Int(number) => *number != 0,
            Value::Bool(truth) => *truth,
            Value::String(text) => !text.is_empty(),
            Value::Double(number) => *number != 0.0,
            Value::Array(items) => !items.is_empty(),
            Value::Struct(members) => !members.is_empty(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(i64::from(number))
    }
}

/// A fault, on the wire and in answers of [`crate::methods`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `faultCode`.
    pub code: i32,
    /// `faultString`.
    pub text: String,
}

impl Fault {
    /// Supervisor's `RPCError(code)`: the fault's name.
    pub fn of(fault: control::Fault) -> Fault {
        Fault {
            code: fault.code(),
            text: fault.name().to_owned(),
        }
    }
    /// Supervisor's `RPCError(code, extra)`: `BAD_NAME: foo`.
    pub fn with(fault: control::Fault, extra: impl std::fmt::Display) -> Fault {
        Fault {
            code: fault.code(),
            text: format!("{}: {extra}", fault.name()),
        }
    }
}

#[cfg(test)]
mod tests;
