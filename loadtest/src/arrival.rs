//! What a simulator says of a push that it accepted, and what a push says of itself.

/// What a notification's title begins with; ten digits follow, its number.
pub(crate) const MARK: &str = "lt-";
const DIGITS: usize = 10;
/// Hexadecimal digits of a notification's id.
const ID: usize = 32;
/// Bytes of an arrival on its way between processes.
pub(crate) const SIZE: usize = 40;

/// A push that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Nanoseconds since the load began.
    pub(crate) at: u64,
    /// Whose device it was for.
    pub(crate) user: u32,
    /// Which of theirs.
    pub(crate) endpoint: u8,
    /// What it said.
    pub(crate) said: Said,
}

/// What a push says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It shows the notification of this number, which the engine calls by this id.
    Show { number: u32, id: u128 },
    /// It clears the notification of this id.
    Clear { id: u128 },
    /// Something else.
    Other,
}

impl Said {
    /// What a body says, in Apple's words or in Google's.
    pub(crate) fn of(body: &[u8]) -> Self {
        let ours = after(body, b"campanile").unwrap_or_default();
        let Some(id) = after(ours, b"id").and_then(id_in) else { return Self::Other };
        if let Some(number) = number_in(body) {
            return Self::Show { number, id };
        }
        match after(ours, b"clear").map(value) {
            Some([b't', ..]) => Self::Clear { id },
            _ => Self::Other,
        }
    }
}

impl Arrival {
    /// As it goes from process to process: little-endian, without gaps that matter.
    pub(crate) fn to_bytes(self) -> [u8; SIZE] {
        let (what, number, id) = match self.said {
            Said::Show { number, id } => (1_u8, number, id),
            Said::Clear { id } => (2, 0, id),
            Said::Other => (0, 0, 0),
        };
        let mut bytes = [0; SIZE];
        let (at, rest) = bytes.split_at_mut(8);
        at.copy_from_slice(&self.at.to_le_bytes());
        let (user, rest) = rest.split_at_mut(4);
        user.copy_from_slice(&self.user.to_le_bytes());
        let (in_four, rest) = rest.split_at_mut(4);
        in_four.copy_from_slice(&number.to_le_bytes());
        let (in_sixteen, rest) = rest.split_at_mut(16);
        in_sixteen.copy_from_slice(&id.to_le_bytes());
        if let [endpoint, kind, ..] = rest {
            (*endpoint, *kind) = (self.endpoint, what);
        }
        bytes
    }

    /// The other way round; what is no arrival is nothing.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, rest) = bytes.split_first_chunk()?;
        let (user, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (number, id) = (u32::from_le_bytes(*number), u128::from_le_bytes(*id));
        let (endpoint, said) = match rest {
            [endpoint, 1, ..] => (*endpoint, Said::Show { number, id }),
            [endpoint, 2, ..] => (*endpoint, Said::Clear { id }),
            [endpoint, 0, ..] => (*endpoint, Said::Other),
            _ => return None,
        };
        let (at, user) = (u64::from_le_bytes(*at), u32::from_le_bytes(*user));
        Some(Self { at, user, endpoint, said })
    }
}

/// The title of a notification.
pub(crate) fn title(number: usize) -> String {
    format!("{MARK}{number:0DIGITS$}")
}

/// The number in a title.
pub(crate) fn number_in(text: &[u8]) -> Option<u32> {
    let digits = after(text, MARK.as_bytes())?.get(..DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What follows a word, where it is first.
fn after<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(word.len()).position(|window| window == word)?;
    text.get(at + word.len()..)
}

/// The value that follows the name of a member, also where its JSON is a text in JSON.
fn value(rest: &[u8]) -> &[u8] {
    let skipped = rest.iter().take_while(|byte| b"\\\": ".contains(byte)).count();
    rest.get(skipped..).unwrap_or_default()
}

fn id_in(rest: &[u8]) -> Option<u128> {
    let digits = std::str::from_utf8(value(rest).get(..ID)?).ok()?;
    u128::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "7c1dd16c4cfb0d79bd1ff5a4f0f6b1a2";
    const IT: u128 = 0x7c1d_d16c_4cfb_0d79_bd1f_f5a4_f0f6_b1a2;

    #[test]
    fn what_is_shown_and_what_is_cleared_is_told_apart_in_the_words_of_both() {
        let apple = format!(
            r#"{{"aps":{{"alert":{{"title":"{}"}}}},"campanile":{{"id":"{NAME}","seq":4}}}}"#,
            title(7)
        );
        let google = format!(
            r#"{{"message":{{"android":{{"notification":{{"title":"{}","tag":"x"}}}},"data":{{"campanile":"{{\"id\":\"{NAME}\"}}"}}}}}}"#,
            title(7)
        );
        let shown = Said::Show { number: 7, id: IT };
        assert_eq!([apple, google].map(|body| Said::of(body.as_bytes())), [shown, shown]);
        let clear = |what| {
            format!(
                r#"{{"data":{{"campanile":"{{\"seq\":9,\"items\":[{{\"id\":\"{NAME}\",\"clear\":{what}}}]}}"}}}}"#
            )
        };
        assert_eq!(Said::of(clear(true).as_bytes()), Said::Clear { id: IT });
        assert_eq!(Said::of(clear(false).as_bytes()), Said::Other);
        assert_eq!(Said::of(br#"{"title":"lt-12"}"#), Said::Other);
    }

    #[test]
    fn an_arrival_comes_out_of_its_bytes() {
        for said in [Said::Show { number: u32::MAX, id: IT }, Said::Clear { id: 1 }, Said::Other] {
            let arrival = Arrival { at: 1 << 40, user: 70_000, endpoint: 19, said };
            assert_eq!(Arrival::from_bytes(&arrival.to_bytes()), Some(arrival));
        }
        assert_eq!(Arrival::from_bytes(&[9; SIZE]), None);
        assert_eq!(Arrival::from_bytes(&[0; 12]), None);
    }
}
