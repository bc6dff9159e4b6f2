//! Which crate of the workspace may know which.
//!
//! The table is the architecture: the core knows nobody, adapters do not know each other, and only
//! the binary sees adapters and the engine together. A new edge is a change of design and begins
//! here, with the reason in the commit.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::finding::Finding;
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "edges";

/// One crate and the crates of this workspace it may name.
struct Allowed {
    package: &'static str,
    /// In `[dependencies]` and `[build-dependencies]`, for every target.
    normal: &'static [&'static str],
    /// In `[dev-dependencies]`, besides those above.
    dev: &'static [&'static str],
}

const EDGES: &[Allowed] = &[
    Allowed { package: "campanile-core", normal: &[], dev: &["campanile-testkit"] },
    Allowed { package: "campanile-proto", normal: &["campanile-core"], dev: &[] },
    Allowed {
        package: "campanile-embedded",
        normal: &["campanile-core", "campanile-proto"],
        dev: &["campanile-testkit"],
    },
    Allowed {
        package: "campanile-push",
        normal: &["campanile-core"],
        dev: &["campanile-simulate", "campanile-testkit"],
    },
    Allowed {
        package: "campanile-engine",
        normal: &["campanile-core", "campanile-proto"],
        dev: &[],
    },
    Allowed {
        package: "campanile-api",
        normal: &["campanile-core", "campanile-engine", "campanile-proto"],
        dev: &["campanile-testkit"],
    },
    Allowed { package: "campanile-simulate", normal: &[], dev: &[] },
    Allowed {
        package: "campanile-testkit",
        normal: &["campanile-core", "campanile-engine", "campanile-proto"],
        dev: &[],
    },
    Allowed {
        package: "campanile",
        normal: &[
            "campanile-api",
            "campanile-core",
            "campanile-embedded",
            "campanile-engine",
            "campanile-proto",
            "campanile-push",
            "campanile-simulate",
        ],
        dev: &[],
    },
    Allowed {
        package: "loadtest",
        normal: &["campanile-api", "campanile-proto", "campanile-simulate"],
        dev: &[],
    },
    Allowed { package: "xtask", normal: &["campanile-testkit"], dev: &[] },
];

/// All that the core needs from outside: pure data and the shape of an async trait.
const CORE_DEPENDENCIES: [&str; 4] = ["async-trait", "blake3", "bytes", "thiserror"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Dev,
}

/// Checks the manifest of every crate against the table.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let is_root = |file: &File| file.path == "Cargo.toml";
    let renames = tree.file("Cargo.toml").and_then(|root| root.text.parse::<Table>().ok());
    let renames = renames.as_ref().and_then(|root| root.get("workspace")?.get("dependencies"));
    tree.files()
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && !is_root(file))
        .flat_map(|file| check_manifest(file, renames))
        .collect()
}

fn check_manifest(file: &File, renames: Option<&Value>) -> Vec<Finding> {
    let finding = |line, message: String| Finding::new(RULE, &file.path, line, message);
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![finding(1, format!("is not TOML: {}", error.message()))],
    };
    let Some(name) = manifest.get("package").and_then(|it| it.get("name")?.as_str()) else {
        return vec![finding(1, "has no package name".to_owned())];
    };
    let Some(allowed) = EDGES.iter().find(|allowed| allowed.package == name) else {
        let message = format!(
            "crate `{name}` is not in the table of dependency edges; \
             add it in xtask/src/tidy/edges.rs and say in the commit why it may know what it knows"
        );
        return vec![finding(file.line_of(|line| line.starts_with("name")), message)];
    };

    let dependencies = dependencies(&manifest, renames);
    let mut findings = Vec::new();
    for (kind, key, package) in &dependencies {
        let known = allowed.normal.contains(&package.as_str())
            || (*kind == Kind::Dev && allowed.dev.contains(&package.as_str()));
        if is_internal(package) && !known {
            let how = if *kind == Kind::Dev { "even in tests" } else { "outside tests" };
            let message = format!("`{name}` must not depend on `{package}`, {how}");
            findings.push(finding(line_of_key(file, key), message));
        }
    }
    findings.extend(unused(file, allowed, &dependencies));
    if name == "campanile-core" {
        findings.extend(check_core(file, &dependencies));
    }
    findings
}

/// Edges that the table allows and nobody uses: a change of design that nobody would notice.
fn unused<'a>(
    file: &'a File,
    allowed: &'a Allowed,
    dependencies: &'a [(Kind, String, String)],
) -> impl Iterator<Item = Finding> + 'a {
    let normal = allowed.normal.iter().map(|it| (Kind::Normal, *it));
    let edges = normal.chain(allowed.dev.iter().map(|it| (Kind::Dev, *it)));
    let is_used = |(edge, to): &(Kind, &str)| {
        dependencies.iter().any(|(kind, _, package)| (kind, package.as_str()) == (edge, to))
    };
    edges.filter(move |edge| !is_used(edge)).map(move |(_, to)| {
        let message = format!("the table allows `{}` -> `{to}`, unused", allowed.package);
        Finding::new(RULE, &file.path, 1, message)
    })
}

fn check_core(file: &File, dependencies: &[(Kind, String, String)]) -> Option<Finding> {
    let normal = dependencies.iter().filter(|(kind, _, _)| *kind == Kind::Normal);
    let found: BTreeSet<&str> = normal.map(|(_, _, package)| package.as_str()).collect();
    let message = format!("core depends on exactly {CORE_DEPENDENCIES:?}, found {found:?}");
    let line = file.line_of(|line| line.trim() == "[dependencies]");
    (found != BTreeSet::from(CORE_DEPENDENCIES))
        .then(|| Finding::new(RULE, &file.path, line, message))
}

fn is_internal(package: &str) -> bool {
    package.starts_with("campanile") || EDGES.iter().any(|allowed| allowed.package == package)
}

/// Every dependency: its kind, the key it is written under, and the package it means.
fn dependencies(manifest: &Table, renames: Option<&Value>) -> Vec<(Kind, String, String)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut found = Vec::new();
    for table in targets.chain([manifest]) {
        for (section, kind) in [
            ("dependencies", Kind::Normal),
            ("build-dependencies", Kind::Normal),
            ("dev-dependencies", Kind::Dev),
        ] {
            let entries = table.get(section).and_then(Value::as_table);
            for (key, entry) in entries.into_iter().flatten() {
                let shared = renames.and_then(|renames| renames.get(key));
                let renamed = [Some(entry), shared].into_iter().flatten();
                let package = renamed.filter_map(|it| it.get("package")?.as_str()).next();
                found.push((kind, key.clone(), package.unwrap_or(key).to_owned()));
            }
        }
    }
    found
}

fn line_of_key(file: &File, key: &str) -> usize {
    file.line_of(|line| {
        line.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str = "[package]\nname = \"campanile-core\"\n[dependencies]\n\
        async-trait.workspace = true\nblake3.workspace = true\nbytes.workspace = true\n\
        thiserror.workspace = true\n[dev-dependencies]\nproptest.workspace = true\n\
        campanile-testkit.workspace = true\n";

    fn found(manifest: &str) -> Vec<String> {
        let root = "[workspace.dependencies]\nengine = { package = \"campanile-engine\" }\n";
        let tree = Tree::of(&[("Cargo.toml", root), ("crates/x/Cargo.toml", manifest)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn rejects(manifest: &str, message: &str) {
        let findings = found(manifest);
        assert!(findings.iter().any(|it| it.contains(message)), "{findings:?}");
    }

    #[test]
    fn the_designed_edges_pass() {
        assert_eq!(found(CORE), [""; 0]);
        let push = "[package]\nname = \"campanile-push\"\n\
            [dependencies]\ncampanile-core.workspace = true\nh2.workspace = true\n\
            [dev-dependencies]\ncampanile-simulate.workspace = true\n\
            campanile-testkit.workspace = true\n";
        assert_eq!(found(push), [""; 0]);
    }

    #[test]
    fn an_adapter_does_not_know_another() {
        rejects(
            "[package]\nname = \"campanile-push\"\n[dependencies]\n\
             campanile-core.workspace = true\ncampanile-embedded.workspace = true\n",
            "crates/x/Cargo.toml:5: edges: `campanile-push` must not depend on `campanile-embedded`",
        );
    }

    #[test]
    fn what_nobody_uses_is_not_allowed() {
        rejects(
            "[package]\nname = \"campanile-proto\"\n[dependencies]\nprost.workspace = true\n",
            "the table allows `campanile-proto` -> `campanile-core`, unused",
        );
    }

    #[test]
    fn the_testkit_is_for_tests() {
        rejects(
            "[package]\nname = \"campanile-embedded\"\n[dependencies]\n\
             campanile-testkit.workspace = true\n",
            "must not depend on `campanile-testkit`, outside tests",
        );
    }

    #[test]
    fn a_rename_or_a_target_hides_nothing() {
        let package = "[package]\nname = \"campanile-push\"\n";
        let renamed = "[dependencies]\nx = { package = \"campanile-engine\", path = \"x\" }\n";
        rejects(&format!("{package}{renamed}"), "`campanile-engine`");
        rejects(
            &format!("{package}[dependencies]\nengine.workspace = true\n"),
            "`campanile-engine`",
        );
        let target = "[target.'cfg(unix)'.build-dependencies]\ncampanile-api.workspace = true\n";
        rejects(&format!("{package}{target}"), "`campanile-api`");
        let dev = "[dev-dependencies]\ncampanile-engine.workspace = true\n";
        rejects(&format!("{package}{dev}"), "`campanile-engine`, even in tests");
    }

    #[test]
    fn core_takes_nothing_new_and_loses_nothing() {
        rejects(&CORE.replace("bytes.workspace", "tokio.workspace"), "core depends on exactly");
        rejects(&CORE.replace("bytes.workspace = true\n", ""), "core depends on exactly");
    }

    #[test]
    fn an_unknown_crate_or_a_broken_manifest_is_told_what_to_do() {
        rejects("[package]\nname = \"campanile-new\"\n", "add it in xtask/src/tidy/edges.rs");
        rejects("[package\n", "is not TOML");
        rejects("[dependencies]\n", "has no package name");
    }
}
