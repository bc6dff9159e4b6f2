//! Every module says what it is before it begins.

use super::finding::Finding;
use super::tree::Tree;

/// Name of this rule.
pub(crate) const RULE: &str = "module-docs";

/// Looks for Rust files which do not start with a `//!` line.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let undocumented = |text: &str| {
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("//!").is_none_or(|said| said.trim().is_empty())
    };
    let message = "does not start with `//!`: say what the module is and why it exists";
    tree.rust()
        .filter(|file| undocumented(&file.text))
        .map(|file| Finding::new(RULE, &file.path, 1, message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_first_line_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "//! What it is.\nfn f() {}\n"),
            ("b.rs", "fn f() {}\n//! Too late.\n"),
            ("c.rs", "//!\nfn f() {}\n"),
            ("d.rs", ""),
            ("e.sh", "#!/bin/sh\n"),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["b.rs", "c.rs", "d.rs"]);
    }
}
