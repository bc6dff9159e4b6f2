//! What generator and simulators tell each other: orders as lines of JSON one way; the other way
//! frames of a byte, a length, and JSON or arrivals.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::arrival::{Arrival, SIZE};
use crate::scenario::Scenario;

const WORDS: u8 = 1;
const ARRIVALS: u8 = 2;
/// The longest frame, in bytes.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;

/// What the simulators are to do. The first order is `Start`; the end of orders is the end.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// Serve the devices of this scenario at this address. Answered with [`Word::Ready`].
    Start(Box<Scenario>, IpAddr),
    /// Count time from here, in nanoseconds since the Unix epoch.
    Begin(u64),
    /// Break every connection over which a push comes, and lose it.
    Down,
    /// Serve again.
    Up,
    /// Say how it stands. Answered with [`Word::Tally`], after everything that arrived before.
    Tell,
}

/// What the simulators say.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Word {
    /// They serve.
    Ready(Box<Setup>),
    /// How it stands.
    Tally(Box<Tally>),
    /// They cannot serve.
    Failed(String),
}

/// How the simulators are reached.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Setup {
    pub(crate) apns: Place,
    /// The private key of the provider, in PEM.
    pub(crate) key_pem: String,
    /// Where Google is, and the account's file; if there is one.
    pub(crate) google: Option<(Place, String)>,
}

/// Where a simulator listens, and whom to trust for it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) ca_pem: String,
}

/// What the simulators counted.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Tally {
    /// Pushes that they accepted.
    pub(crate) accepted: u64,
    /// Pushes that they refused, by reason.
    pub(crate) rejected: BTreeMap<String, u64>,
    /// A provider token that is good now.
    pub(crate) bearer: String,
    /// The body of a push that Apple's accepted.
    pub(crate) sample: Option<String>,
}

/// What was read.
pub(crate) enum Frame {
    Word(Word),
    Arrivals(Vec<Arrival>),
}

/// Writes words.
///
/// # Errors
/// [`io::Error`]; the other end is gone.
pub(crate) fn write_word(to: &mut impl Write, word: &Word) -> io::Result<()> {
    write(to, WORDS, &serde_json::to_vec(word)?)
}

/// Writes arrivals, as many as there are bytes of.
///
/// # Errors
/// [`io::Error`]; the other end is gone.
pub(crate) fn write_arrivals(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(LONGEST / SIZE * SIZE).try_for_each(|chunk| write(to, ARRIVALS, chunk))
}

fn write(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&[kind])?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads a frame.
///
/// # Errors
/// [`io::Error`]: the other end is gone, or what it sent is no frame.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Frame> {
    let (mut kind, mut length) = ([0], [0; 4]);
    from.read_exact(&mut kind)?;
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
    if length > LONGEST {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    match kind {
        [WORDS] => Ok(Frame::Word(serde_json::from_slice(&bytes)?)),
        [ARRIVALS] => {
            let arrivals = bytes.chunks(SIZE).map(Arrival::from_bytes).collect::<Option<_>>();
            let malformed = || io::Error::other("what should be arrivals is something else");
            Ok(Frame::Arrivals(arrivals.ok_or_else(malformed)?))
        }
        [other] => Err(io::Error::other(format!("a frame of kind {other}"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

    use super::*;
    use crate::arrival::Said;

    #[test]
    fn frames_come_out_in_order_and_what_is_none_is_an_error() {
        let mut pipe = Vec::new();
        let arrival = Arrival { at: 5, user: 3, endpoint: 1, said: Said::Other };
        write_word(&mut pipe, &Word::Failed("no room".to_owned())).unwrap();
        write_arrivals(&mut pipe, &[arrival.to_bytes(), arrival.to_bytes()].concat()).unwrap();
        pipe.extend([7, 0, 0, 0, 0]);
        let mut pipe = pipe.as_slice();
        assert!(matches!(read(&mut pipe), Ok(Frame::Word(Word::Failed(why))) if why == "no room"));
        let Ok(Frame::Arrivals(arrivals)) = read(&mut pipe) else { panic!("no arrivals") };
        assert_eq!(arrivals, [arrival; 2]);
        assert!(read(&mut pipe).is_err_and(|error| error.to_string().contains("kind 7")));
        assert!(read(&mut pipe).is_err(), "the end");
    }
}
