//! Where in a file something stands, in words.

use std::fmt;

use super::ConfigError;

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: String,
    /// From 1.
    line: usize,
    /// The key with the table it is in; empty if there is none on the line.
    key: String,
}

impl Place {
    /// The place of the byte `at` of `text`.
    pub(super) fn of(file: &str, text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        // The end of the text counts as its last line.
        let last = text.lines().count().saturating_sub(1);
        let line = before.matches('\n').count().min(last);
        let mut table = "";
        let mut key = "";
        for text in text.lines().take(line + 1) {
            let text = text.trim();
            let header = text.strip_prefix('[').and_then(|rest| rest.split(']').next());
            if let Some(header) = header {
                (table, key) = (header.trim_start_matches('[').trim(), "");
            } else if let Some((name, _)) = text.split_once('=').filter(|_| !text.starts_with('#'))
            {
                key = name.trim();
            } else {
                key = "";
            }
        }
        let dot = if table.is_empty() || key.is_empty() { "" } else { "." };
        Self { file: file.to_owned(), line: line + 1, key: format!("{table}{dot}{key}") }
    }

    /// The error that what stands here is wrong.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError { place: self.to_string(), reason: reason.into() }
    }
}

impl fmt::Display for Place {
    /// `file:line: key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, ": {}", self.key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_line_and_key() {
        let text = "# listen = 1\n[serve]\nlisten = 5\n\n[[apps]]\nid = \"a\"\n";
        let place = |part: &str| {
            let at = text.find(part).unwrap_or_default();
            Place::of("f.toml", text, at).to_string()
        };
        assert_eq!(place("5"), "f.toml:3: serve.listen");
        assert_eq!(place("[[apps"), "f.toml:5: apps");
        assert_eq!(place("\"a\""), "f.toml:6: apps.id");
        assert_eq!(place("# listen"), "f.toml:1");
        assert_eq!(Place::of("f.toml", text, 999).to_string(), "f.toml:6: apps.id");
    }
}
