//! The arguments of `cargo xtask sim`.

use std::num::ParseIntError;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How many seeds.
    pub(crate) seeds: u64,
    /// The first.
    pub(crate) from: u64,
    /// How many at once.
    pub(crate) jobs: usize,
    /// Only this one.
    pub(crate) seed: Option<u64>,
    /// Print what happens.
    pub(crate) trace: bool,
    /// Look for the planted bugs.
    pub(crate) planted: bool,
}

/// Why the arguments were not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionsError {
    /// There is no such option.
    #[error("unknown option `{0}`; there are --seeds, --from, --jobs, --seed, --trace, --planted")]
    Unknown(String),
    /// The option needs a number.
    #[error("`{option}` needs a number: {source}")]
    NoNumber {
        /// The option.
        option: String,
        /// What is wrong with what follows it.
        source: ParseIntError,
    },
    /// The option needs a value.
    #[error("`{0}` needs a number")]
    NoValue(String),
}

impl Options {
    /// Reads `arguments`.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, OptionsError> {
        let mut options =
            Self { seeds: 1000, from: 0, jobs: 2, seed: None, trace: false, planted: false };
        let mut arguments = arguments.iter();
        while let Some(option) = arguments.next() {
            let mut number = || -> Result<u64, OptionsError> {
                let value =
                    arguments.next().ok_or_else(|| OptionsError::NoValue(option.clone()))?;
                let no_number = |source| OptionsError::NoNumber { option: option.clone(), source };
                value.parse().map_err(no_number)
            };
            match option.as_str() {
                "--seeds" => options.seeds = number()?,
                "--from" => options.from = number()?,
                "--jobs" => options.jobs = usize::try_from(number()?).unwrap_or(usize::MAX).max(1),
                "--seed" => options.seed = Some(number()?),
                "--trace" => options.trace = true,
                "--planted" => options.planted = true,
                _ => return Err(OptionsError::Unknown(option.clone())),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let options = parse("--seeds 10 --from 5 --jobs 0 --trace").unwrap();
        assert_eq!((options.seeds, options.from, options.jobs), (10, 5, 1));
        assert!(options.trace && !options.planted);
    }

    #[test]
    fn nonsense_is_told() {
        assert!(matches!(parse("--sedes 1"), Err(OptionsError::Unknown(_))));
        assert!(matches!(parse("--seeds"), Err(OptionsError::NoValue(_))));
        assert!(matches!(parse("--seed x"), Err(OptionsError::NoNumber { .. })));
    }
}
