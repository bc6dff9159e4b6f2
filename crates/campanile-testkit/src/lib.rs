//! What tests of Campanile are made of.
//!
//! - [`memory`]: every port in memory, the executable specification of its contract.

pub mod memory;
