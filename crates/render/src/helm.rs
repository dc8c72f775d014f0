//! Helm charts: a native engine that renders them as the real helm does.
//!
//! [`value`] holds the values of templates, [`template`] reads and runs Go's templates, [`funcs`] is the
//! table of functions. Nothing here reads a clock, a disk, a network or a source of chance: those are inputs.

pub mod error;
pub mod value;
pub mod search;
pub mod context;
pub mod go;
pub mod notation;
pub mod x509;
pub mod function;
pub mod funcs;
pub mod values;
pub mod chart;
pub mod template;
pub mod engine;
pub mod shelf;
pub mod manifest;
pub mod release;
pub mod stored;
pub mod postrender;
pub mod flux;
