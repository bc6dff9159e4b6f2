//! Compiles the protobuf files with a compiler written in Rust, so that building needs no `protoc`.
//!
//! `descriptors.bin` describes the public API alone: what reflection answers. The stored format is
//! nobody's interface.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const ROOT: &str = "../../proto";
const API: &str = "campanile/v1/campanile.proto";
const STORED: [&str; 3] =
    ["campanile/v1/event.proto", "campanile/v1/receipt.proto", "campanile/v1/state.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    #[expect(clippy::disallowed_methods, reason = "how cargo tells a build script where to write")]
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let api = protox::compile([API], [ROOT])?;
    std::fs::write(out.join("descriptors.bin"), api.encode_to_vec())?;
    let everything = protox::compile([API].into_iter().chain(STORED), [ROOT])?;
    let services = tonic_prost_build::configure().codec_path("crate::call_codec::CallCodec");
    services.bytes(".").compile_fds(everything)?;
    Ok(())
}
