//! Unfinished work is an issue or a commit to come, not a note in the code.

use super::finding::Finding;
use super::source::{Source, is_word, words};
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "markers";

const NOTES: [&str; 3] = ["TODO", "FIXME", "XXX"];
const MACROS: [&str; 3] = ["dbg!", "todo!", "unimplemented!"];

/// Looks for notes in comments and for placeholder and debugging macros in code. Prose (`.md`) may
/// talk about them.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files().iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    if file.path.ends_with(".md") || file.path == "Cargo.lock" {
        return Vec::new();
    }
    if !file.path.ends_with(".rs") {
        return findings(file, &file.text, note);
    }
    let source = Source::new(&file.text);
    let mut found = findings(file, &source.comments, note);
    found.extend(findings(file, &source.code, placeholder));
    found
}

fn findings(file: &File, text: &str, look: fn(&str) -> Option<&'static str>) -> Vec<Finding> {
    let hits = text.lines().enumerate().filter_map(|(before, line)| Some((before, look(line)?)));
    hits.map(|(before, marker)| {
        let message = format!("`{marker}`: finish it, or leave it out and say so in an issue");
        Finding::new(RULE, &file.path, before + 1, message)
    })
    .collect()
}

fn note(line: &str) -> Option<&'static str> {
    NOTES.into_iter().find(|note| words(line).any(|word| word == *note))
}

fn placeholder(line: &str) -> Option<&'static str> {
    MACROS.into_iter().find(|name| {
        line.match_indices(name).any(|(at, _)| {
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            !before.is_some_and(is_word)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|it| it.line).collect()
    }

    #[test]
    fn notes_in_comments_are_found() {
        let text = "//! a\n// TODO: b\nf(); /* FIXME */\n/// XXX c\n";
        assert_eq!(lines("a.rs", text), [2, 3, 4]);
        assert_eq!(lines("run.sh", "true # TODO later\n"), [1]);
    }

    #[test]
    fn placeholders_in_code_are_found() {
        assert_eq!(lines("a.rs", "dbg!(1);\ntodo!()\nstd::unimplemented!(\"x\")\n"), [1, 2, 3]);
    }

    #[test]
    fn words_which_only_look_alike_pass() {
        let text = "//! mktemp x.XXXXXX\nf(\"TODO\", \"dbg!(1)\"); // not dbg!\nnot_a_todo!();\n";
        assert_eq!(lines("a.rs", text), [0; 0]);
        assert_eq!(lines("GUIDE.md", "Write no TODO.\n"), [0; 0]);
    }
}
