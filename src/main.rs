//! lockgate.
fn main() {}
