//! How a command ends: the one table of exit codes, and the failures that lead there.
//!
//! The codes are those of `sysexits.h` where it has one, so that scripts and service managers can
//! tell a mistake of the operator from trouble that passes. `docs/cli.md` has the same table.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use campanile_api::ClientError;
use tonic::Code;

/// Why a command did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 0: whoever read standard output has seen enough and closed it.
    Closed,
    /// 1: what was asked for is not there, or did not come true.
    Failed,
    /// 2: the command line is wrong.
    Usage,
    /// 65: the server refuses the request, and will refuse it again.
    Refused,
    /// 69: something it needs cannot be reached.
    Unavailable,
    /// 70: a mistake of ours.
    Bug,
    /// 75: the same command may succeed later.
    Temporary,
    /// 78: the configuration is wrong.
    Config,
}

impl Kind {
    /// The kind that has an exit code; a code that none has is a mistake.
    pub(crate) fn of_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Bug)
    }

    /// Every kind.
    const ALL: [Self; 8] = [
        Self::Closed,
        Self::Failed,
        Self::Usage,
        Self::Refused,
        Self::Unavailable,
        Self::Bug,
        Self::Temporary,
        Self::Config,
    ];

    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 65,
            Self::Unavailable => 69,
            Self::Bug => 70,
            Self::Temporary => 75,
            Self::Config => 78,
        }
    }
}

/// A failed command: its kind, and one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// Empty if everything is said already.
    pub(crate) message: String,
}

impl Failure {
    /// A failure of `kind`.
    pub(crate) fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string() }
    }

    /// The exit code, for the end of `main`.
    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(self.kind.code())
    }
}

/// What came of writing to standard output.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Kind::Closed, "");
        }
        Self::new(Kind::Failed, format_args!("cannot write: {error}"))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Address(reason) => {
                Self::new(Kind::Usage, format_args!("--server: {}", innermost(&reason)))
            }
            ClientError::Connect(reason) => {
                let reason = innermost(&reason);
                let message = format_args!("cannot reach the server: {reason}");
                Self::new(Kind::Unavailable, message)
            }
            ClientError::Refused { code, message, retry_after, .. } => {
                Self::new(of_status(code, retry_after), message)
            }
        }
    }
}

/// tonic's own messages say "transport error"; what happened is at the end of the chain.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// What a status of the server means for the caller.
const fn of_status(code: Code, retry_after: Option<Duration>) -> Kind {
    match code {
        Code::NotFound => Kind::Failed,
        Code::Unavailable => Kind::Unavailable,
        Code::ResourceExhausted if retry_after.is_some() => Kind::Temporary,
        Code::Unknown | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled => Kind::Temporary,
        Code::Internal | Code::Unimplemented | Code::DataLoss => Kind::Bug,
        _ => Kind::Refused,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn a_status_has_its_exit_code() {
        let later = Some(Duration::from_secs(1));
        let table = [
            (Code::InvalidArgument, None, 65),
            (Code::AlreadyExists, None, 65),
            (Code::OutOfRange, None, 65),
            (Code::NotFound, None, 1),
            (Code::Unavailable, later, 69),
            (Code::ResourceExhausted, later, 75),
            (Code::ResourceExhausted, None, 65),
            (Code::Unknown, later, 75),
            (Code::DeadlineExceeded, None, 75),
            (Code::Internal, None, 70),
        ];
        for (code, retry_after, expected) in table {
            assert_eq!(of_status(code, retry_after).code(), expected, "{code:?}");
        }
    }

    #[test]
    fn the_documentation_has_every_exit_code() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let page = std::fs::read_to_string(page).unwrap();
        for code in Kind::ALL.map(Kind::code) {
            assert!(page.contains(&format!("\n| {code} |")), "{code} is not documented");
        }
    }
}
