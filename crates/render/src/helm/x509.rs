//! Keys and certificates as Go's `crypto/x509` makes them for sprig, from the render's own entropy and time.

pub mod der;
pub mod pem;
pub mod entropy;
pub mod dsa;
pub mod key;
pub mod certificate;
