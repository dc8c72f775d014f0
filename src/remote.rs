//! Adapter: requests to other servers over HTTPS.

pub(crate) mod documents;
