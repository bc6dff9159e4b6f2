# The menu. `./test` is what must pass; the rest is for the way there.

# List the recipes
default:
    @just --list

# Run every role in one process, on the embedded log and projection
dev *args:
    cargo run -- serve {{args}}

# Start a tower with simulated providers and devices, and watch it ring
demo *args:
    cargo run --release -- demo {{args}}

# Everything that CI runs
test:
    ./test

# Everything but the long simulation and the demo
fast:
    ./test fast

# Format
fmt:
    cargo fmt --all

# Compiler, clippy and our own rules, without running a test
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo xtask tidy

# Our own rules only
tidy:
    cargo xtask tidy

# Run the real roles under seeded faults
sim seeds="1000":
    cargo run --release --package xtask -- sim --seeds {{seeds}}

# Throughput through the real binary, and of the embedded log; each figure beside a baseline
bench:
    cargo bench --package campanile-embedded --bench append
    cargo bench --package campanile --bench throughput

# The program as it is to be installed: slower to build than with --release, faster to run
dist:
    cargo build --profile dist --package campanile

# A load test against the embedded store, two to four minutes: fan-out as fast as it goes, then at a steady rate
load: h2load dist
    cargo build --release --package loadtest
    cargo run --release --quiet --package loadtest -- run loadtest/scenarios/fan-out.toml
    cargo run --release --quiet --package loadtest -- run loadtest/scenarios/half.toml

# The baseline of a load test, where root can install it (Debian); without it the load test says so
h2load:
    command -v h2load >/dev/null || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends nghttp2-client; }

# Licences, bans, sources and advisories (needs cargo-deny)
deny:
    cargo deny check

# The documentation of our crates
doc:
    cargo doc --workspace --no-deps --open
