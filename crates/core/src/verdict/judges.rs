//! Outcomes to judgements: one arm an outcome, so that none is judged elsewhere.

pub(super) mod common;
pub(super) mod applied;
pub(super) mod fetched;
pub(super) mod released;
