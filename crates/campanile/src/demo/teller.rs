//! How the story is told: to people, or one JSON object a step to programs.

use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::Tick;
use campanile_core::port::Clock;
use serde::Serialize;

use super::stage::APP;
use crate::output::Format;

/// Tells steps, with the time since the beginning.
pub(super) struct Teller {
    format: Format,
    /// Whether a person with a terminal listens.
    colours: bool,
    clock: Arc<dyn Clock>,
    begun: Tick,
}

/// One step of the story.
#[derive(Debug, Serialize)]
struct Step<'a> {
    step: &'static str,
    ok: bool,
    at_ms: f64,
    text: &'a str,
    #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
    details: &'a [Detail],
    #[serde(skip)]
    colours: bool,
}

/// Something that was observed in a step.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    pub(super) what: String,
    /// How long after the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after_ms: Option<f64>,
}

impl Detail {
    /// What was observed, at no time in particular.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), after_ms: None }
    }

    /// What was observed so long after the request.
    pub(super) fn after(what: impl Into<String>, after: Duration) -> Self {
        Self { what: what.into(), after_ms: Some(millis(after)) }
    }
}

impl Teller {
    /// A teller whose time begins now.
    pub(super) fn new(format: Format, clock: Arc<dyn Clock>) -> Self {
        let colours = format == Format::Text && io::stdout().is_terminal();
        let begun = clock.tick();
        Self { format, colours, clock, begun }
    }

    /// The time.
    pub(super) fn tick(&self) -> Tick {
        self.clock.tick()
    }

    /// Tells a step that was observed.
    pub(super) fn step(
        &self,
        step: &'static str,
        text: &str,
        details: &[Detail],
    ) -> io::Result<()> {
        self.write(step, true, text, details)
    }

    /// Tells that a step was not observed.
    pub(super) fn failed(&self, step: &'static str, text: &str) -> io::Result<()> {
        self.write(step, false, text, &[])
    }

    /// Tells what happens on a device after the story.
    pub(super) fn live(&self, device: &str, what: &str) -> io::Result<()> {
        self.write("live", true, &format!("{device} {what}"), &[])
    }

    /// Tells what to try against the server at `address`, for a shell that finds this program as
    /// `program`.
    pub(super) fn invite(&self, program: &str, address: SocketAddr, item: &str) -> io::Result<()> {
        let whom = format!("--app {APP} --user alice");
        let ask = format!(r#"{{"app":"{APP}","target":{{"userId":"alice"}}}}"#);
        let commands = [
            format!("export CAMPANILE_SERVER=http://{address}"),
            format!("{program} publish {whom} --title 'Supper is ready'"),
            format!("{program} inbox {whom}"),
            format!("{program} timeline {whom} {item}"),
            format!("{program} watch {whom}"),
            format!("{program} endpoint list {whom}"),
            format!("grpcurl -plaintext -d '{ask}' {address} campanile.v1.Inbox/ListNotifications"),
        ];
        let commands = commands.map(Detail::new);
        self.step(
            "try",
            "It is still running. Try it from another terminal, in this directory; Ctrl-C ends it.",
            &commands,
        )
    }

    fn write(
        &self,
        step: &'static str,
        ok: bool,
        text: &str,
        details: &[Detail],
    ) -> io::Result<()> {
        let at_ms = millis(self.clock.tick().since(self.begun));
        let colours = self.colours;
        self.format.write(&Step { step, ok, at_ms, text, details, colours })
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dim, bold, red, plain) = match self.colours {
            true => ("\x1b[2m", "\x1b[1m", "\x1b[31m", "\x1b[0m"),
            false => ("", "", "", ""),
        };
        let (tone, mark) = if self.ok { (bold, "") } else { (red, "NOT OBSERVED: ") };
        let seconds = self.at_ms / 1000.0;
        write!(f, "{dim}{seconds:8.3} s{plain}  {tone}{mark}{}{plain}", self.text)?;
        for Detail { what, after_ms } in self.details {
            match after_ms {
                Some(after) => write!(f, "\n{:14}{what:26} {dim}after {after:.1} ms{plain}", "")?,
                None => write!(f, "\n{:14}{what}", "")?,
            }
        }
        Ok(())
    }
}

/// Milliseconds with three digits.
fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(colours: bool) -> String {
        let details = [Detail::after("the iPhone rings", Duration::from_micros(5250))];
        let (step, text) = ("ring", "Three devices ring.");
        Step { step, ok: true, at_ms: 31.0, text, details: &details, colours }.to_string()
    }

    #[test]
    fn a_step_is_plain_unless_a_person_has_a_terminal() {
        let plain = "   0.031 s  Three devices ring.\n              \
                     the iPhone rings           after 5.2 ms";
        assert_eq!(step(false), plain);
        assert!(step(true).contains("\x1b[1mThree devices ring.\x1b[0m"));
    }

    #[test]
    fn a_step_is_one_object_for_programs() {
        let details = [Detail::new("a")];
        let step = Step {
            step: "ring",
            ok: false,
            at_ms: 1.5,
            text: "t",
            details: &details,
            colours: true,
        };
        let json = r#"{"step":"ring","ok":false,"at_ms":1.5,"text":"t","details":[{"what":"a"}]}"#;
        assert_eq!(serde_json::to_string(&step).ok().as_deref(), Some(json));
    }
}
