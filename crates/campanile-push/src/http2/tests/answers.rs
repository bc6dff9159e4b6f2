//! What an answer may look like.

use proptest::prelude::*;

use super::*;

/// The one request that ended, and how.
fn only_end(http2: &mut Http2<u32>) -> (u32, Result<Answer, Failure>) {
    let mut ended = http2.ended();
    assert_eq!(ended.len(), 1, "{ended:?}");
    ended.remove(0)
}

fn accepted(body: &'static [u8]) -> Answer {
    let mut headers = Kept::default();
    headers.insert("apns-id", "7");
    Answer { status: StatusCode::OK, headers, body: Bytes::from_static(body) }
}

#[test]
fn a_head_alone_is_an_answer() {
    let mut http2 = connected();
    let id = begin(&mut http2, b"", 5);
    http2.receive(&head(id, frame::END_STREAM)).unwrap();
    assert_eq!(only_end(&mut http2), (5, Ok(accepted(b""))));
    assert_eq!(kinds(&mut http2), [frame::HEADERS]);
}

#[test]
fn only_headers_that_somebody_reads_are_kept() {
    let mut http2 = connected();
    let id = begin(&mut http2, b"", 5);
    let block = [OK, b"\x00\x06server\x03abc"].concat();
    let flags = frame::END_HEADERS | frame::END_STREAM;
    http2.receive(&frame(frame::HEADERS, flags, id, &block)).unwrap();
    assert_eq!(only_end(&mut http2), (5, Ok(accepted(b""))));
}

#[test]
fn of_a_header_that_comes_twice_the_last_is_kept_and_none_that_is_long() {
    let mut http2 = connected();
    let id = begin(&mut http2, b"", 5);
    let long = [&b"\x00\x07apns-id\x7f\x82\x01"[..], &[b'x'; 257]].concat();
    let block = [b"\x88\x00\x07apns-id\x019", &OK[1..], &long].concat();
    let flags = frame::END_HEADERS | frame::END_STREAM;
    http2.receive(&frame(frame::HEADERS, flags, id, &block)).unwrap();
    assert_eq!(only_end(&mut http2), (5, Ok(accepted(b""))));
}

#[test]
fn preliminary_answers_and_trailers_are_passed_over() {
    let mut http2 = connected();
    let id = begin(&mut http2, b"", 5);
    let early = b"\x08\x03103\x00\x07apns-id\x019";
    http2.receive(&frame(frame::HEADERS, frame::END_HEADERS, id, early)).unwrap();
    http2.receive(&head(id, 0)).unwrap();
    http2.receive(&frame(frame::DATA, 0, id, b"body")).unwrap();
    assert_eq!(http2.ended(), []);
    let trailers = b"\x00\x07apns-id\x018";
    let flags = frame::END_HEADERS | frame::END_STREAM;
    http2.receive(&frame(frame::HEADERS, flags, id, trailers)).unwrap();
    assert_eq!(only_end(&mut http2), (5, Ok(accepted(b"body"))));
}

#[test]
fn a_body_that_is_too_long_is_none_and_is_broken_off() {
    let mut http2 = connected();
    let id = begin(&mut http2, b"", 5);
    output(&mut http2);
    http2.receive(&head(id, 0)).unwrap();
    let part = frame(frame::DATA, 0, id, &[b'x'; 16_384]);
    for _ in 0..BODY_LIMIT / 16_384 {
        http2.receive(&part).unwrap();
    }
    assert_eq!(http2.ended(), []);
    http2.receive(&frame(frame::DATA, 0, id, b"x")).unwrap();
    assert_eq!(only_end(&mut http2), (5, Ok(accepted(b""))));
    assert_eq!(kinds(&mut http2), [frame::RST_STREAM]);
    // What is under way still comes, to nobody.
    http2.receive(&part).unwrap();
    assert_eq!(http2.ended(), []);
}

#[test]
fn a_server_that_answers_early_gets_no_more_of_the_body() {
    let mut http2 = connected();
    let id = begin(&mut http2, &[b'x'; 70_000], 5);
    output(&mut http2);
    http2.receive(&head(id, frame::END_STREAM)).unwrap();
    assert_eq!(only_end(&mut http2).0, 5);
    assert_eq!(kinds(&mut http2), [frame::RST_STREAM]);
    http2.receive(&frame(frame::WINDOW_UPDATE, 0, 0, &70_000_u32.to_be_bytes())).unwrap();
    assert!(output(&mut http2).is_empty());
}

#[test]
fn what_is_no_answer_breaks_its_stream_only() {
    let whole = frame::END_HEADERS | frame::END_STREAM;
    let rows = [
        ("data first", frame(frame::DATA, 0, 1, b"body")),
        ("no status", frame(frame::HEADERS, frame::END_HEADERS, 1, b"\x00\x07apns-id\x017")),
        ("preliminary end", frame(frame::HEADERS, whole, 1, b"\x08\x03103")),
        ("strange status", frame(frame::HEADERS, frame::END_HEADERS, 1, b"\x08\x02ab")),
        ("two heads", [head(1, 0), head(1, 0)].concat()),
        ("two statuses", frame(frame::HEADERS, whole, 1, b"\x8e\x88")),
    ];
    for (name, bytes) in rows {
        let mut http2 = connected();
        let [_, other] = [begin(&mut http2, b"", 5), begin(&mut http2, b"", 6)];
        output(&mut http2);
        http2.receive(&bytes).unwrap();
        let (reply, end) = only_end(&mut http2);
        assert!(reply == 5 && matches!(end, Err(Failure::Broken(_))), "{name}: {end:?}");
        assert_eq!(kinds(&mut http2), [frame::RST_STREAM], "{name}");
        http2.receive(&head(other, frame::END_STREAM)).unwrap();
        assert_eq!(only_end(&mut http2), (6, Ok(accepted(b""))), "{name}");
    }
}

#[test]
fn fields_of_an_answer_that_nobody_waits_for_are_still_read() {
    let mut http2 = connected();
    let (id, other) = (begin(&mut http2, b"", 5), begin(&mut http2, b"", 6));
    http2.forget(id);
    // It adds to the table what the next refers to.
    let block = b"\x88\x40\x07apns-id\x017";
    http2.receive(&frame(frame::HEADERS, frame::END_HEADERS, id, block)).unwrap();
    let flags = frame::END_HEADERS | frame::END_STREAM;
    http2.receive(&frame(frame::HEADERS, flags, other, b"\x88\xbe")).unwrap();
    assert_eq!(only_end(&mut http2), (6, Ok(accepted(b""))));
}

proptest! {
    #[test]
    fn an_answer_is_the_same_however_it_is_cut(
        cuts in prop::collection::vec(0_usize..200, 0..12),
        padding in 0_u8..20,
    ) {
        let mut http2 = connected();
        let id = begin(&mut http2, b"", 5);
        let padded = [&[padding][..], b"dy", &vec![0; usize::from(padding)]].concat();
        let (first, second) = OK.split_at(5);
        let bytes = [
            frame(frame::HEADERS, 0, id, first),
            frame(frame::CONTINUATION, frame::END_HEADERS, id, second),
            frame(frame::DATA, 0, id, b"bo"),
            frame(0xbe, 0xff, id, b"a frame that nobody knows"),
            frame(frame::DATA, frame::END_STREAM | 0x08, id, &padded),
        ].concat();
        let (mut held, mut from) = (Vec::new(), 0);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        for cut in cuts.into_iter().chain([bytes.len()]) {
            held.extend_from_slice(&bytes[from..cut]);
            from = cut;
            let taken = http2.receive(&held).unwrap();
            held.drain(..taken);
        }
        prop_assert!(held.is_empty());
        prop_assert_eq!(only_end(&mut http2), (5, Ok(accepted(b"body"))));
    }
}
