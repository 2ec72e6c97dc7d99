//! Writing, byte for byte as Python's `xmlrpc.client.dumps` does it, save for one thing: characters that XML
//! cannot carry. Python writes them raw and then cannot read them; here they become U+FFFD, and a carriage
//! return a reference, so that the last lines of any log can be shown.

use super::{Fault, Value};

const DECLARATION: &str = "<?xml version='1.0'?>\n";

/// A call.
pub fn write_call(method: &str, params: &[Value]) -> String {
    let mut out = String::from(DECLARATION);
    out.push_str("<methodCall>\n<methodName>");
    escape(&mut out, method);
    out.push_str("</methodName>\n<params>\n");
    for param in params {
        out.push_str("<param>\n");
        value(&mut out, param);
        out.push_str("</param>\n");
    }
    out.push_str("</params>\n</methodCall>\n");
    out
}

/// An answer.
pub fn write_response(result: &Value) -> String {
    let mut out = String::from(DECLARATION);
    out.push_str("<methodResponse>\n<params>\n<param>\n");
    value(&mut out, result);
    out.push_str("</param>\n</params>\n</methodResponse>\n");
    out
}

/// A fault as the answer.
pub fn write_fault(fault: &Fault) -> String {
    let mut out = String::from(DECLARATION);
    out.push_str("<methodResponse>\n<fault>\n");
    let members = Value::members([
        ("faultCode", Value::from(fault.code)),
        ("faultString", Value::from(fault.text.as_str())),
    ]);
    value(&mut out, &members);
    out.push_str("</fault>\n</methodResponse>\n");
    out
}

fn value(out: &mut String, item: &Value) {
    out.push_str("<value>");
    match item {
        Value::Int(number) => {
            let number = (*number).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            out.push_str(&format!("<int>{number}</int>"));
        }
        Value::Bool(truth) => {
            out.push_str(if *truth {
                "<boolean>1</boolean>"
            } else {
                "<boolean>0</boolean>"
            });
        }
        Value::String(text) => {
            out.push_str("<string>");
            escape(out, text);
            out.push_str("</string>");
        }
        Value::Double(number) => out.push_str(&format!("<double>{number:?}</double>")),
        Value::Array(items) => {
            out.push_str("<array><data>\n");
            for item in items {
                value(out, item);
            }
            out.push_str("</data></array>");
        }
        Value::Struct(members) => {
            out.push_str("<struct>\n");
            for (name, item) in members {
                out.push_str("<member>\n<name>");
                escape(out, name);
                out.push_str("</name>\n");
                value(out, item);
                out.push_str("</member>\n");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>\n");
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            c if is_forbidden(c) => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}

/// XML 1.0, production 2 (Char): what is outside of it cannot be written in any way.
pub(super) fn is_forbidden(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => false,
    }
}
