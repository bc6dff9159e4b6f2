//! What tests of Campanile are made of.
//!
//! - [`memory`]: every port in memory, the executable specification of its contract.
//! - [`conformance`]: the contracts as suites of tests, which every adapter runs.
//! - [`scenario`]: given, when, then for the rules of the core, and [`strategy`], random histories
//!   for property tests of them.
//! - [`sim`]: the real roles under virtual time and seeded faults.

pub mod conformance;
pub mod memory;
pub mod scenario;
pub mod sim;
pub mod strategy;
pub mod vocabulary;
pub mod world;
