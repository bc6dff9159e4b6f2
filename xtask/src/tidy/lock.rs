//! One TLS stack. A second one in Cargo.lock is a second set of bugs, roots and build tools.
//!
//! `deny.toml` says the same for `cargo deny`, which follows features and is the last word; this
//! check needs nothing but the lock file, so it can run with every test.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "one-tls-stack";

/// Packages which must not be built, and who may nevertheless list them.
///
/// Cargo writes into the lock file whatever a weak feature (`ring?/alloc`) mentions, although it
/// never builds it. rustls-webpki mentions ring so; whoever really turns ring on (rustls,
/// jsonwebtoken, rcgen) lists it too.
const BANNED: [(&str, &[&str]); 4] =
    [("native-tls", &[]), ("openssl", &[]), ("openssl-sys", &[]), ("ring", &["rustls-webpki"])];

/// Looks for the banned packages in Cargo.lock.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(lock) = tree.file("Cargo.lock") else {
        return vec![Finding::new(RULE, "Cargo.lock", 1, "is missing; builds are not repeatable")];
    };
    dependencies(lock)
        .into_iter()
        .filter_map(|(line, package, dependency)| {
            let (banned, may_list) = BANNED.into_iter().find(|(name, _)| *name == dependency)?;
            let message = format!(
                "`{package}` brings in `{banned}`; the only TLS is rustls with aws-lc-rs \
                 (`cargo tree --workspace --invert {banned}` shows the way)"
            );
            let wrong = !may_list.contains(&package);
            wrong.then(|| Finding::new(RULE, &lock.path, line, message))
        })
        .collect()
}

/// Each entry of a `dependencies` list: its line, the package it is listed by, the package it names.
fn dependencies(lock: &File) -> Vec<(usize, &str, &str)> {
    let mut package = "";
    let mut found = Vec::new();
    for (before, line) in lock.text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("name = ") {
            package = name.trim_matches('"');
        } else if let Some(entry) = line.strip_prefix(" \"") {
            // `"name"`, or `"name version"` where two versions are locked.
            let name = entry.split([' ', '"']).next().unwrap_or_default();
            found.push((before + 1, package, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lock: &str) -> Vec<usize> {
        check(&Tree::of(&[("Cargo.lock", lock)])).into_iter().map(|it| it.line).collect()
    }

    fn package(name: &str, dependency: &str) -> String {
        format!("[[package]]\nname = \"{name}\"\ndependencies = [\n \"{dependency}\",\n]\n")
    }

    #[test]
    fn a_second_stack_is_found() {
        assert_eq!(lines(&package("rustls", "ring")), [4]);
        assert_eq!(lines(&package("rustls", "ring 0.17.14")), [4]);
        assert_eq!(lines(&package("reqwest", "native-tls")), [4]);
        assert_eq!(lines(&package("rustls-webpki", "openssl-sys")), [4]);
    }

    #[test]
    fn a_mention_that_is_never_built_passes() {
        let lock = package("rustls-webpki", "ring") + "[[package]]\nname = \"ring\"\n";
        assert_eq!(lines(&lock), [0; 0]);
        assert_eq!(lines(&package("rustls", "ringbuf")), [0; 0]);
    }

    #[test]
    fn no_lock_file_is_a_finding() {
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
