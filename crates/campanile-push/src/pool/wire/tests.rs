//! What a turn must not miss: deadlines, wakes, and what came before the end.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test code")]

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::http2::{Failure, Post};

const LONG: Duration = Duration::from_secs(15);

fn post() -> Post<'static> {
    Post { authority: "push.example", path: "/1".into(), fields: Vec::new() }
}

/// One turn, which is not the last.
async fn turn<T: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<T>) {
    let turned = poll_fn(|cx| Poll::Ready(wire.poll(cx))).await;
    assert!(turned.is_pending(), "{turned:?}");
}

/// Takes nothing, says nothing.
struct Stuck;

impl AsyncRead for Stuck {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Stuck {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_begun_while_nothing_is_taken_ends_in_time() {
    let link = Arc::new(Link::new());
    let mut wire = Wire::new(Stuck, link.clone(), LONG);
    let requests = async {
        let mut waiting = Vec::new();
        for _ in 0..4 {
            waiting.push((Instant::now(), link.begin(&post(), Bytes::new()).unwrap()));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for (begun, exchange) in waiting {
            assert_eq!(exchange.answer().await, Err(Failure::TimedOut));
            assert!(begun.elapsed() <= LONG + Duration::from_millis(1), "{:?}", begun.elapsed());
        }
    };
    tokio::select! {
        why = poll_fn(|cx| wire.poll(cx)) => assert_eq!(why, "nothing ends it"),
        () = requests => {}
    }
}

struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What another thread does between the deadlines of a turn and its writing.
#[tokio::test(start_paused = true)]
async fn a_request_begun_in_the_middle_of_a_turn_wakes_the_driver() {
    let link = Arc::new(Link::new());
    let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
    let waker = Waker::from(wakes.clone());
    let now = Instant::now();
    let turn = || link.expire(now, now + LONG, &waker);
    assert_eq!(turn(), None);
    link.ping();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_eq!(turn(), None);
    let _exchange = link.begin(&post(), Bytes::new()).unwrap();
    let mut output = Vec::new();
    link.take_output(&mut output);
    assert!(!output.is_empty());
    assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
    assert_eq!(turn(), Some(now + LONG));
}

#[tokio::test]
async fn what_came_before_nothing_more_is_taken_is_read() {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let link = Arc::new(Link::new());
    let mut wire = Wire::new(ours, link.clone(), LONG);
    let first = link.begin(&post(), Bytes::new()).unwrap();
    turn(&mut wire).await;
    let second = link.begin(&post(), Bytes::new()).unwrap();
    // SETTINGS, an answer to the first, and a GOAWAY that names it as the last.
    theirs.write_all(b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88").await.unwrap();
    theirs.write_all(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0").await.unwrap();
    drop(theirs);
    poll_fn(|cx| wire.poll(cx)).await;
    drop(wire);
    let (first, second) = (first.answer().await, second.answer().await);
    assert!(first.is_ok(), "{first:?}");
    assert!(matches!(second, Err(Failure::Unprocessed(_))), "{second:?}");
}

#[tokio::test]
async fn nothing_is_read_of_who_takes_no_answers() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let link = Arc::new(Link::new());
    let mut wire = Wire::new(ours, link.clone(), LONG);
    let flood = async {
        theirs.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        loop {
            theirs.write_all(b"\0\0\x08\x06\0\0\0\0\0opaque!!").await.unwrap();
        }
    };
    let drive = async {
        poll_fn(|cx| {
            assert!(wire.poll(cx).is_pending());
            if link.is_flooded() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // From here on what is owed does not grow.
        for _ in 0..100 {
            turn(&mut wire).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = drive => {}
    }
    let mut owed = Vec::new();
    link.take_output(&mut owed);
    assert!(owed.len() < 128 * 1024, "{}", owed.len());
}
