//! Trace contexts: where something stands in a distributed trace.

use std::fmt;

/// A span of a trace, as the header `traceparent` names it (W3C Trace Context, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span in it.
    pub span: [u8; 8],
    /// The flags; the lowest bit says that the trace is recorded.
    pub flags: u8,
}

impl TraceContext {
    /// The flag of a trace that is recorded (W3C Trace Context, 3.2.2.5.1).
    pub const SAMPLED: u8 = 1;

    /// Reads a `traceparent` of version 00. Another one answers nothing: it is to be ignored, as the
    /// specification asks.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let [Some("00"), Some(trace), Some(span), Some(flags), None] = parts else { return None };
        let (trace, span, [flags]) = (bytes(trace)?, bytes(span)?, bytes(flags)?);
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, flags })
    }

    /// Whether whoever began the trace wants it recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// Another span of the same trace.
    #[must_use]
    pub const fn child(self, span: [u8; 8]) -> Self {
        Self { span, ..self }
    }
}

impl fmt::Display for TraceContext {
    /// The value of a header `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// Lower-case hexadecimal digits, two for each byte and no more.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut found = [0; N];
    let mut digits = text.bytes();
    for byte in &mut found {
        *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
    }
    digits.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written_again() {
        let context = TraceContext::parse(TRACE);
        assert_eq!(context.map(|it| it.to_string()).as_deref(), Some(TRACE));
        assert_eq!(context.map(|it| it.is_sampled()), Some(true));
        let quiet = TraceContext::parse(&TRACE.replace("-01", "-02"));
        assert_eq!(quiet.map(|it| it.is_sampled()), Some(false));
        let child = context.map(|it| it.child([1; 8]).to_string());
        let expected = TRACE.replace("b7ad6b7169203331", "0101010101010101");
        assert_eq!(child, Some(expected));
    }

    #[test]
    fn a_broken_trace_is_ignored() {
        let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let zero_span = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16));
        let (upper, long) = (TRACE.to_uppercase(), format!("{TRACE}-00"));
        let (wide, newer) = (format!("{TRACE}0"), TRACE.replacen("00", "01", 1));
        let cut = TRACE.strip_prefix('0').unwrap_or_default();
        for bad in ["", "00", "x", cut, &upper, &long, &zero_trace, &zero_span, &wide, &newer] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
