//! What is wrong with a data file: what, where, and what to do.

use std::fmt;

use agenttts_core::{Problem, Problems};

/// A fault of a data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// The file, as it was named.
    pub file: String,
    /// 1-based line and column (in characters), where the fault has a place.
    pub place: Option<(usize, usize)>,
    /// The example's 1-based number in the file, where the fault is in one.
    pub example: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl DataError {
    /// A fault of a whole file.
    pub(crate) fn of(file: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        DataError { file: file.to_owned(), place: None, example: None, message: message.into(), hint: hint.into() }
    }

    /// The same fault at a place.
    pub(crate) fn at(mut self, line: usize, column: usize) -> Self {
        self.place = Some((line, column));
        self
    }

    /// The same fault in an example.
    pub(crate) fn in_example(mut self, number: usize) -> Self {
        self.example = Some(number);
        self
    }

    /// Where and what, without the advice.
    pub fn statement(&self) -> String {
        let mut text = self.file.clone();
        if let Some((line, column)) = self.place {
            text += &format!(":{line}:{column}");
        }
        text += ": ";
        if let Some(number) = self.example {
            text += &format!("example {number}: ");
        }
        text + &self.message
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  hint: {}", self.statement(), self.hint)
    }
}

impl std::error::Error for DataError {}

impl From<DataError> for Problem {
    fn from(error: DataError) -> Self {
        Problem::new(error.statement()).hint(error.hint)
    }
}

impl From<DataError> for Problems {
    fn from(error: DataError) -> Self {
        Problem::from(error).into()
    }
}
