//! A value while a template runs, which is Go's `reflect.Value`. It remembers whether it was taken out of an
//! interface, since that decides the meaning of nil and the type that a message names.

use crate::helm::value::Value;

/// A value, and whether an interface of type `interface {}` holds it. A nil outside of an interface is Go's
/// invalid value: it prints as `<no value>`, and a field of it is no error.
#[derive(Debug, Clone, Default)]
pub(super) struct Reflected {
    pub(super) value: Value,
    pub(super) in_interface: bool,
}

impl Reflected {
    /// A value outside of an interface.
    pub(super) fn plain(value: Value) -> Self {
        Self { value, in_interface: false }
    }

    /// A value inside an interface, such as a value of a map.
    pub(super) fn held(value: Value) -> Self {
        Self { value, in_interface: true }
    }

    /// Go's invalid value.
    pub(super) fn invalid() -> Self {
        Self::default()
    }

    /// Whether it is valid. An interface that holds nil is valid too.
    pub(super) fn is_valid(&self) -> bool {
        self.in_interface || !self.value.is_nil()
    }

    /// Go's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        if self.in_interface { "interface {}" } else { self.value.type_name() }
    }
}
