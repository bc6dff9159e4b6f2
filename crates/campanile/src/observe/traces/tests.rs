//! What is followed, and what is lost.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use campanile_core::port::SpanKind;
use campanile_core::{Tick, Timestamp};

use super::*;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn tick(&self) -> Tick {
        Tick::default()
    }
}

/// Draws whose last bytes count up, so that one in three is chosen.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn draw(&self) -> [u8; 16] {
        let drawn = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let [a, b, c, d, e, f, g, h] = drawn.to_be_bytes();
        [a, b, c, d, e, f, g, h, e, f, g, h, 0, 0, 0, 1]
    }
}

/// To a collector that is not there: nobody listens on the discard port.
fn traces(one_in: u32) -> Arc<Traces> {
    let collector = "http://127.0.0.1:9".parse().unwrap();
    Traces::start(
        &TracesConfig { collector, one_in },
        Arc::new(Still),
        Arc::new(Counting::default()),
    )
}

fn span(context: TraceContext) -> Span {
    let (began, ended) = (Tick::default(), Tick::default());
    let (name, kind) = ("test".into(), SpanKind::Server);
    Span { context, parent: None, name, kind, began, ended, attributes: vec![], failure: None }
}

#[tokio::test]
async fn a_recorded_parent_has_recorded_children() {
    let traces = traces(0);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let parent = TraceContext::parse(parent).unwrap();
    let child = traces.begin(Some(&parent)).unwrap();
    assert_eq!((child.trace, child.flags), (parent.trace, parent.flags));
    assert_ne!(child.span, parent.span);
    let quiet = TraceContext { flags: 0, ..parent };
    assert_eq!(traces.begin(Some(&quiet)), None);
    assert_eq!(traces.begin(None), None, "nobody asked");
}

#[tokio::test]
async fn one_in_so_many_begins_a_trace() {
    let all = traces(1);
    assert!((0..10).all(|_| all.begin(None).is_some_and(|it| it.is_sampled())));
    let some = traces(3);
    let begun = (0..30).filter(|_| some.begin(None).is_some()).count();
    assert!((5..=15).contains(&begun), "{begun} of 30");
}

#[tokio::test]
async fn what_nobody_takes_is_lost_and_counted() {
    let traces = traces(1);
    let context = traces.begin(None).unwrap();
    for _ in 0..WAITING + 10 {
        traces.record(span(context));
    }
    assert_eq!(traces.counted(), (0, 10), "those without room");
    traces.flush().await;
    let (sent, lost) = traces.counted();
    assert_eq!(sent, 0);
    assert!(lost > 10, "those that were tried");
}
