//! `system.*`: introspection and many calls in one.

use control::Fault as Kind;

use super::table::{Call, METHODS, Method};
use super::{Answer, Rpc};
use crate::logfile::READ_BYTES_MAX;
use crate::xmlrpc::{Fault, Value};

/// Bytes of text in the results of one multicall, after which no more calls are made: a request of 1 MiB has room for
/// thousands of calls, and each may ask for a whole log. The longest two fit.
const MULTICALL_BYTES_MAX: usize = 2 * READ_BYTES_MAX as usize;

pub(super) fn list() -> Value {
    Value::Array(METHODS.iter().map(|method| method.name.into()).collect())
}

pub(super) fn help(name: &str) -> Answer {
    match Method::find(name) {
        Some(method) => Ok(method.help.into()),
        None => Err(Fault::of(Kind::SignatureUnsupported)),
    }
}

pub(super) fn signature(name: &str) -> Answer {
    match Method::find(name) {
        Some(method) => Ok(Value::Array(
            method.types.iter().map(|kind| Value::from(*kind)).collect(),
        )),
        None => Err(Fault::of(Kind::SignatureUnsupported)),
    }
}

impl Rpc {
    /// One after the other, as Supervisor does it. A result is the bare value (not an array of one, as other
    /// servers have it): clients of Supervisor know that.
    pub(super) async fn multicall(&self, params: &[Value]) -> Answer {
        let calls = match params {
            [Value::Array(calls)] => calls,
            _ => return Err(Fault::of(Kind::IncorrectParameters)),
        };
        let mut results = Vec::with_capacity(calls.len());
        let mut bytes = 0;
        for call in calls {
            let answer = match bytes > MULTICALL_BYTES_MAX {
                true => Err(Fault::with(
                    Kind::Failed,
                    "the results are too long together",
                )),
                false => self.one_of_many(call).await,
            };
            results.push(match answer {
                Ok(value) => {
                    bytes += value.text_bytes();
                    value
                }
                Err(fault) => Value::members([
                    ("faultCode", fault.code.into()),
                    ("faultString", fault.text.into()),
                ]),
            });
        }
        Ok(Value::Array(results))
    }

    async fn one_of_many(&self, call: &Value) -> Answer {
        let incorrect = |why: &str| Err(Fault::with(Kind::IncorrectParameters, why));
        let Some(name) = call.get("methodName").and_then(Value::as_str) else {
            return incorrect("No methodName");
        };
        let params = match call.get("params") {
            None => &[],
            Some(Value::Array(params)) => params.as_slice(),
            Some(_) => return Err(Fault::of(Kind::IncorrectParameters)),
        };
        match Method::find(name) {
            None => Err(Fault::of(Kind::UnknownMethod)),
            Some(method) if method.call == Call::Multicall => {
                incorrect("Recursive system.multicall forbidden")
            }
            Some(method) => self.call_one(method, params).await,
        }
    }
}
