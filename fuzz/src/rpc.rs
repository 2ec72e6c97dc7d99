//! XML-RPC: what is taken for a call can be written and read again as the same call.

use supervisord::xmlrpc::{self, Value};

/// See the README.
pub fn xmlrpc(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok((method, params)) = xmlrpc::call(text) {
        // What was read is bounded by what was sent: no entity multiplies it.
        let size: usize = params.iter().map(Value::text_bytes).sum();
        assert!(
            size <= text.len(),
            "{size} bytes of text came of {}",
            text.len()
        );
        let written = xmlrpc::write_call(&method, &params);
        let again = xmlrpc::call(&written).expect("what we write we can read");
        assert_eq!(again.0, method);
        assert_eq!(format!("{:?}", again.1), format!("{params:?}"));
    }
    if let Ok(answer) = xmlrpc::response(text) {
        let written = match &answer {
            Ok(value) => xmlrpc::write_response(value),
            Err(fault) => xmlrpc::write_fault(fault),
        };
        let again = xmlrpc::response(&written).expect("what we write we can read");
        // An answer may hold what XML forbids (Supervisor writes logs as they are): writing marks it, once.
        if let Ok(value) = &again {
            assert_eq!(xmlrpc::write_response(value), written);
        }
    }
}
