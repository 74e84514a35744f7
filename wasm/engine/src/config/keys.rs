//! Typed look-ups in a GGUF's metadata; a wrong value is refused with its key, the rule and what was found.

use crate::error::{Error, Result};
use crate::weights::gguf::{Header, Value};

/// The keys of one architecture: `{architecture}.{key}`.
pub struct Keys<'a> {
    pub header: &'a Header,
    pub architecture: &'a str,
}

impl Keys<'_> {
    pub fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(&self.full(key))
    }

    /// The error for the value of `key`, whatever it is.
    pub fn wrong(&self, key: &str, rule: &str) -> Error {
        wrong(&self.full(key), rule, self.get(key))
    }

    /// An integer from 0 to `most`, where there is one.
    pub fn optional_size(&self, key: &str, most: usize) -> Result<Option<usize>> {
        self.get(key).map(|_| self.size_from(0, key, most)).transpose()
    }

    /// An integer from 1 to `most`.
    pub fn size(&self, key: &str, most: usize) -> Result<usize> {
        self.size_from(1, key, most)
    }

    fn size_from(&self, least: usize, key: &str, most: usize) -> Result<usize> {
        let size = match self.get(key) {
            Some(Value::Integer(n)) => usize::try_from(*n).ok(),
            _ => None,
        };
        size.filter(|n| (least..=most).contains(n)).ok_or_else(|| self.wrong(key, &format!("an integer from {least} to {most}")))
    }

    /// A positive number that is still one as `f32`.
    pub fn float(&self, key: &str, default: Option<f64>) -> Result<f64> {
        match (self.get(key), default) {
            (Some(Value::Float(x)), _) if *x >= f64::from(f32::MIN_POSITIVE) && *x <= f64::from(f32::MAX) => Ok(*x),
            (None, Some(default)) => Ok(default),
            _ => Err(self.wrong(key, "a positive number of normal size")),
        }
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(key, "a bool")),
        }
    }

    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)], default: T) -> Result<T> {
        let chosen = match self.get(key) {
            None => return Ok(default),
            Some(Value::Text(text)) => choices.iter().find(|(name, _)| name == text),
            Some(_) => None,
        };
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        chosen.map(|(_, choice)| *choice).ok_or_else(|| self.wrong(key, &format!("one of {names:?}")))
    }

    pub fn names(&self, key: &str, count: usize) -> Result<Option<&[String]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Texts(names)) if names.len() == count => Ok(Some(names)),
            Some(_) => Err(self.wrong(key, &format!("an array of {count} strings"))),
        }
    }
}

/// `key` must be so and is not.
pub fn wrong(key: &str, rule: &str, found: Option<&Value>) -> Error {
    let found = found.map_or_else(|| "missing".to_owned(), ToString::to_string);
    Error::InvalidGguf(format!("{key} must be {rule}; it is {found}"))
}
