//! Prints the differences in the requested form, and chooses the exit code.

use std::process::ExitCode;

use super::arguments::DiffFormat;
use super::print::{Paint, markdown, names, text, value};
use super::section::{Action, Section};
use crate::cli::output::{CommandError, write};
use crate::preview::LookStop;

/// Receives the sections of the Kustomizations, one after the other.
pub(super) struct DiffOutput {
    form: DiffFormat,
    paint: Paint,
    /// The sections, if they are all printed at the end.
    sections: Vec<Section>,
    errors: Vec<String>,
    code: Code,
}

/// The end of the command; a later variant hides an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    Same,
    Differs,
    Refused,
    Unbuilt,
    Unreachable,
}

impl DiffOutput {
    pub(super) fn new(form: DiffFormat, paint: Paint) -> Self {
        Self { form, paint, sections: Vec::new(), errors: Vec::new(), code: Code::Same }
    }

    /// Prints a section, or keeps it.
    pub(super) fn take(&mut self, section: Section) -> Result<(), CommandError> {
        let code = match &section.stop {
            Some(LookStop::Unreachable(_)) => Code::Unreachable,
            Some(LookStop::Unbuilt(_)) => Code::Unbuilt,
            Some(LookStop::Refused(_)) => Code::Refused,
            None if section.count(Action::Refused) > 0 => Code::Refused,
            None if section.differs() => Code::Differs,
            None => Code::Same,
        };
        self.code = self.code.max(code);
        match self.form {
            DiffFormat::Text => write(&text(&section, self.paint)),
            DiffFormat::Name => write(&names(&section)),
            DiffFormat::Json | DiffFormat::Markdown => {
                self.sections.push(section);
                Ok(())
            }
        }
    }

    /// Records a failed build, which has no section of its own.
    pub(super) fn unbuilt(&mut self, error: String) {
        self.code = self.code.max(Code::Unbuilt);
        self.errors.push(error);
    }

    /// Prints the kept sections, and returns the exit code.
    pub(super) fn finish(self) -> Result<ExitCode, CommandError> {
        match self.form {
            DiffFormat::Text | DiffFormat::Name => {}
            DiffFormat::Json => write(&format!("{:#}\n", value(&self.sections, &self.errors)))?,
            DiffFormat::Markdown => write(&markdown(&self.sections, &self.errors))?,
        }
        let code = match self.code {
            Code::Same => 0,
            Code::Differs => 1,
            Code::Unbuilt => 2,
            Code::Unreachable => 3,
            Code::Refused => 4,
        };
        // The formats for programs contain the errors; people see them on standard error in any case.
        let ended = CommandError::ended(code, self.errors);
        Ok(ended.report())
    }
}
