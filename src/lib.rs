//! lockgate.
