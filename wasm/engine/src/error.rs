//! Every way the engine refuses: a kind that callers route on, and a message that names what is wrong.

use thiserror::Error;

/// Weights, states and arguments come from outside; whatever is wrong with them ends here and never in a panic.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The bytes are not a well-formed GGUF file, or its values are out of range.
    #[error("invalid GGUF: {0}")]
    InvalidGguf(String),
    /// The file is well formed, but describes a model this engine has no code for.
    #[error("unsupported model: {0}")]
    UnsupportedModel(String),
    /// The bytes are not a state of this model.
    #[error("invalid state: {0}")]
    InvalidState(String),
    /// A sequence that began with a restored state has lost it: it cannot read that state's tokens again.
    #[error("state lost: {0}")]
    StateLost(String),
    /// A caller's mistake: the message names the argument, the rule and the value.
    #[error("invalid argument: {0}")]
    InvalidArgument(String),
    /// The work does not fit into the memory the engine may use; nothing has changed.
    #[error("out of memory: {needed} bytes needed for {what}, {free} free")]
    OutOfMemory {
        /// What the memory was for.
        what: &'static str,
        /// Bytes asked for.
        needed: usize,
        /// Bytes available under the limit.
        free: usize,
    },
}

impl Error {
    /// The stable, machine-readable name of the kind.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidGguf(_) => "invalid_gguf",
            Self::UnsupportedModel(_) => "unsupported_model",
            Self::InvalidState(_) => "invalid_state",
            Self::StateLost(_) => "state_lost",
            Self::InvalidArgument(_) => "invalid_argument",
            Self::OutOfMemory { .. } => "out_of_memory",
        }
    }

    /// The kind as a number, which ranks tell one another; never 0.
    pub fn number(&self) -> u32 {
        match self {
            Self::InvalidGguf(_) => 1,
            Self::UnsupportedModel(_) => 2,
            Self::InvalidState(_) => 3,
            Self::StateLost(_) => 4,
            Self::InvalidArgument(_) => 5,
            Self::OutOfMemory { .. } => 6,
        }
    }

    /// An error of the kind that another rank of the same model has met; what is wrong stands in that rank's own.
    pub fn of_another_rank(number: u32) -> Self {
        const WHAT: &str = "the part of another rank";
        match number {
            1 => Self::InvalidGguf(WHAT.to_owned()),
            2 => Self::UnsupportedModel(WHAT.to_owned()),
            3 => Self::InvalidState(WHAT.to_owned()),
            4 => Self::StateLost(WHAT.to_owned()),
            5 => Self::InvalidArgument(WHAT.to_owned()),
            _ => Self::OutOfMemory { what: WHAT, needed: 0, free: 0 },
        }
    }
}

/// The engine's result.
pub type Result<T> = core::result::Result<T, Error>;
