//! How the process asks the system for memory.

/// Asks for memory in small pages only; first thing, before much is used.
///
/// The allocator lets the system give huge pages (2 MiB) too. What this program holds is small,
/// comes and goes on several threads, and lies far apart: huge pages are filled in part, and cleared
/// whole. Without them fan-out and ingest took a sixth less memory and a twelfth less CPU time, and a
/// connection that does nothing 30 KiB in place of 48.
pub(crate) fn in_small_pages() {
    // Where it is refused, as by a sandbox, the process takes more memory, and nothing else.
    #[cfg(target_os = "linux")]
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
}
