//! The files under check: what git tracks, and what it would track if it were added now.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// Why the tree could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    /// There is no git to ask.
    #[error("could not start git to list the files: {0}")]
    NoGit(#[source] io::Error),
    /// Git refused, most often because this is no git checkout.
    #[error("git could not list the files: {0}")]
    Git(String),
    /// A listed file could not be read.
    #[error("could not read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// One text file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// Its whole text.
    pub(crate) text: String,
}

impl File {
    /// Number of the first line which `is_it` accepts, or 1 so that a finding always has a place.
    pub(crate) fn line_of(&self, is_it: impl Fn(&str) -> bool) -> usize {
        self.text.lines().position(is_it).map_or(1, |before| before + 1)
    }
}

/// All text files of the repository.
#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Every file, in the order git lists them.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The file at exactly this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Self { files: files.iter().map(file).collect() }
    }
}

/// Reads the tree at `root`. Files which are not UTF-8 text (pictures) are left out, as are files
/// git still knows although they were deleted.
///
/// # Errors
/// Git is missing or refuses, or a file cannot be read.
pub(crate) fn load(root: &Path) -> Result<Tree, TreeError> {
    // A clone made by another user is not `safe` for git; listing its files harms nobody.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output()
        .map_err(TreeError::NoGit)?;
    if !output.status.success() {
        return Err(TreeError::Git(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        if let Some(text) = read_text(&root.join(path))? {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(Tree { files })
}

fn read_text(path: &Path) -> Result<Option<String>, TreeError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TreeError::Unreadable { path: path.to_owned(), source }),
    }
}
