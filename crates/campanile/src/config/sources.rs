//! The order of precedence: flag, environment, file, default.

use std::collections::BTreeMap;

use toml::{Spanned, Value};

use super::place::Place;
use super::value::{SettingValue, Shape};
use super::{ConfigError, Effective};

/// Everything a setting may come from.
pub(super) struct Sources<'a> {
    name: &'a str,
    text: &'a str,
    flags: BTreeMap<&'static str, (&'static str, String)>,
    environment: BTreeMap<String, Option<String>>,
    effective: Vec<Effective>,
}

/// A setting's value, and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    /// The place, for errors.
    place: String,
}

/// A text and where it comes from.
struct Found {
    text: String,
    origin: String,
    place: String,
}

impl<'a> Sources<'a> {
    /// Sources of which the file is called `name` and holds `text`.
    pub(super) fn new(
        name: &'a str,
        text: &'a str,
        flags: BTreeMap<&'static str, (&'static str, String)>,
        environment: BTreeMap<String, Option<String>>,
    ) -> Self {
        Self { name, text, flags, environment, effective: Vec::new() }
    }

    /// Takes `setting` from the first source that has it.
    pub(super) fn get<T: SettingValue>(
        &mut self,
        setting: &'static str,
        raw: Option<&Spanned<Value>>,
        default: &str,
    ) -> Result<Setting<T>, ConfigError> {
        let found = self.find::<T>(setting, raw, default)?;
        let refuse = || ConfigError { place: found.place.clone(), reason: T::MUST.to_owned() };
        let value = T::read(&found.text).ok_or_else(refuse)?;
        let (shown, origin) = (written(T::SHAPE, &found.text), found.origin);
        self.effective.push(Effective { setting, value: shown, origin });
        Ok(Setting { value, place: found.place })
    }

    fn find<T: SettingValue>(
        &mut self,
        setting: &'static str,
        raw: Option<&Spanned<Value>>,
        default: &str,
    ) -> Result<Found, ConfigError> {
        let variable = variable(setting);
        let from_environment = self.environment.remove(&variable);
        if let Some((flag, text)) = self.flags.remove(setting) {
            let (origin, place) = (flag.to_owned(), flag.to_owned());
            return Ok(Found { text, origin, place });
        }
        if let Some(text) = from_environment {
            let reason = "is not UTF-8 text".to_owned();
            let not_text = || ConfigError { place: variable.clone(), reason };
            let text = text.ok_or_else(not_text)?;
            return Ok(Found { text, origin: variable.clone(), place: variable });
        }
        if let Some(raw) = raw {
            let place = Place::of(self.name, self.text, raw.span().start);
            let wrong = || place.refuse(T::MUST);
            let text = text(T::SHAPE, raw.get_ref()).ok_or_else(wrong)?;
            let origin = self.name.to_owned();
            return Ok(Found { text, origin, place: place.to_string() });
        }
        let (text, origin) = (default.to_owned(), "default".to_owned());
        Ok(Found { text, origin, place: setting.to_owned() })
    }

    /// Every setting that was asked for, in order.
    ///
    /// # Errors
    /// [`ConfigError`] if the environment names one that nobody asked for: it would have no effect,
    /// and somebody believes that it has.
    pub(super) fn finish(self) -> Result<Vec<Effective>, ConfigError> {
        match self.environment.into_keys().next() {
            None => Ok(self.effective),
            Some(place) => Err(ConfigError { place, reason: "is no setting".to_owned() }),
        }
    }
}

impl<T> Setting<T> {
    /// The error that this setting is wrong.
    pub(super) fn refuse(&self, reason: &str) -> ConfigError {
        ConfigError { place: self.place.clone(), reason: reason.to_owned() }
    }
}

/// The environment variable of a setting: `serve.listen` is `CAMPANILE__SERVE__LISTEN`.
fn variable(setting: &str) -> String {
    format!("CAMPANILE__{}", setting.replace('.', "__").to_uppercase())
}

/// A value of a file as a flag would have it; `None` if it has another shape.
fn text(shape: Shape, value: &Value) -> Option<String> {
    match (shape, value) {
        (Shape::Text, Value::String(text)) => Some(text.clone()),
        (Shape::Number, Value::Integer(number)) => Some(number.to_string()),
        (Shape::Truth, Value::Boolean(truth)) => Some(truth.to_string()),
        (Shape::Texts, Value::Array(texts)) => {
            let texts: Option<Vec<&str>> = texts.iter().map(Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

/// A value of a flag as a file would have it.
fn written(shape: Shape, text: &str) -> String {
    match shape {
        Shape::Text => Value::String(text.to_owned()).to_string(),
        Shape::Number | Shape::Truth => text.to_owned(),
        Shape::Texts => {
            let texts = text.split(',').map(|text| Value::String(text.trim().to_owned()));
            Value::Array(texts.collect()).to_string()
        }
    }
}
