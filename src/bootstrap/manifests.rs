//! The objects that an installation consists of.

use crate::api;
use crate::model::Object;

/// The CustomResourceDefinitions of the served kinds.
pub fn crds() -> Vec<Object> {
    api::crd::definitions()
}
