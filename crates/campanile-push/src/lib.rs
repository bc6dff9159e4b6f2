//! Sending to the push platforms, over HTTP/2 connections of our own.
//!
//! Each platform has the same files: `request` (pure: a push in the platform's words), `response`
//! (pure: what the platform's answer means), `client` (the [`campanile_core::port::Pusher`]),
//! `config`, and `token` where there is one to be made. They share the pool, and below it the
//! client's side of HTTP/2.

pub mod apns;
mod attempt;
pub mod fcm;
mod http2;
mod pool;
mod retry_after;
mod told;

pub use pool::{PoolConfig, PoolCounters, Roots, Target, TargetError, ZeroLimit};
