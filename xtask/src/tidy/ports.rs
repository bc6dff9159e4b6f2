//! A port is small and says what it promises.
//!
//! Wide ports make every adapter implement the domain again, and a promise that is not written down
//! is one that each adapter keeps differently.

use super::finding::Finding;
use super::source::{Source, Token};
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "ports";

const MAX_METHODS: usize = 7;
const CONTRACT: &str = "# Contract";

/// Looks at every trait in the core's `port` module.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let is_port = |path: &str| {
        let inside = path.strip_prefix("crates/campanile-core/src/port");
        inside.is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    };
    tree.rust().filter(|file| is_port(&file.path)).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let source = Source::new(&file.text);
    let tokens = source.tokens();
    let mut findings = Vec::new();
    let mut rest = tokens.as_slice();
    while let Some((keyword, after)) = rest.split_first() {
        rest = after;
        let Some(name) = after.first().filter(|_| keyword.text == "trait") else { continue };
        let methods = count_methods(after);
        if methods > MAX_METHODS {
            let message = format!(
                "trait `{}` has {methods} methods, at most {MAX_METHODS}; \
                 make it batch-shaped or give the rest its own port",
                name.text
            );
            findings.push(Finding::new(RULE, &file.path, name.line, message));
        }
        if !docs_above(&file.text, keyword.line).contains(CONTRACT) {
            let message = format!(
                "trait `{}` has no `{CONTRACT}` section: say what every adapter promises",
                name.text
            );
            findings.push(Finding::new(RULE, &file.path, name.line, message));
        }
    }
    findings
}

/// Methods of the trait whose tokens these are, from its name on.
fn count_methods(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    let mut methods = 0;
    for (token, next) in tokens.iter().zip(tokens.iter().skip(1)) {
        match token.text {
            "{" => depth += 1,
            "}" if depth <= 1 => break,
            "}" => depth -= 1,
            // `fn(` is the type of a function, not a method.
            "fn" if depth == 1 && next.text != "(" => methods += 1,
            _ => {}
        }
    }
    methods
}

/// The doc comment above line `line`, across attributes.
fn docs_above(text: &str, line: usize) -> String {
    let above: Vec<&str> = text.lines().take(line.saturating_sub(1)).map(str::trim).collect();
    let ends_an_item = |line: &&&str| line.is_empty() || line.ends_with([';', '}']);
    let own = above.iter().rev().take_while(|line| {
        line.starts_with("///") || line.starts_with("#[") || !ends_an_item(line)
    });
    let docs: Vec<&str> = own.filter(|line| line.starts_with("///")).copied().collect();
    docs.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "crates/campanile-core/src/port/log.rs";

    fn port(methods: usize, docs: &str) -> String {
        let methods = "    fn f(&self, g: fn(u8)) { if true { fn h() {} } }\n".repeat(methods);
        format!(
            "use x;\n\n{docs}\n#[async_trait]\npub trait Log: Send {{\n{methods}}}\nfn f() {{}}\n"
        )
    }

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn a_small_port_with_a_contract_passes() {
        assert_eq!(found(FILE, &port(7, "/// A log.\n///\n/// # Contract\n/// - Kept.")), [""; 0]);
    }

    #[test]
    fn a_wide_port_is_found() {
        let findings = found(FILE, &port(8, "/// # Contract"));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("`Log` has 8 methods"), "{findings:?}");
    }

    #[test]
    fn a_port_without_a_contract_is_found() {
        let elsewhere = format!("/// # Contract\npub struct Other;\n{}", port(1, "/// A log."));
        assert!(found(FILE, &elsewhere)[0].contains("no `# Contract`"));
    }

    #[test]
    fn traits_elsewhere_are_free() {
        assert_eq!(found("crates/campanile-core/src/portal.rs", &port(9, "/// A log.")), [""; 0]);
        let single = "crates/campanile-core/src/port.rs";
        assert_eq!(found(single, &port(9, "/// A log.")).len(), 2);
    }
}
