//! What is known is what the table would say, or nothing.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::cell::Cell;

use campanile_core::port::{Epoch, PieceWrite, Stream};
use campanile_core::{Partition, Timestamp};

use super::*;

fn user(number: u32) -> UserRef {
    UserRef::from_bytes(u128::from(number).to_be_bytes())
}

fn reach(as_of: u64) -> Arc<Reach> {
    Arc::new(Reach { as_of: Offset(as_of), ..Reach::default() })
}

fn step(to: u64, pieces: Vec<PieceWrite>) -> Write {
    let (partition, stream, epoch) = (Partition(0), Stream::Events, Epoch(1));
    let (from, to, time) = (Offset(0), Offset(to), Timestamp::ZERO);
    let (agenda, history) = Default::default();
    Write { partition, stream, epoch, from, to, time, pieces, agenda, history }
}

/// A table in which nothing is, at a checkpoint.
fn nothing(checkpoint: u64) -> impl Fn(&[PieceKey]) -> Result<Views, ProjectionError> {
    move |keys| Ok(Views { checkpoint: Offset(checkpoint), pieces: vec![None; keys.len()] })
}

#[test]
fn the_table_is_asked_once_and_again_after_it_was_forgotten() {
    let (known, keys) = (Known::default(), [PieceKey::Reach(user(1))]);
    assert_eq!(known.view(&keys), None);
    let found = known.read(&keys, nothing(3)).unwrap();
    assert_eq!(known.view(&keys), Some(found));
    assert_eq!(known.view(&[PieceKey::Reach(user(2))]), None, "another one");
    assert_eq!(known.view(&[]).map(|views| views.checkpoint), Some(Offset(3)));
    known.forget();
    assert_eq!((known.view(&keys), known.view(&[])), (None, None));
}

#[test]
fn a_step_brings_what_is_known_up_to_date() {
    let (known, key) = (Known::default(), PieceKey::Reach(user(1)));
    known.read(&[key], nothing(3)).unwrap();
    known.begin();
    assert_eq!(known.view(&[key]), None, "nobody knows while it is written");
    let piece = Piece::Reach(reach(4));
    let write = PieceWrite {
        key,
        piece: piece.clone(),
        keep_until: None,
        is_new: false,
        comes_again: false,
    };
    known.end(&step(4, vec![write]));
    let expected = Views { checkpoint: Offset(4), pieces: vec![Some(piece)] };
    assert_eq!(known.view(&[key]), Some(expected));
}

#[test]
fn what_is_read_while_a_step_is_written_is_answered_and_not_kept() {
    let (known, keys) = (Known::default(), [PieceKey::Reach(user(1)), PieceKey::Reach(user(2))]);
    known.read(&keys[..1], nothing(3)).unwrap();
    let reads = Cell::new(0);
    let found = known.read(&keys, |keys| {
        // A whole step goes by between the first read and what it is taken for.
        if reads.replace(reads.get() + 1) == 0 {
            known.begin();
            known.end(&step(4, Vec::new()));
        }
        nothing(3 + reads.get())(keys)
    });
    assert_eq!(found.unwrap(), Views { checkpoint: Offset(5), pieces: vec![None, None] });
    assert_eq!(reads.get(), 2, "one instant for all of it");
    assert_eq!(known.view(&keys[1..]), None);
    known.begin();
    assert_eq!(known.read(&keys, nothing(4)).unwrap().checkpoint, Offset(4));
    assert_eq!(known.view(&keys[1..]), None);
}

#[test]
fn as_much_is_known_as_there_is_room_for_and_those_who_are_asked_for_stay() {
    let (known, first) = (Known::default(), PieceKey::Reach(user(0)));
    let keys = |numbers: std::ops::Range<u32>| -> Vec<_> {
        numbers.map(|number| PieceKey::Reach(user(number))).collect()
    };
    for from in (0..10_000).step_by(100) {
        known.read(&keys(from..from + 100), nothing(1)).unwrap();
        assert!(known.view(&[first]).is_some(), "after {from}");
    }
    let state = known.lock();
    assert!((state.young.len() + state.old.len()) * USER <= REACHES);
    drop(state);
    assert_eq!(known.view(&keys(100..101)), None);
}
