//! A file is at most 400 lines. What was longer when it was listed may only become shorter.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "length";

const MAX_LINES: usize = 400;

/// Lines of `<path> <lines>`: files that are allowed to be longer than the rest, for now.
const RATCHET: &str = "xtask/tidy-ratchet.txt";

/// Compares each Rust file with the limit, or with the length the ratchet holds it to.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let ratchet = tree.file(RATCHET).map_or("", |file| file.text.as_str());
    let mut findings = Vec::new();
    let mut listed: Vec<(&str, usize)> = Vec::new();
    for (before, line) in ratchet.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse(line) {
            Some((path, _)) if tree.file(path).is_none() => {
                let message = format!("`{path}` does not exist; remove the line");
                findings.push(Finding::new(RULE, RATCHET, before + 1, message));
            }
            Some(entry) => listed.push(entry),
            None => {
                let message = format!("expected `<path> <lines>`, got `{line}`");
                findings.push(Finding::new(RULE, RATCHET, before + 1, message));
            }
        }
    }
    let allowed = |path: &str| listed.iter().find(|(it, _)| *it == path).map(|(_, lines)| *lines);
    findings.extend(tree.rust().filter_map(|file| check_file(file, allowed(&file.path))));
    findings
}

fn parse(line: &str) -> Option<(&str, usize)> {
    let (path, lines) = line.split_once(char::is_whitespace)?;
    Some((path, lines.trim().parse().ok()?))
}

fn check_file(file: &File, allowed: Option<usize>) -> Option<Finding> {
    let lines = file.text.lines().count();
    let message = match allowed {
        None if lines > MAX_LINES => {
            format!("{lines} lines, at most {MAX_LINES}; split it by what its parts are about")
        }
        Some(allowed) if lines > allowed => {
            format!("{lines} lines, {RATCHET} allows {allowed}; it may only become shorter")
        }
        Some(_) if lines <= MAX_LINES => {
            format!("{lines} lines now; remove it from {RATCHET}")
        }
        Some(allowed) if lines < allowed => {
            format!("{lines} lines now; lower it from {allowed} in {RATCHET}")
        }
        None | Some(_) => return None,
    };
    Some(Finding::new(RULE, &file.path, lines, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: usize, ratchet: &str) -> Vec<String> {
        let text = "x\n".repeat(lines);
        let tree = Tree::of(&[("a.rs", &text), (RATCHET, ratchet)]);
        check(&tree).into_iter().map(|it| it.message).collect()
    }

    #[track_caller]
    fn rejects(lines: usize, ratchet: &str, message: &str) {
        let findings = found(lines, ratchet);
        assert!(findings.iter().any(|it| it.contains(message)), "{findings:?}");
    }

    #[test]
    fn the_limit_is_four_hundred() {
        assert_eq!(found(400, "# nothing\n"), [""; 0]);
        rejects(401, "", "401 lines, at most 400");
    }

    #[test]
    fn a_listed_file_may_only_shrink() {
        assert_eq!(found(500, "a.rs 500\n"), [""; 0]);
        rejects(501, "a.rs 500\n", "may only become shorter");
        rejects(499, "a.rs 500\n", "lower it from 500");
        rejects(400, "a.rs 500\n", "remove it from");
        rejects(300, "a.rs 300\n", "remove it from");
    }

    #[test]
    fn the_list_itself_is_checked() {
        rejects(1, "gone.rs 500\n", "does not exist");
        rejects(1, "a.rs many\n", "expected `<path> <lines>`");
    }
}
