//! The reason why a tree could not be rendered: every fault with its file, line, field and object.

use std::fmt;

/// The meaning of a fault for the caller of the render.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultCategory {
    /// The path to build is not in the tree.
    PathNotFound,
    /// The path to build is invalid: absolute, or above the root.
    InvalidPath,
    /// The files do not build.
    Build,
    /// A variable is missing, or its syntax is wrong.
    Substitution,
}

/// One fault. `Display` prints the known parts, from the file inwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The meaning of the fault.
    pub category: FaultCategory,
    /// Path in the tree.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<usize>,
    /// Dotted path of the field in the file.
    pub field: Option<String>,
    /// The object concerned, as `Kind/namespace/name`.
    pub object: Option<String>,
    /// The mistake, as a lowercase fragment.
    pub message: String,
}

/// Why a render failed: one fault, or all that were found together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError(Vec<Fault>);

/// The result of a step of a render.
pub(crate) type Result<T, E = RenderError> = std::result::Result<T, E>;

impl Fault {
    /// A fault of the build.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(FaultCategory::Build, message)
    }

    /// A fault of another category.
    pub fn of(category: FaultCategory, message: impl Into<String>) -> Self {
        Self { category, file: None, line: None, field: None, object: None, message: message.into() }
    }

    /// Sets the file, if none is set yet.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file.get_or_insert_with(|| file.into());
        self
    }

    /// Sets the line.
    #[must_use]
    pub fn at_line(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }

    /// Sets the field, if none is set yet.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field.get_or_insert_with(|| field.into());
        self
    }

    /// Sets the object, if none is set yet.
    #[must_use]
    pub fn on_object(mut self, object: impl Into<String>) -> Self {
        self.object.get_or_insert_with(|| object.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl RenderError {
    /// Several faults together; `None` when there is none.
    #[must_use]
    pub fn of(faults: Vec<Fault>) -> Option<Self> {
        if faults.is_empty() { None } else { Some(Self(faults)) }
    }

    /// The faults, in the order in which they were found; never empty.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    /// The category of the gravest fault: a missing path comes before a file that does not build.
    #[must_use]
    pub fn category(&self) -> FaultCategory {
        self.0.iter().map(|fault| fault.category).min().unwrap_or(FaultCategory::Build)
    }

    /// Sets the file of every fault that has none.
    #[must_use]
    pub fn in_file(self, file: &str) -> Self {
        self.map(|fault| fault.in_file(file))
    }

    /// Puts the field in front of the field of every fault that has no file yet.
    #[must_use]
    pub fn in_field(self, field: &str) -> Self {
        self.map(|mut fault| {
            if fault.file.is_none() {
                let inner = fault.field.take();
                fault.field =
                    Some(inner.map_or_else(|| field.to_owned(), |inner| format!("{field}.{inner}")));
            }
            fault
        })
    }

    /// Sets the object of every fault that has none.
    #[must_use]
    pub fn on_object(self, object: &str) -> Self {
        self.map(|fault| fault.on_object(object))
    }

    /// The faults of both errors together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn map(self, change: impl Fn(Fault) -> Fault) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }
}

impl From<Fault> for RenderError {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RenderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_from_the_file_inwards() {
        let fault = Fault::new("expected a string, found a number")
            .in_field("images[0].newTag")
            .at_line(3)
            .in_file("a/kustomization.yaml");
        let text = "a/kustomization.yaml:3: images[0].newTag: expected a string, found a number";
        assert_eq!(RenderError::from(fault).in_file("other").to_string(), text);
    }

    #[test]
    fn a_missing_path_outweighs_the_rest() {
        let error =
            RenderError::from(Fault::new("a")).and(Fault::of(FaultCategory::PathNotFound, "b").into());
        assert_eq!(error.category(), FaultCategory::PathNotFound);
        assert_eq!(error.to_string(), "a\nb");
    }
}
