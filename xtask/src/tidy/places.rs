//! The repository builds anywhere: it names no package registry and no path of one machine.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Name of this rule.
pub(crate) const RULE: &str = "places";

// `concat!` keeps this file from being its own first finding.
const HOSTS: [&str; 8] = [
    concat!("crates", ".io"),
    concat!("registry", ".npmjs.org"),
    concat!("pypi", ".org"),
    concat!("proxy", ".golang.org"),
    concat!("docker", ".io"),
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
    concat!("deb", ".debian.org"),
];
const PATHS: [&str; 2] = [concat!("/work", "/"), concat!("/tmp/t", "-")];

/// Looks through every file except Cargo.lock, which cargo writes.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files().iter().filter(|file| file.path != "Cargo.lock").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (before, line) in file.text.lines().enumerate() {
        if let Some(host) = HOSTS.into_iter().find(|host| line.contains(host)) {
            let message = format!("names the registry host `{host}`; leave it to the client");
            findings.push(Finding::new(RULE, &file.path, before + 1, message));
        }
        if let Some(path) = PATHS.into_iter().find(|path| has_absolute(line, path)) {
            let message = format!("names `{path}`, a path of one machine");
            findings.push(Finding::new(RULE, &file.path, before + 1, message));
        }
    }
    findings
}

/// Whether `path` occurs from the root of the file system, not inside a longer path.
fn has_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~*}".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|it| it.line).collect()
    }

    #[test]
    fn hosts_and_machine_paths_are_found() {
        for host in HOSTS {
            assert_eq!(lines("README.md", &format!("a\nsee https://{host}/x\n")), [2]);
        }
        for path in PATHS {
            assert_eq!(lines("run.sh", &format!("cd {path}x\n")), [1]);
        }
    }

    #[test]
    fn relative_paths_and_the_lock_file_pass() {
        assert_eq!(lines("a.md", &format!("docs{}x and ${{dir}}{}x", PATHS[0], PATHS[0])), [0; 0]);
        assert_eq!(lines("Cargo.lock", HOSTS[0]), [0; 0]);
    }
}
