//! What is written is read again, and the examples of RFC 7541 appendix C are.

#![allow(clippy::unwrap_used, reason = "test code")]

use proptest::prelude::*;

use super::*;
use crate::http2::{Field, Post};

type Fields = Vec<(String, String)>;

fn read(reader: &mut Reader, block: &[u8]) -> Result<Fields, Malformed> {
    let mut fields = Fields::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    reader.read(block, |name, value| fields.push((text(name), text(value))))?;
    Ok(fields)
}

fn written(writer: &mut Writer, post: &Post<'_>) -> Vec<u8> {
    let mut block = Vec::new();
    writer.write(post, &mut block);
    block
}

fn post<'a>(topic: &'a str, id: &str) -> Post<'a> {
    Post {
        authority: "push.example",
        path: "/device/1".into(),
        fields: vec![
            Field::secret("authorization", b"bearer abc"),
            Field::shared("topic", topic.as_bytes()),
            Field::own("id", id),
        ],
    }
}

fn expected(topic: &str, id: &str) -> Fields {
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "push.example"),
        (":path", "/device/1"),
        ("authorization", "bearer abc"),
        ("topic", topic),
        ("id", id),
    ];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

#[test]
fn what_requests_share_is_written_once() {
    let (mut writer, mut reader) = (Writer::new(), Reader::new());
    let first = written(&mut writer, &post("bells", "one"));
    let second = written(&mut writer, &post("bells", "two"));
    assert_eq!(read(&mut reader, &first).unwrap(), expected("bells", "one"));
    assert_eq!(read(&mut reader, &second).unwrap(), expected("bells", "two"));
    let holds =
        |block: &[u8], text: &str| block.windows(text.len()).any(|it| it == text.as_bytes());
    for remembered in ["push.example", "topic", "bells", "id"] {
        assert!(holds(&first, remembered) && !holds(&second, remembered), "{remembered}");
    }
    for repeated in ["/device/1", "bearer abc"] {
        assert!(holds(&first, repeated) && holds(&second, repeated), "{repeated}");
    }
}

#[test]
fn secrets_are_marked_as_never_to_be_indexed() {
    let block = written(&mut Writer::new(), &post("bells", "one"));
    // The index of the name with four bits, after the flag: `:path` is 4, `authorization` 15 + 8.
    let marked = |mark: &[u8], value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        let whole = [mark, &[length], value.as_bytes()].concat();
        block.windows(whole.len()).any(|it| it == whole)
    };
    assert!(marked(&[0x14], "/device/1"));
    assert!(marked(&[0x1f, 8], "bearer abc"));
}

#[test]
fn a_reader_that_remembers_less_is_told_and_understands() {
    let (mut writer, mut reader) = (Writer::new(), Reader::new());
    for (limit, id) in [(4096, "one"), (60, "two"), (0, "three"), (1 << 20, "four")] {
        writer.set_limit(limit);
        for _ in 0..2 {
            let block = written(&mut writer, &post("bells", id));
            assert_eq!(read(&mut reader, &block).unwrap(), expected("bells", id));
        }
    }
}

#[test]
fn a_reader_that_forgot_in_between_is_told_so() {
    let (mut writer, mut reader) = (Writer::new(), Reader::new());
    let block = written(&mut writer, &post("bells", "one"));
    assert_eq!(read(&mut reader, &block).unwrap(), expected("bells", "one"));
    writer.set_limit(0);
    writer.set_limit(4096);
    let block = written(&mut writer, &post("bells", "two"));
    // To nothing, to 4096 again, and everything anew.
    assert!(block.starts_with(b"\x20\x3f\xe1\x1f"));
    assert_eq!(read(&mut reader, &block).unwrap(), expected("bells", "two"));
}

/// RFC 7541 appendix C.6: three responses with Huffman code, with a table of 256 bytes.
#[test]
fn the_examples_of_the_standard_are_read() {
    let blocks: [&[u8]; 3] = [
        b"\x3f\xe1\x01\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
        b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf",
        b"\x88\xc1\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x84\xa6\x2d\x1b\xff\xc0\x5a\x83\x9b\xd9\xab\x77\xad\x94\xe7\x82\x1d\xd7\xf2\xe6\xc7\xb3\x35\xdf\xdf\xcd\x5b\x39\x60\xd5\xaf\x27\x08\x7f\x36\x72\xc1\xab\x27\x0f\xb5\x29\x1f\x95\x87\x31\x60\x65\xc0\x03\xed\x4e\xe5\xb1\x06\x3d\x50\x07",
    ];
    let mut reader = Reader::new();
    let [first, second, third] = blocks.map(|block| read(&mut reader, block).unwrap());
    let of = |fields: &Fields, name: &str| {
        fields.iter().find(|field| field.0 == name).map(|field| field.1.clone()).unwrap()
    };
    assert_eq!([&first, &second, &third].map(|it| of(it, ":status")), ["302", "307", "200"]);
    assert_eq!([&first, &second, &third].map(|it| of(it, "cache-control")), ["private"; 3]);
    assert_eq!(of(&second, "date"), "Mon, 21 Oct 2013 20:13:21 GMT");
    assert_eq!(of(&third, "date"), "Mon, 21 Oct 2013 20:13:22 GMT");
    assert_eq!(of(&third, "location"), "https://www.example.com");
    let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    assert_eq!(of(&third, "set-cookie"), cookie);
    assert_eq!([first.len(), second.len(), third.len()], [4, 4, 6]);
    // Of all that was added the last three are left; set to nothing, the table has nothing.
    assert_eq!(read(&mut reader, b"\xbf").unwrap(), [("content-encoding".into(), "gzip".into())]);
    assert!(read(&mut reader, b"\xc1").is_err());
    assert!(read(&mut reader, b"\x20\xbe").is_err());
}

#[test]
fn what_is_no_block_is_refused() {
    let wrong: [&[u8]; 8] = [
        // Indices of nothing, in the three forms.
        b"\x80",
        b"\xbe",
        b"\x7f\x20\x01a",
        // A table that is too large, and numbers and strings that do not end.
        b"\x3f\xe2\x1f",
        b"\xff\x80\x80\x80\x80\x01",
        b"\x7f",
        b"\x40\x05abc",
        b"\x40",
    ];
    for block in wrong {
        assert!(read(&mut Reader::new(), block).is_err(), "{block:x?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        posts in prop::collection::vec(("[a-z]{0,600}", "[ -~]{0,200}", 0_usize..6000), 1..12),
    ) {
        let (mut writer, mut reader) = (Writer::new(), Reader::new());
        for (topic, id, limit) in &posts {
            writer.set_limit(*limit);
            let block = written(&mut writer, &post(topic, id));
            prop_assert_eq!(read(&mut reader, &block).unwrap(), expected(topic, id));
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_say_without_end(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8),
    ) {
        let mut reader = Reader::new();
        for block in &blocks {
            let mut length = 0;
            let _ = reader.read(block, |name, value| length += name.len() + value.len());
            prop_assert!(length <= 64 * 1024);
        }
    }
}
