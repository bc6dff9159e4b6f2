//! `cargo xtask tidy`: conventions as tests. A rule which nothing checks is a wish.
//!
//! Each check is a pure function from the [`Tree`] of tracked files to its [`Finding`]s, one line
//! each: `path:line: rule: message`. The rule's name is what ARCHITECTURE.md cites as
//! `tidy:<rule>` for an invariant that a check enforces.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use finding::Finding;
use tree::Tree;

use crate::terminal;

mod finding;
mod source;
mod tree;

mod edges;
mod invariants;
mod length;
mod lock;
mod markers;
mod module_docs;
mod names;
mod places;
mod ports;
mod purity;

/// What a check is: the whole tree in, everything wrong with it out.
type Check = fn(&Tree) -> Vec<Finding>;

/// Every rule and its check.
const CHECKS: &[(&str, Check)] = &[
    (edges::RULE, edges::check),
    (invariants::RULE, invariants::check),
    (length::RULE, length::check),
    (lock::RULE, lock::check),
    (markers::RULE, markers::check),
    (module_docs::RULE, module_docs::check),
    (names::RULE, names::check),
    (places::RULE, places::check),
    (ports::RULE, ports::check),
    (purity::RULE, purity::check),
];

/// Checks the working tree which this program was built from.
///
/// # Errors
/// An argument was given, or the tree could not be read.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    if let Some(extra) = arguments.first() {
        return Err(format!("takes no arguments, got `{extra}`").into());
    }
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = xtask.parent().ok_or("the xtask crate has no parent directory")?;
    let tree = tree::load(root)?;

    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|(_, check)| check(&tree)).collect();
    findings.sort();
    for finding in &findings {
        terminal::say(&finding.to_string());
    }
    let (files, rules) = (tree.files().len(), CHECKS.len());
    terminal::complain(&format!("tidy: {} findings, {files} files, {rules} rules", findings.len()));
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether `rule` names one of the checks.
fn is_rule(rule: &str) -> bool {
    CHECKS.iter().any(|(known, _)| *known == rule)
}
