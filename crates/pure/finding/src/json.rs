//! A finding as JSON: the same fields, absent where there is nothing, secrets masked.

use serde_json::{Map, Value, json};

use crate::mask::mask_line;
use crate::{Finding, Span};

impl Finding {
    /// The finding as a JSON object: `code`, `severity`, `message` always; `certainty`, `file`, `line`, `column`, `length`, `text`,
    /// `effect`, `fix`, `hint`, `related` where there is something. Lines and columns count from 1, in characters. The quoted line is
    /// masked, so `column` fits the file and not always `text`.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("code".into(), json!(self.code));
        object.insert("severity".into(), json!(self.severity.word()));
        object.insert("message".into(), json!(self.message));
        if let Some(certainty) = self.certainty {
            object.insert("certainty".into(), json!(certainty.word()));
        }
        if let Some(span) = &self.span {
            put_span(&mut object, span);
        }
        let optional = [("effect", &self.effect), ("hint", &self.hint)];
        for (name, value) in optional {
            if let Some(value) = value {
                object.insert(name.into(), json!(value));
            }
        }
        if let Some(fix) = &self.fix {
            object.insert("fix".into(), json!(mask_line(fix)));
        }
        if !self.related.is_empty() {
            let related = self.related.iter().map(|r| {
                let mut object = Map::new();
                object.insert("message".into(), json!(r.message));
                put_span(&mut object, &r.span);
                Value::Object(object)
            });
            object.insert("related".into(), Value::Array(related.collect()));
        }
        Value::Object(object)
    }
}

fn put_span(object: &mut Map<String, Value>, span: &Span) {
    object.insert("file".into(), json!(&*span.file));
    object.insert("line".into(), json!(span.line));
    object.insert("column".into(), json!(span.column));
    object.insert("length".into(), json!(span.length));
    object.insert("text".into(), json!(mask_line(&span.text)));
}
