//! Each guarantee and invariant of ARCHITECTURE.md names what enforces it, and that exists.
//!
//! An invariant is a paragraph which begins with `**I<number>` and says, after `Enforced by:`, in
//! backticks, one or more of: a path of the repository, a test function (`name` or `a::b::name`),
//! or a tidy rule (`tidy:<rule>`). A guarantee is a row of a table which begins with
//! `| **G<number>` and says so anywhere in the row. So is an answer to bad input, in a table of its
//! own, with `| **R<number>`.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::is_rule;
use super::source::Source;
use super::tree::Tree;

/// Name of this rule.
pub(crate) const RULE: &str = "invariants";

const MAP: &str = "ARCHITECTURE.md";
/// What is answered to bad input; every row names its test.
const ANSWERS: &str = "docs/bad-input.md";
const ENFORCED_BY: &str = "Enforced by:";

struct Invariant {
    line: usize,
    name: String,
    text: String,
}

/// Reads the invariants and looks for what they name.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.file(MAP) else {
        return vec![Finding::new(RULE, MAP, 1, "is missing; it holds the map and the invariants")];
    };
    let invariants = parse(&map.text);
    if invariants.is_empty() {
        let message = "states no invariant; write them as `**I1 …** … Enforced by: `test``";
        return vec![Finding::new(RULE, MAP, 1, message)];
    }
    let mut findings = check_document(tree, MAP, &invariants);
    if let Some(answers) = tree.file(ANSWERS) {
        findings.extend(check_document(tree, ANSWERS, &parse(&answers.text)));
    }
    findings
}

fn check_document(tree: &Tree, document: &str, invariants: &[Invariant]) -> Vec<Finding> {
    let functions = functions(tree);
    let exists = |named: &str| {
        let function = named.trim_end_matches("()").rsplit("::").next().unwrap_or(named);
        match named.strip_prefix("tidy:") {
            Some(rule) => is_rule(rule.trim()),
            None => is_path(tree, named) || functions.contains(function),
        }
    };
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for invariant in invariants {
        let mut complain = |message: String| {
            findings.push(Finding::new(RULE, document, invariant.line, message));
        };
        if !seen.insert(&invariant.name) {
            complain(format!("there is another {}", invariant.name));
        }
        let enforcers = enforcers(&invariant.text);
        if enforcers.is_empty() {
            complain(format!("{} does not say `{ENFORCED_BY}` and name a check", invariant.name));
        }
        for named in enforcers.into_iter().filter(|named| !exists(named)) {
            complain(format!(
                "{} names `{named}`, which is no path, function or `tidy:` rule",
                invariant.name
            ));
        }
    }
    findings
}

/// The paragraphs which begin, after a list marker, with `**I<number>`.
fn parse(text: &str) -> Vec<Invariant> {
    let mut invariants: Vec<Invariant> = Vec::new();
    let mut inside = false;
    for (before, line) in text.lines().enumerate() {
        if let Some(name) = invariant_name(line) {
            inside = true;
            invariants.push(Invariant { line: before + 1, name, text: String::new() });
        } else if line.trim().is_empty() {
            inside = false;
        }
        if let Some(invariant) = invariants.last_mut().filter(|_| inside) {
            invariant.text.push_str(line);
            invariant.text.push('\n');
        }
    }
    invariants
}

fn invariant_name(line: &str) -> Option<String> {
    let bold = line.trim_start_matches([' ', '-', '|']).strip_prefix("**")?;
    let kinds: &[&str] = if line.starts_with('|') { &["G", "R"] } else { &["I"] };
    let (kind, number) = kinds.iter().find_map(|it| Some((it, bold.strip_prefix(it)?)))?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let digits = number.get(..end).filter(|digits| !digits.is_empty())?;
    Some(format!("{kind}{digits}"))
}

/// What stands in backticks after [`ENFORCED_BY`], or in a row.
fn enforcers(text: &str) -> Vec<&str> {
    let after = match text.split_once(ENFORCED_BY) {
        Some((_, after)) => after,
        None if text.starts_with('|') => text,
        None => return Vec::new(),
    };
    after.split('`').skip(1).step_by(2).collect()
}

fn is_path(tree: &Tree, named: &str) -> bool {
    let directory = format!("{}/", named.trim_end_matches('/'));
    tree.files().iter().any(|file| file.path == named || file.path.starts_with(&directory))
}

/// Names of all functions, so that a name in a comment does not count as a test.
fn functions(tree: &Tree) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in tree.rust() {
        let source = Source::new(&file.text);
        let tokens = source.tokens();
        let pairs = tokens.iter().zip(tokens.iter().skip(1));
        names.extend(pairs.filter(|(it, _)| it.text == "fn").map(|(_, name)| name.text.to_owned()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(map: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (MAP, map),
            (
                "crates/a/tests/replay.rs",
                "//! a\n#[test]\nfn replay_sends_nothing() {} // fn old()\n",
            ),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn rejects(map: &str, message: &str) {
        let findings = found(map);
        assert!(findings.iter().any(|it| it.contains(message)), "{findings:?}");
    }

    #[test]
    fn names_which_exist_pass() {
        let map = "# Map\n\n- **I1 Replay is silent.** It sends nothing.\n  Enforced by: \
            `crates/a/tests/replay.rs`, `a::replay_sends_nothing`\n\
            - **I2 Pure.** Enforced by: `tidy:core-purity`, `crates/a/`\n\nSee `nothing`.\n";
        assert_eq!(found(map), [""; 0]);
    }

    #[test]
    fn names_which_do_not_exist_are_found() {
        rejects("**I1 A.** Enforced by: `sends_twice`", "ARCHITECTURE.md:1: invariants: I1 names");
        rejects("**I1 A.** Enforced by: `old`", "I1 names `old`");
        rejects("**I1 A.** Enforced by: `tidy:manners`", "I1 names `tidy:manners`");
        rejects("**I1 A.** Enforced by: `crates/b/lib.rs`", "I1 names `crates/b/lib.rs`");
    }

    #[test]
    fn a_guarantee_is_a_row() {
        let invariant = "**I1 A.** Enforced by: `tidy:core-purity`\n\n";
        let row = |cell: &str| format!("{invariant}| | |\n| --- | --- |\n| **G1 A** | {cell} |\n");
        assert_eq!(found(&row("`replay_sends_nothing`")), [""; 0]);
        rejects(&row("`replay_sends_nothing`, `old`"), "G1 names `old`");
        rejects(&row("we are careful"), "G1 does not say");
    }

    #[test]
    fn an_answer_is_a_row_that_names_its_test() {
        let found = |test: &str| {
            let map = (MAP, "**I1 A.** Enforced by: `tidy:core-purity`\n");
            let row = format!("| **R7** | NUL | INVALID_ARGUMENT | edge | `{test}` |\n");
            let code = ("crates/a/tests/bad.rs", "//! a\n#[test]\nfn nul_is_refused() {}\n");
            check(&Tree::of(&[map, (ANSWERS, &row), code])).len()
        };
        assert_eq!((found("nul_is_refused"), found("nul_is_taken")), (0, 1));
    }

    #[test]
    fn an_invariant_without_a_check_is_found() {
        rejects("**I1 A.** We are careful.", "I1 does not say");
        rejects("**I1 A.** Careful.\n\nEnforced by: `replay_sends_nothing`", "I1 does not say");
    }

    #[test]
    fn numbers_are_unique_and_the_map_is_there() {
        let one = "**I1 A.** Enforced by: `replay_sends_nothing`\n";
        rejects(&format!("{one}{one}"), "there is another I1");
        rejects("# Map\n", "states no invariant");
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
