//! What tests of Campanile are made of.
//!
//! - [`memory`]: every port in memory, the executable specification of its contract.
//! - [`conformance`]: the contracts as suites of tests, which every adapter runs.

pub mod conformance;
pub mod memory;
