//! How requests end without an answer, and connections with requests in flight.

use std::time::Duration;

use super::*;

fn ends(http2: &mut Http2<u32>) -> Vec<(u32, &'static str)> {
    let name = |end: &Result<Answer, Failure>| match end {
        Ok(_) => "answered",
        Err(Failure::Unprocessed(_)) => "unprocessed",
        Err(Failure::Broken(_)) => "broken",
        Err(Failure::TimedOut) => "timed out",
    };
    http2.ended().iter().map(|(reply, end)| (*reply, name(end))).collect()
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(frame::RST_STREAM, 0, stream, &code.to_be_bytes())
}

#[test]
fn only_a_refused_stream_was_not_processed() {
    let mut http2 = connected();
    for reply in 0..3 {
        begin(&mut http2, b"", reply);
    }
    http2.receive(&[reset(1, 7), reset(3, 8), reset(5, 2)].concat()).unwrap();
    assert_eq!(ends(&mut http2), [(0, "unprocessed"), (1, "broken"), (2, "broken")]);
}

/// Whatever breaks it off.
#[test]
fn a_success_that_breaks_off_is_one_and_a_refusal_was_processed() {
    let broken_off = |status: &[u8]| {
        let mut all = Vec::new();
        for breaks in [reset(1, 2), reset(1, 7), goaway(0, 0), Vec::new()] {
            let mut http2 = connected();
            let id = begin(&mut http2, b"", 5);
            http2.receive(&frame(frame::HEADERS, frame::END_HEADERS, id, status)).unwrap();
            http2.receive(&breaks).unwrap();
            http2.end("gone");
            all.extend(ends(&mut http2));
        }
        all
    };
    assert_eq!(broken_off(b"\x88"), [(5, "answered"); 4]);
    assert_eq!(broken_off(b"\x8e"), [(5, "broken"); 4]);
}

#[test]
fn nothing_is_begun_while_the_server_takes_nothing() {
    let mut http2 = connected();
    let long = "x".repeat(1 << 20);
    let post = Post { authority: "push.example", path: long.as_str().into(), fields: Vec::new() };
    let begun =
        (0..20).take_while(|reply| http2.begin(&post, Bytes::new(), *reply).is_ok()).count();
    assert_eq!(begun, 8);
    output(&mut http2);
    assert!(http2.begin(&post, Bytes::new(), 9).is_ok());
}

#[test]
fn what_is_above_the_last_stream_was_not_processed_and_the_rest_goes_on() {
    let mut http2 = connected();
    for reply in 0..3 {
        begin(&mut http2, b"", reply);
    }
    assert_eq!(http2.take_goaway(), None);
    http2.receive(&goaway(u32::MAX >> 1, 0)).unwrap();
    assert_eq!((ends(&mut http2), http2.take_goaway().is_some()), (vec![], true));
    http2.receive(&goaway(3, 0)).unwrap();
    assert_eq!(http2.take_goaway(), None);
    assert_eq!(ends(&mut http2), [(2, "unprocessed")]);
    let post = Post { authority: "push.example", path: "/1".into(), fields: Vec::new() };
    assert_eq!(http2.begin(&post, Bytes::new(), 9), Err(9));
    http2.receive(&head(1, frame::END_STREAM)).unwrap();
    assert_eq!(ends(&mut http2), [(0, "answered")]);
    http2.end("closed");
    assert_eq!(ends(&mut http2), [(1, "broken")]);
}

#[test]
fn two_goaways_at_once_are_one_piece_of_news() {
    let mut http2 = connected();
    http2.receive(&[goaway(u32::MAX >> 1, 0), goaway(0, 0)].concat()).unwrap();
    assert!(http2.take_goaway().is_some());
    assert_eq!(http2.take_goaway(), None);
}

#[test]
fn a_goaway_tells_why() {
    let mut http2 = connected();
    let payload = [&[0, 0, 0, 0, 0, 0, 0, 11][..], b"{\"reason\":\"Calm\"}\n"].concat();
    http2.receive(&frame(frame::GOAWAY, 0, 0, &payload)).unwrap();
    let why = r#"going away: ENHANCE_YOUR_CALM {\"reason\":\"Calm\"}\n"#;
    assert_eq!(http2.take_goaway().as_deref(), Some(why));
}

#[test]
fn a_connection_that_ends_takes_everything_with_it() {
    let mut http2 = connected();
    begin(&mut http2, b"", 5);
    http2.end("gone");
    assert_eq!(http2.ended(), [(5, Err(Failure::Broken("gone".to_owned())))]);
    let post = Post { authority: "push.example", path: "/1".into(), fields: Vec::new() };
    assert_eq!(http2.begin(&post, Bytes::new(), 9), Err(9));
}

#[test]
fn each_request_has_its_own_deadline() {
    let mut http2 = connected();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(http2.expire(at(0), at(10)), None);
    begin(&mut http2, b"", 0);
    assert_eq!(http2.expire(at(1), at(11)), Some(at(11)));
    begin(&mut http2, b"", 1);
    begin(&mut http2, b"", 2);
    assert_eq!(http2.expire(at(2), at(12)), Some(at(11)));
    http2.receive(&head(3, frame::END_STREAM)).unwrap();
    assert_eq!(ends(&mut http2), [(1, "answered")]);
    output(&mut http2);
    assert_eq!(http2.expire(at(11), at(21)), Some(at(12)));
    assert_eq!(ends(&mut http2), [(0, "timed out")]);
    assert_eq!(output(&mut http2), [(frame::RST_STREAM, 0, 1, vec![0, 0, 0, 8])]);
    assert_eq!(http2.expire(at(30), at(40)), None);
    assert_eq!(ends(&mut http2), [(2, "timed out")]);
    // An answer that comes after all is nobody's.
    http2.receive(&head(1, frame::END_STREAM)).unwrap();
    assert_eq!(ends(&mut http2), []);
}

#[test]
fn what_nobody_waits_for_is_cancelled_once() {
    let mut http2 = connected();
    let id = begin(&mut http2, b"", 5);
    output(&mut http2);
    http2.forget(id);
    http2.forget(id);
    assert_eq!(output(&mut http2), [(frame::RST_STREAM, 0, id, vec![0, 0, 0, 8])]);
    assert_eq!(ends(&mut http2), []);
}

#[test]
fn goodbye_is_said() {
    let mut http2 = connected();
    http2.close();
    assert_eq!(output(&mut http2), [(frame::GOAWAY, 0, 0, vec![0; 8])]);
}
