//! How much is sent, and how much may come (RFC 9113 sections 5.2 and 6.9).

use proptest::prelude::*;

use super::*;

fn update(stream: u32, more: u32) -> Vec<u8> {
    frame(frame::WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// How much of which body is sent, and whether it is all.
fn bodies(http2: &mut Http2<u32>) -> Vec<(u32, usize, bool)> {
    let data = output(http2).into_iter().filter(|it| it.0 == frame::DATA);
    data.map(|(_, flags, stream, payload)| (stream, payload.len(), flags == frame::END_STREAM))
        .collect()
}

#[test]
fn a_body_waits_for_both_windows() {
    let mut http2 = connected();
    http2.receive(&settings(&[(send::INITIAL_WINDOW_SIZE, 30_000)])).unwrap();
    for reply in 0..3 {
        begin(&mut http2, &[b'x'; 30_001], reply);
    }
    let sent = bodies(&mut http2);
    // A frame has at most 16,384 bytes; the connection's window of 65,535 is used up by the third.
    let expected = [
        (1, 16_384, false),
        (1, 13_616, false),
        (3, 16_384, false),
        (3, 13_616, false),
        (5, 5_535, false),
    ];
    assert_eq!(sent, expected);
    http2.receive(&update(0, 10)).unwrap();
    assert_eq!(bodies(&mut http2), [(5, 10, false)]);
    http2.receive(&update(1, 5)).unwrap();
    assert_eq!(bodies(&mut http2), []);
    http2.receive(&update(0, 2)).unwrap();
    assert_eq!(bodies(&mut http2), [(1, 1, true), (5, 1, false)]);
}

#[test]
fn another_initial_window_counts_for_what_is_under_way() {
    let mut http2 = connected();
    http2.receive(&settings(&[(send::INITIAL_WINDOW_SIZE, 10)])).unwrap();
    begin(&mut http2, &[b'x'; 30], 0);
    assert_eq!(bodies(&mut http2), [(1, 10, false)]);
    // Less than nothing is left now, and then two.
    http2.receive(&settings(&[(send::INITIAL_WINDOW_SIZE, 5)])).unwrap();
    http2.receive(&update(1, 4)).unwrap();
    assert_eq!(bodies(&mut http2), []);
    http2.receive(&settings(&[(send::INITIAL_WINDOW_SIZE, 8)])).unwrap();
    assert_eq!(bodies(&mut http2), [(1, 2, false)]);
}

#[test]
fn longer_frames_are_sent_to_who_takes_them() {
    let mut http2 = connected();
    http2.receive(&settings(&[(send::MAX_FRAME_SIZE, 20_000)])).unwrap();
    begin(&mut http2, &[b'x'; 30_000], 0);
    let mut sent = Vec::new();
    http2.take_output(&mut sent);
    // What was received by the helpers of these tests would be too long.
    for part in [(20_000, 0), (10_000, frame::END_STREAM)] {
        let mut head = Vec::new();
        frame::begin(&mut head, part.0, frame::DATA, part.1, 1);
        assert!(sent.windows(head.len()).any(|it| it == head), "{part:?}");
    }
}

#[test]
fn the_window_for_answers_is_given_back() {
    let mut http2 = connected();
    let mut given_back = 0;
    for reply in 0..64 {
        let id = begin(&mut http2, b"", reply);
        http2.receive(&head(id, 0)).unwrap();
        // Nobody waits for every other.
        if reply % 2 == 0 {
            http2.forget(id);
        }
        // Nearly all of it is padding, which counts.
        let padded = [&[250][..], &[b'x'; 250]].concat();
        for _ in 0..40 {
            http2.receive(&frame(frame::DATA, 0x08, id, &padded)).unwrap();
        }
        http2.receive(&frame(frame::DATA, frame::END_STREAM, id, &[b'x'; 5960])).unwrap();
        for (kind, _, stream, payload) in output(&mut http2) {
            if kind == frame::WINDOW_UPDATE {
                assert_eq!(stream, 0);
                given_back += u32::from_be_bytes(payload.try_into().unwrap());
            }
        }
    }
    assert!(given_back > 700_000 && given_back <= 64 * 16_000, "{given_back}");
}

proptest! {
    /// Whatever a server allows, and when: everything arrives once, in order, and never more than
    /// was allowed.
    #[test]
    fn bodies_arrive_whole_within_their_windows(
        sizes in prop::collection::vec(0_usize..50_000, 1..6),
        initial in 1_u32..70_000,
        updates in prop::collection::vec((0_usize..7, 1_u32..60_000), 0..40),
    ) {
        let mut http2 = connected();
        http2.receive(&settings(&[(send::INITIAL_WINDOW_SIZE, initial)])).unwrap();
        let mut allowed = vec![65_535_i64];
        allowed.extend(sizes.iter().map(|_| i64::from(initial)));
        let (mut arrived, mut whole) = (vec![0; sizes.len()], vec![false; sizes.len()]);
        for (reply, size) in (0..).zip(&sizes) {
            begin(&mut http2, &vec![b'x'; *size], reply);
        }
        whole.iter_mut().zip(&sizes).for_each(|(whole, size)| *whole = *size == 0);
        let at_last = (0..=sizes.len()).map(|at| (at, 300_000));
        for (at, more) in updates.into_iter().chain(at_last) {
            let at = at.min(sizes.len());
            let stream = at.checked_sub(1).map_or(0, |at| u32::try_from(at).unwrap() * 2 + 1);
            for (stream, length, is_end) in bodies(&mut http2) {
                let at = usize::try_from(stream / 2).unwrap();
                allowed[0] -= i64::try_from(length).unwrap();
                allowed[at + 1] -= i64::try_from(length).unwrap();
                prop_assert!(allowed[0] >= 0 && allowed[at + 1] >= 0 && !whole[at]);
                arrived[at] += length;
                whole[at] = is_end;
            }
            allowed[at] += i64::from(more);
            http2.receive(&update(stream, more)).unwrap();
        }
        for (stream, length, is_end) in bodies(&mut http2) {
            let at = usize::try_from(stream / 2).unwrap();
            arrived[at] += length;
            whole[at] = is_end;
        }
        prop_assert_eq!(arrived, sizes);
        prop_assert!(whole.into_iter().all(|it| it));
    }
}
