//! The render's entropy, as the libraries of keys ask for it.

use crate::helm::context::RenderContext;

/// The render's entropy as a random number generator for the key libraries.
pub struct Entropy<'c, 'i>(pub &'c mut RenderContext<'i>);

impl rsa::rand_core::RngCore for Entropy<'_, '_> {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Entropy<'_, '_> {}
