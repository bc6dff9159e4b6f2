//! Standard output is data: one record a line, as text or as JSON. Everything else is talk and
//! goes to standard error.

use std::fmt::Display;
use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// The form of standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Writes a record to standard output, and sees that it gets there.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::BrokenPipe`] if nobody reads any more.
    pub(crate) fn write<T: Serialize + Display>(self, record: &T) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::Text => writeln!(out, "{record}")?,
            Self::Json => {
                serde_json::to_writer(&mut out, record).map_err(io::Error::from)?;
                writeln!(out)?;
            }
        }
        out.flush()
    }
}

/// Says something to people. If they do not listen, so be it.
pub(crate) fn say(message: impl Display) {
    let _nobody_listens = writeln!(io::stderr(), "{message}");
}

/// Says what went wrong, in one line.
pub(crate) fn complain(message: &str) {
    if !message.is_empty() {
        say(format_args!("campanile: {}", message.replace('\n', " ")));
    }
}
