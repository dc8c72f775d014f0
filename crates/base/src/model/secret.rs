//! A value that must not be printed and is wiped from memory when dropped.

use std::fmt;

use zeroize::Zeroize;

/// Holds a secret. It has no `Display`, its `Debug` prints no content, and its memory is overwritten on drop.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The content. The name makes each use visible in a review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_content() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hunter2"))), "Secret(***)");
    }
}
