//! Adapter: what is asked of other servers over HTTPS.

pub(crate) mod documents;
