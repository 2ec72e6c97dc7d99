//! `claims = flask-jwt-extended` against the library itself: it takes the tokens that the gateway makes for a session, and
//! the one that `prove` makes.

use super::app::start;
use crate::harness::venv;
use crate::signed_in::people;

#[test]
fn flask_jwt_extended_takes_tokens_of_the_gateway() {
    let gunicorn = venv("gunicorn").display().to_string();
    let app = start(
        &format!("{gunicorn} cookies:app --bind 127.0.0.1:@PORT@ --workers 1"),
        "claims = flask-jwt-extended\nprove = /api/auth/verify\n[gateway:web]\nlisten = 127.0.0.1:@PORT@\nroute = / -> app\n\
         auth = optional\nlogin = /l1/login\n[sessions]\n",
    );
    let verify = |credential: &str| {
        let (status, body) = app.get("/api/auth/verify", credential);
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        (status, body)
    };
    assert_eq!(verify("").0, 401);
    let answer = people::try_ask(app.port, "POST", "/l1/login", "", r#"{"user":"ann"}"#);
    let (status, head, body) = answer.expect("an answer");
    assert_eq!(status, 200, "{body}");
    let cookie = people::cookie(&head).expect("a session");
    for rotated in [false, true] {
        if rotated {
            app.say(&["secrets", "rotate", "SECRET_KEY"]);
        }
        let (status, body) = verify(&cookie);
        assert_eq!(status, 200, "{body}");
        assert_eq!(
            (&body["user"], &body["claims"]["type"]),
            (&"ann".into(), &"access".into())
        );
        assert_eq!(body["claims"]["fresh"], false);
    }
}
