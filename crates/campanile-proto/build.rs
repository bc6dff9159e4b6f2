//! Compiles the protobuf files with a compiler written in Rust, so that building needs no `protoc`.

use std::error::Error;

const ROOT: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let stored = ["event", "receipt", "state"].map(|name| format!("campanile/v1/{name}.proto"));
    let everything = protox::compile(stored, [ROOT])?;
    tonic_prost_build::configure().bytes(".").compile_fds(everything)?;
    Ok(())
}
