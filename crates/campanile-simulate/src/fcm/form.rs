//! Bodies of the form `application/x-www-form-urlencoded` (WHATWG URL §5.1).

/// The value of a field, decoded; `None` if it is not there, or there twice (RFC 6749 §3.2).
pub(crate) fn field(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut found = text.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (decode(key)? == name).then(|| decode(value))
    });
    let value = found.next()?;
    if found.next().is_some() { None } else { value }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => digit(bytes.next()?)? * 16 + digit(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let body = b"a=1&grant_type=urn%3Aietf%3a1&b=x+y";
        assert_eq!(field(body, "grant_type").as_deref(), Some("urn:ietf:1"));
        assert_eq!(field(body, "b").as_deref(), Some("x y"));
        assert_eq!(field(body, "c"), None);
    }

    #[test]
    fn a_field_given_twice_or_broken_is_none() {
        assert_eq!(field(b"a=1&a=2", "a"), None);
        assert_eq!(field(b"a=%4", "a"), None);
        assert_eq!(field(b"a=%ff", "a"), None);
    }
}
