//! A Rust text seen as the compiler sees it: comments apart from code, literals blanked out.
//!
//! This is not a parser. It knows comments, strings, characters and lifetimes, which is enough for
//! rules about words to be exact: the word for unfinished work in a string is data, in a comment it
//! is a confession.

/// One Rust text as two texts of the same shape: each keeps every line break and column of the
/// original, and blanks what belongs to the other. The inside of a literal is blank in both.
#[derive(Debug)]
pub(crate) struct Source {
    /// What is compiled.
    pub(crate) code: String,
    /// What is written for people, doc comments included.
    pub(crate) comments: String,
}

/// A word or a single punctuation character of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The text: an identifier, keyword or number, or one other character.
    pub(crate) text: &'a str,
}

impl Source {
    /// Splits a Rust text. Never fails: what does not compile is split as far as it makes sense.
    pub(crate) fn new(text: &str) -> Self {
        let chars = text.chars().collect();
        let mut lexer = Lexer { chars, at: 0, code: String::new(), comments: String::new() };
        lexer.run();
        Self { code: lexer.code, comments: lexer.comments }
    }

    /// The tokens of the code, in order.
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        for (before, line) in self.code.lines().enumerate() {
            let mut rest = line.trim_start();
            while let Some(first) = rest.chars().next() {
                let end = if is_word(first) {
                    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
                } else {
                    first.len_utf8()
                };
                let (token, after) = rest.split_at(end);
                tokens.push(Token { line: before + 1, text: token });
                rest = after.trim_start();
            }
        }
        tokens
    }
}

/// Whether `c` can be part of an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The identifiers and numbers of a line.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// Where a character goes.
#[derive(Clone, Copy)]
enum Part {
    Code,
    Comment,
    Literal,
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

impl Lexer {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) => self.quote(),
                _ if is_word(c) => self.word(),
                _ => self.take(Part::Code),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take(&mut self, part: Part) {
        let Some(c) = self.peek(0) else { return };
        let blank = if c == '\n' { '\n' } else { ' ' };
        let (code, comment) = match part {
            Part::Code => (c, blank),
            Part::Comment => (blank, c),
            Part::Literal => (blank, blank),
        };
        self.code.push(code);
        self.comments.push(comment);
        self.at += 1;
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.take(Part::Comment);
        }
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            let step = match (c, self.peek(1)) {
                ('/', Some('*')) => 1,
                ('*', Some('/')) => -1,
                _ => 0,
            };
            self.take(Part::Comment);
            if step != 0 {
                self.take(Part::Comment);
                depth = depth.saturating_add_signed(step);
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(Part::Code);
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => {
                    self.take(Part::Literal);
                    self.take(Part::Literal);
                }
                '"' => return self.take(Part::Code),
                _ => self.take(Part::Literal),
            }
        }
    }

    /// A quote begins a character (`'a'`, `'\''`) or a lifetime (`'a`).
    fn quote(&mut self) {
        let escaped = self.peek(1) == Some('\\');
        let is_char = escaped || self.peek(2) == Some('\'');
        self.take(Part::Code);
        if !is_char {
            return;
        }
        if escaped {
            self.take(Part::Literal);
        }
        self.take(Part::Literal);
        while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
            self.take(Part::Literal);
        }
        self.take(Part::Code);
    }

    /// A word, or the `r`, `br` or `cr` in front of a raw string.
    fn word(&mut self) {
        let mut word = String::new();
        while let Some(c) = self.peek(0).filter(|c| is_word(*c)) {
            word.push(c);
            self.take(Part::Code);
        }
        let hashes = (0..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
        if matches!(word.as_str(), "r" | "br" | "cr") && self.peek(hashes) == Some('"') {
            self.raw_string(hashes);
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        for _ in 0..=hashes {
            self.take(Part::Code);
        }
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                for _ in 0..=hashes {
                    self.take(Part::Code);
                }
                return;
            }
            self.take(Part::Literal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str, comments: &str) {
        let source = Source::new(text);
        assert_eq!(source.code.trim_end(), code, "code of {text:?}");
        assert_eq!(source.comments.trim(), comments, "comments of {text:?}");
        let shape = |text: &str| text.lines().map(|l| l.chars().count()).collect::<Vec<_>>();
        assert_eq!(shape(&source.code), shape(text), "shape of {text:?}");
    }

    #[test]
    fn comments_leave_the_code() {
        check("a(); // b", "a();", "// b");
        check("a /* b /* c */ d */ e", "a                   e", "/* b /* c */ d */");
        check("a /*/ b */ c", "a          c", "/*/ b */");
        check("/// doc\nfn f() {}", "       \nfn f() {}", "/// doc");
    }

    #[test]
    fn literals_are_blank_in_both() {
        check(r#"f("a // b", c)"#, r#"f("      ", c)"#, "");
        check(r#"f("a \" b", c)"#, r#"f("      ", c)"#, "");
        check(r###"f(r#"a " b"#, c)"###, r###"f(r#"     "#, c)"###, "");
        check(r#"f(br"\", c)"#, r#"f(br" ", c)"#, "");
        check("f('\"', '\\'', '\\u{41}') // c", "f(' ', '  ', '      ')", "// c");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", "");
        check("r#type + r", "r#type + r", "");
    }

    #[test]
    fn tokens_know_their_lines() {
        let source = Source::new("use a::b; // c\nx");
        let tokens: Vec<_> = source.tokens().iter().map(|t| (t.line, t.text)).collect();
        assert_eq!(
            tokens,
            [(1, "use"), (1, "a"), (1, ":"), (1, ":"), (1, "b"), (1, ";"), (2, "x")]
        );
    }
}
