//! Round trips, the forms of other clients, and what is refused.

use proptest::prelude::*;

use super::*;

fn request(value: &str) -> String {
    format!(
        "<?xml version='1.0'?>\n<methodCall>\n<methodName>supervisor.x</methodName>\n<params><param><value>{value}</value></param></params></methodCall>\n"
    )
}

fn reads(value: &str, expected: Value) {
    assert_eq!(
        call(&request(value)),
        Ok(("supervisor.x".to_owned(), vec![expected])),
        "{value}"
    );
}

fn refuses(document: &str) {
    assert!(call(document).is_err(), "{document}");
}

#[test]
fn every_form_of_a_value() {
    reads("plain", Value::from("plain"));
    reads(" kept  ", Value::from(" kept  "));
    reads("", Value::from(""));
    reads("<string/>", Value::from(""));
    reads(
        "<string>a&lt;b&#x41;&#10;<![CDATA[<&]]></string>",
        Value::from("a<bA\n<&"),
    );
    reads("<i4>-7</i4>", Value::Int(-7));
    reads(" <int> 7 </int> ", Value::Int(7));
    reads("<boolean>1</boolean>", Value::Bool(true));
    reads("<double>1.5</double>", Value::Double(1.5));
    reads("<base64>aGk=\n</base64>", Value::from("hi"));
    reads(
        "<array><data><value>a</value><!-- b --><value><int>1</int></value></data></array>",
        Value::Array(vec![Value::from("a"), Value::Int(1)]),
    );
    reads(
        "<struct><member><name>a</name><value>b</value></member></struct>",
        Value::members([("a", Value::from("b"))]),
    );
}

#[test]
fn a_call_without_params() {
    let bare = "<methodCall><methodName>system.listMethods</methodName></methodCall>";
    assert_eq!(call(bare), Ok(("system.listMethods".to_owned(), vec![])));
}

#[test]
fn refused() {
    refuses("");
    refuses("GET / HTTP/1.1");
    refuses("<methodCall><methodName>x</methodName>");
    refuses("<methodCall><params/></methodCall>");
    refuses("<methodCall><methodName>x</methodName></methodCall><more/>");
    refuses(&request("<nil/>"));
    refuses(&request("<int>seven</int>"));
    refuses(&request("<int>99999999999999999999</int>"));
    refuses(&request("<boolean>yes</boolean>"));
    refuses(&request("<string>a</int>"));
    refuses(&request("x<string>a</string>"));
    refuses(&request("<base64>****</base64>"));
    refuses(&request("&nbsp;"));
    refuses(&request("&"));
    let bomb = "<!DOCTYPE m [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>";
    refuses(&request("&b;").replacen("\n", bomb, 1));
    refuses(&request(&"<array><data><value>".repeat(100_000)));
    let deep = |n: usize| {
        request(&("<array><data><value>".repeat(n) + &"</value></data></array>".repeat(n)))
    };
    assert!(call(&deep(DEPTH_MAX - 1)).is_ok());
    assert_eq!(call(&deep(DEPTH_MAX)), Err(Error::TooLarge));
    let wide = format!(
        "<array><data>{}</data></array>",
        "<value/>".repeat(VALUES_MAX)
    );
    assert_eq!(call(&request(&wide)), Err(Error::TooLarge));
}

#[test]
fn written_as_python_writes_it() {
    let value = Value::members([
        (
            "a",
            Value::Array(vec![
                Value::Int(1),
                Value::Bool(true),
                Value::from("<>&\"'"),
            ]),
        ),
        ("b", Value::Double(1.5)),
        ("c", Value::members([])),
    ]);
    assert_eq!(
        write_response(&value),
        "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n<member>\n<name>a</name>\n\
         <value><array><data>\n<value><int>1</int></value>\n<value><boolean>1</boolean></value>\n\
         <value><string>&lt;&gt;&amp;\"'</string></value>\n</data></array></value>\n</member>\n<member>\n<name>b</name>\n\
         <value><double>1.5</double></value>\n</member>\n<member>\n<name>c</name>\n<value><struct>\n</struct></value>\n\
         </member>\n</struct></value>\n</param>\n</params>\n</methodResponse>\n"
    );
    assert_eq!(
        write_fault(&Fault::with(control::Fault::BadName, "foo")),
        "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n\
         <value><int>10</int></value>\n</member>\n<member>\n<name>faultString</name>\n\
         <value><string>BAD_NAME: foo</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n"
    );
}

#[test]
fn what_xml_cannot_carry_is_marked_and_dates_saturate() {
    let odd = Value::Array(vec![
        Value::from("\u{1b}[1m\0\r\n\u{ffff}"),
        Value::Int(i64::MAX),
    ]);
    let back = response(&write_response(&odd));
    assert_eq!(
        back,
        Ok(Ok(Value::Array(vec![
            Value::from("\u{fffd}[1m\u{fffd}\r\n\u{fffd}"),
            Value::Int(i64::from(i32::MAX))
        ])))
    );
}

#[test]
fn a_call_with_what_xml_forbids_is_none_and_an_answer_is_read() {
    let call_of = |text: &str| {
        call(&format!(
            "<methodCall><methodName>a</methodName><params><param><value>{text}</value></param></params></methodCall>"
        ))
    };
    for forbidden in [
        "\0",
        "\u{1b}[1m",
        "&#1;",
        "&#x1b;",
        "\u{ffff}",
        "<![CDATA[\u{8}]]>",
    ] {
        assert!(call_of(forbidden).is_err(), "{forbidden:?}");
    }
    // The name of a member as well; found by the fuzzer.
    let member = "<struct><member><name>a\0</name><value>x</value></member></struct>";
    assert!(call_of(member).is_err());
    assert!(call_of("\t\n&#13;\u{7f}\u{fffd}").is_ok());
    // Supervisor writes a log as it is, and people want to read it.
    let log = "<methodResponse><params><param><value><string>\u{1b}[1mred</string></value></param></params></methodResponse>";
    assert_eq!(response(log), Ok(Ok(Value::from("\u{1b}[1mred"))));
}

#[test]
fn responses() {
    let fault = Fault {
        code: 70,
        text: "NOT_RUNNING: a".to_owned(),
    };
    assert_eq!(response(&write_fault(&fault)), Ok(Err(fault)));
    assert!(response("<methodResponse><params/></methodResponse>").is_err());
    assert!(response("<methodResponse><fault><value>x</value></fault></methodResponse>").is_err());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::Bool),
        // Everything that XML can carry.
        "[\t\n\r -\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]{0,12}".prop_map(Value::String),
        (-1e15f64..1e15).prop_map(Value::Double),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec(("[a-z<&]{0,6}", inner), 0..6).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_survives_the_way(value in values()) {
        let text = write_response(&value);
        prop_assert_eq!(response(&text), Ok(Ok(value.clone())));
        let params = vec![value];
        prop_assert_eq!(call(&write_call("a.b", &params)), Ok(("a.b".to_owned(), params)));
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = call(&text);
        let _ = response(&text);
    }

    #[test]
    fn no_damage_makes_it_panic(value in values(), at in any::<prop::sample::Index>(), with in "[<>&/;a\\]!\\[-]{0,4}") {
        let mut text: Vec<char> = write_call("a.b", &[value]).chars().collect();
        let at = at.index(text.len());
        text.splice(at..(at + 2).min(text.len()), with.chars());
        let text: String = text.into_iter().collect();
        let _ = call(&text);
    }
}
