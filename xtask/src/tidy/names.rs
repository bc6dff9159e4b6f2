//! A module is named for what it holds. The words below name a place where things are put.

use super::finding::Finding;
use super::source::Source;
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "names";

const EMPTY_WORDS: [&str; 7] = ["util", "utils", "helper", "helpers", "manager", "common", "misc"];

/// Looks at every directory, file and inline module.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files().iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let complain = |line, word, name: &str| {
        let message = format!("`{name}`: `{word}` says nothing; name it for what it holds");
        Finding::new(RULE, &file.path, line, message)
    };
    let mut findings: Vec<Finding> = file
        .path
        .split('/')
        .filter_map(|name| Some(complain(1, empty_word(name)?, name)))
        .collect();
    if file.path.ends_with(".rs") {
        let source = Source::new(&file.text);
        let tokens = source.tokens();
        let modules = tokens.iter().zip(tokens.iter().skip(1));
        let modules = modules.filter(|(keyword, _)| keyword.text == "mod");
        findings.extend(
            modules.filter_map(|(_, name)| {
                Some(complain(name.line, empty_word(name.text)?, name.text))
            }),
        );
    }
    findings
}

fn empty_word(name: &str) -> Option<&'static str> {
    let parts = || name.split(['_', '-', '.']);
    EMPTY_WORDS.into_iter().find(|word| parts().any(|part| part.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|it| it.line).collect()
    }

    #[test]
    fn empty_names_are_found() {
        assert_eq!(lines("src/utils.rs", ""), [1]);
        assert_eq!(lines("src/common/pool.rs", ""), [1]);
        assert_eq!(lines("src/session_manager.rs", ""), [1]);
        assert_eq!(lines("tests/test-helpers.sh", ""), [1]);
        assert_eq!(lines("src/a.rs", "//! a\nmod misc {}\n"), [2]);
    }

    #[test]
    fn names_which_mean_something_pass() {
        assert_eq!(lines("src/uncommon.rs", "//! mod util\nmod pool { /* mod misc */ }\n"), [0; 0]);
    }
}
