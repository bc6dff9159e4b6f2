//! The core is pure: no runtime, clock, file, network, environment, randomness, log or serializer.
//!
//! Its manifest already shuts out the crates ([`super::edges`]); this shuts out what `std` brings.

use super::finding::Finding;
use super::source::{Source, Token};
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "core-purity";

const CORE: &str = "crates/campanile-core/src/";

const WORDS: [&str; 8] =
    ["tokio", "SystemTime", "Instant", "rand", "getrandom", "tracing", "serde", "serde_json"];

/// Modules of `std` which touch the world.
const STD_MODULES: [&str; 5] = ["env", "fs", "net", "process", "thread"];

/// Looks for the words in the code of the core. Comments may explain what is absent.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().filter(|file| file.path.starts_with(CORE)).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let source = Source::new(&file.text);
    let tokens = source.tokens();
    let words = tokens.iter().filter(|token| WORDS.contains(&token.text)).copied();
    words
        .chain(std_modules(&tokens))
        .map(|token| {
            let message = format!(
                "`{}` has no place in the core; take what it gives as a value or behind a port",
                token.text
            );
            Finding::new(RULE, &file.path, token.line, message)
        })
        .collect()
}

/// The worldly modules named as `std::fs` or in `std::{fs, …}`.
fn std_modules<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut found = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let path = after.get(..2).is_some_and(|next| next.iter().all(|it| it.text == ":"));
        if first.text == "std" && path {
            let named = group_heads(after.get(2..).unwrap_or_default());
            found.extend(named.into_iter().filter(|it| STD_MODULES.contains(&it.text)));
        }
    }
    found
}

/// The first words of a path or of each member of a `{…}` group.
fn group_heads<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let Some(first) = tokens.first() else { return Vec::new() };
    if first.text != "{" {
        return vec![*first];
    }
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut starts = false;
    for token in tokens {
        match token.text {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ if starts && depth == 1 => heads.push(*token),
            _ => {}
        }
        starts = matches!(token.text, "{" | ",");
        if depth == 0 {
            break;
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|it| it.line).collect()
    }

    const FILE: &str = "crates/campanile-core/src/fold.rs";

    #[test]
    fn the_world_is_found_in_every_spelling() {
        for text in [
            "use tokio::sync::mpsc;",
            "let now = std::time::Instant::now();",
            "let files = std::fs::read(path);",
            "use std::{collections::{BTreeMap}, env};",
            "use std::{\n    fmt, net::IpAddr};",
            "#[derive(serde::Serialize)]",
        ] {
            assert_eq!(lines(FILE, text).len(), 1, "{text}");
        }
    }

    #[test]
    fn pure_std_comments_and_other_crates_pass() {
        let text = "//! No tokio here.\nuse std::{fmt, collections::env_like};\nlet s = \"serde\";";
        assert_eq!(lines(FILE, text), [0; 0]);
        assert_eq!(lines("crates/campanile-engine/src/lib.rs", "use std::env;"), [0; 0]);
    }
}
