//! The wire: generated protobuf types, the conversions between them and the core's vocabulary,
//! and the codec of what is stored.
//!
//! The sources of truth are the files under `proto/campanile/v1`. Only this crate knows both
//! sides; adapters carry what [`codec`] makes as opaque bytes.

mod call_codec;
pub mod codec;
pub mod convert;
pub mod digest;
pub mod rpc;

/// Generated from `proto/campanile/v1`. The comments there are the documentation.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::too_many_lines,
    clippy::large_futures,
    reason = "generated code"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/campanile.v1.rs"));
}

/// The description of the public API for reflection: an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
