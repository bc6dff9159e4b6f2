//! The ledger says what was lost, what came again and what nobody sent.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::clearing::Dismissal;
use crate::scenario::Scenario;

fn ledger(users: usize, endpoints: usize) -> Ledger {
    let text = format!(
        "about = \"x\"\nusers = {users}\nendpoints = {endpoints}\nrate = \"max\"\n\
         warm_up_seconds = 0\nseconds = 3600\nrepeats = 1\n"
    );
    let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let window = Window { from: Duration::ZERO, to: scenario.span() };
    let ledger = Ledger::new(4, Plan::of(&scenario), endpoints, window).unwrap();
    ledger.begin();
    ledger
}

fn hear(ledger: &Ledger, user: u32, endpoint: u8, said: Said) {
    ledger.arrive(&Arrival { at: nanos(ledger.now()), user, endpoint, said });
}

fn show(ledger: &Ledger, number: u32, user: u32, endpoint: u8) {
    hear(ledger, user, endpoint, Said::Show { number, id: u128::from(number) + 100 });
}

#[test]
fn what_does_not_arrive_is_lost_and_what_arrives_again_is_doubled() {
    let ledger = ledger(10, 2);
    (0..3).for_each(|number| ledger.send(number, ledger.now()));
    for (number, endpoint) in [(0, 0), (0, 1), (1, 0), (1, 0), (2, 1)] {
        show(&ledger, number, number, endpoint);
    }
    let sums = ledger.sums();
    assert_eq!((sums.sent, sums.lost, sums.doubled, sums.strange), (3, 2, 1, 0));
    assert_eq!((ledger.pushed().all(), ledger.missing(ledger.now())), (4, 2));
    assert_eq!(ledger.missing(Duration::ZERO), 0, "nothing was to be sent by then");
}

#[test]
fn what_nobody_sent_or_what_others_get_is_strange_and_fills_no_gap() {
    let ledger = ledger(2, 2);
    ledger.send(0, ledger.now());
    // Another user's device; a device that the user does not have; one that was never sent.
    for (number, user, endpoint) in [(0, 1, 0), (0, 0, 2), (3, 1, 0)] {
        show(&ledger, number, user, endpoint);
    }
    hear(&ledger, 0, 0, Said::Other);
    hear(&ledger, 0, 0, Said::Clear { id: 100 });
    let sums = ledger.sums();
    assert_eq!((sums.lost, sums.strange, sums.heard), (2, 5, 5));
}

#[test]
fn it_tells_once_what_every_device_shows() {
    let ledger = ledger(1, 2);
    let (tell, mut told) = unbounded_channel();
    ledger.tell(tell);
    ledger.send(0, ledger.now());
    show(&ledger, 0, 0, 1);
    assert!(told.try_recv().is_err(), "one device does not show it");
    show(&ledger, 0, 0, 0);
    show(&ledger, 0, 0, 0);
    let shown = told.try_recv().unwrap();
    assert_eq!((shown.number, shown.id), (0, 100));
    assert!(told.try_recv().is_err());
}

#[test]
fn a_clear_that_is_owed_is_lost_until_it_comes() {
    let ledger = ledger(1, 2);
    ledger.send(0, ledger.now());
    (0..2).for_each(|endpoint| show(&ledger, 0, 0, endpoint));
    let dismissal = Dismissal { number: 0, user: 0, at: ledger.now() };
    ledger.clearing().dismiss(100, dismissal, (0b10, 0b10));
    assert_eq!(ledger.sums().lost, 1);
    hear(&ledger, 0, 1, Said::Clear { id: 100 });
    let sums = ledger.sums();
    assert_eq!((sums.lost, sums.doubled, sums.strange, sums.heard), (0, 0, 0, 3));
}
