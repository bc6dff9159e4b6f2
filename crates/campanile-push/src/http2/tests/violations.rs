//! What a server must not say, and any bytes at all.

use proptest::prelude::*;

use super::*;

/// What ends a connection with one request in flight, on stream 1, and the code it is told.
fn violations() -> Vec<(&'static str, Vec<u8>, Code)> {
    let endless = [
        vec![frame(frame::HEADERS, 0, 1, &[0; 16_000])],
        (0..4).map(|_| frame(frame::CONTINUATION, 0, 1, &[0; 16_000])).collect(),
    ];
    vec![
        ("too long", frame(frame::DATA, 0, 1, &[0; 16_385]), Code::FRAME_SIZE),
        ("data of no stream", frame(frame::DATA, 0, 0, b""), Code::PROTOCOL),
        ("data of a later stream", frame(frame::DATA, 0, 3, b""), Code::PROTOCOL),
        ("data of a server's stream", frame(frame::DATA, 0, 2, b""), Code::PROTOCOL),
        ("head of a later stream", head(3, 0), Code::PROTOCOL),
        ("padding of nothing", frame(frame::DATA, 8, 1, &[9, 0]), Code::PROTOCOL),
        ("no fields", frame(frame::HEADERS, frame::END_HEADERS, 1, b"\x80"), Code::COMPRESSION),
        (
            "interrupted fields",
            [frame(frame::HEADERS, 0, 1, OK), frame(frame::PING, 0, 0, &[0; 8])].concat(),
            Code::PROTOCOL,
        ),
        (
            "fields of two streams",
            [frame(frame::HEADERS, 0, 1, OK), frame(frame::CONTINUATION, 0, 3, OK)].concat(),
            Code::PROTOCOL,
        ),
        ("more of no fields", frame(frame::CONTINUATION, 4, 1, OK), Code::PROTOCOL),
        ("endless fields", endless.concat().concat(), Code::CALM),
        ("reset of a later stream", frame(frame::RST_STREAM, 0, 3, &[0; 4]), Code::PROTOCOL),
        ("reset too short", frame(frame::RST_STREAM, 0, 1, &[0; 3]), Code::FRAME_SIZE),
        ("a promise", frame(frame::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2]), Code::PROTOCOL),
        ("settings of a stream", frame(frame::SETTINGS, 0, 1, b""), Code::PROTOCOL),
        ("half a setting", frame(frame::SETTINGS, 0, 0, &[0; 7]), Code::FRAME_SIZE),
        ("settings in an ACK", frame(frame::SETTINGS, 1, 0, &[0; 6]), Code::FRAME_SIZE),
        ("push", settings(&[(send::ENABLE_PUSH, 1)]), Code::PROTOCOL),
        ("window", settings(&[(send::INITIAL_WINDOW_SIZE, 1 << 31)]), Code::FLOW_CONTROL),
        ("small frames", settings(&[(send::MAX_FRAME_SIZE, 16_383)]), Code::PROTOCOL),
        ("large frames", settings(&[(send::MAX_FRAME_SIZE, 1 << 24)]), Code::PROTOCOL),
        ("ping too long", frame(frame::PING, 0, 0, &[0; 9]), Code::FRAME_SIZE),
        ("ping of a stream", frame(frame::PING, 0, 1, &[0; 8]), Code::PROTOCOL),
        ("goaway too short", frame(frame::GOAWAY, 0, 0, &[0; 7]), Code::FRAME_SIZE),
        ("no wider", frame(frame::WINDOW_UPDATE, 0, 0, &[0; 4]), Code::PROTOCOL),
        ("fields that say too much", bomb(), Code::COMPRESSION),
        (
            "too wide",
            frame(frame::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            Code::FLOW_CONTROL,
        ),
        ("window of a later stream", frame(frame::WINDOW_UPDATE, 0, 3, &[1; 4]), Code::PROTOCOL),
    ]
}

/// A field of 4 KB that is remembered, and then meant a thousand times.
fn bomb() -> Vec<u8> {
    let mut block = b"\x88\x40\x07apns-id\x7f\xa1\x1e".to_vec();
    block.extend_from_slice(&[b'x'; 4000]);
    block.extend_from_slice(&[0xbe; 1000]);
    frame(frame::HEADERS, frame::END_HEADERS, 1, &block)
}

#[test]
fn a_broken_rule_ends_the_connection_and_the_server_hears_why() {
    for (name, bytes, code) in violations() {
        let mut http2 = connected();
        begin(&mut http2, b"", 5);
        output(&mut http2);
        let violation = http2.receive(&bytes).expect_err(name);
        assert_eq!(violation.0, code, "{name}: {violation}");
        assert!(matches!(http2.ended().as_slice(), [(5, Err(Failure::Broken(_)))]), "{name}");
        let last = output(&mut http2).pop().expect(name);
        let payload = [&[0; 4][..], &code.0.to_be_bytes()].concat();
        assert_eq!(last, (frame::GOAWAY, 0, 0, payload), "{name}");
    }
}

#[test]
fn a_stream_whose_window_is_no_window_is_broken_alone() {
    for (more, code) in [(0, Code::PROTOCOL), ((1 << 31) - 1, Code::FLOW_CONTROL)] {
        let mut http2 = connected();
        let id = begin(&mut http2, b"", 5);
        output(&mut http2);
        http2.receive(&frame(frame::WINDOW_UPDATE, 0, id, &u32::to_be_bytes(more))).unwrap();
        assert!(matches!(http2.ended().as_slice(), [(5, Err(Failure::Broken(_)))]));
        let payload = code.0.to_be_bytes().to_vec();
        assert_eq!(output(&mut http2), [(frame::RST_STREAM, 0, id, payload)]);
    }
}

#[test]
fn a_server_that_does_not_begin_with_settings_is_none() {
    for first in [frame(frame::PING, 0, 0, &[0; 8]), frame(frame::SETTINGS, frame::ACK, 0, b"")] {
        let mut http2 = Http2::<u32>::new(&[]);
        assert!(http2.receive(&first).is_err());
    }
    // So does one that does not speak HTTP/2.
    assert!(Http2::<u32>::new(&[]).receive(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut http2 = connected();
        begin(&mut http2, b"body", 5);
        let _ = http2.receive(&bytes);
    }

    /// Frames of the right form with anything in them: every request ends once, and what is sent
    /// is frames.
    #[test]
    fn any_frames_are_borne(
        frames in prop::collection::vec(
            (0_u8..11, any::<u8>(), 0_u32..8, prop::collection::vec(any::<u8>(), 0..20)),
            0..40,
        ),
    ) {
        let mut http2 = connected();
        for reply in 0..3 {
            begin(&mut http2, &[b'x'; 40_000], reply);
        }
        let mut ended = Vec::new();
        for (kind, flags, stream, payload) in frames {
            let end = http2.receive(&frame(kind, flags, stream, &payload));
            ended.extend(http2.ended().into_iter().map(|it| it.0));
            output(&mut http2);
            if end.is_err() {
                break;
            }
        }
        http2.end("over");
        ended.extend(http2.ended().into_iter().map(|it| it.0));
        ended.sort_unstable();
        prop_assert_eq!(ended, [0, 1, 2]);
    }
}
