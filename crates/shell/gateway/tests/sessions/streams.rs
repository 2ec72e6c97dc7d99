//! A revocation reaches what is open.

use crate::common::door::{Asked, Door};
use crate::common::find;
use gateway::config::Auth;

#[test]
fn a_revocation_closes_websockets_and_event_streams_of_its_session() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    let other = door.sign_in("bob");
    let socket = |cookie: &str| {
        let mut client = door.client();
        client.send(
            &Asked::get("/socket")
                .cookie(cookie)
                .line("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-Fetch-Site: same-origin")
                .text(),
        );
        assert_eq!(client.answer().status, 101);
        client
    };
    let stream = |cookie: &str| {
        let mut client = door.client();
        client.send(&Asked::get("/events").cookie(cookie).text());
        client
            .read_until(|read| find(read, b"data: 1\n\n").is_some())
            .expect("an event");
        client
    };
    let (mut closes, mut stays) = (socket(&cookie), socket(&other));
    let mut ends = stream(&cookie);
    door.ask(
        Asked::post("/logout", "")
            .cookie(&cookie)
            .line("Sec-Fetch-Site: none"),
    );
    // 1008, not 1012: who came again at once would only be refused.
    closes
        .read_until(|read| read == [0x88, 0x02, 0x03, 0xf0])
        .expect("a last word");
    closes.read.clear();
    assert!(closes.is_closed());
    ends.read_until(|read| read.ends_with(b"0\r\n\r\n"))
        .expect("a clean end of the stream");
    stays.send("still");
    stays
        .read_until(|read| find(read, b"still").is_some())
        .expect("an echo");
}
