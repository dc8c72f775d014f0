//! A value while a template runs, which is Go's `reflect.Value`: whether it was taken out of an interface
//! decides what nil means and which type a message names.

use crate::helm::value::Value;

/// A value and whether it is one of type `interface {}` that holds it. A nil that is in no interface is Go's
/// invalid value: `<no value>` where it is printed, and a field of it is no error.
#[derive(Debug, Clone, Default)]
pub(super) struct Reflected {
    pub(super) value: Value,
    pub(super) in_interface: bool,
}

impl Reflected {
    /// A value by itself.
    pub(super) fn plain(value: Value) -> Self {
        Self { value, in_interface: false }
    }

    /// What an interface holds, such as a value of a map.
    pub(super) fn held(value: Value) -> Self {
        Self { value, in_interface: true }
    }

    /// Go's invalid value.
    pub(super) fn invalid() -> Self {
        Self::default()
    }

    /// Whether it is valid: also an interface that holds nil is.
    pub(super) fn is_valid(&self) -> bool {
        self.in_interface || !self.value.is_nil()
    }

    /// Go's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        if self.in_interface { "interface {}" } else { self.value.type_name() }
    }
}
