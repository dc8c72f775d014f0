//! A stream that computes its digest while it is read.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use lockgate_base::model::Digest;

/// Hashes and counts the bytes that are read through it.
pub(crate) struct Hashing<R> {
    reader: R,
    hash: Sha256,
    read: u64,
}

impl<R: Read> Hashing<R> {
    pub(crate) fn of(reader: R) -> Self {
        Self { reader, hash: Sha256::new(), read: 0 }
    }

    /// Reads the rest of the stream, but at most one byte beyond `limit` in all. Returns the digest and the
    /// size of the bytes read.
    pub(crate) fn end(mut self, limit: u64) -> io::Result<(Digest, u64)> {
        let left = limit.saturating_sub(self.read).saturating_add(1);
        io::copy(&mut (&mut self).take(left), &mut io::sink())?;
        let bytes: [u8; 32] = self.hash.finalize().into();
        Ok((bytes.into(), self.read))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.hash.update(&buffer[..bytes]);
        self.read += bytes as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_and_what_is_left_are_hashed_together_up_to_a_limit() {
        let read = |limit| {
            let mut stream = Hashing::of(&b"hello"[..]);
            let mut first = [0; 2];
            stream.read_exact(&mut first).unwrap();
            stream.end(limit).unwrap()
        };
        assert_eq!(read(100), (Digest::of("hello"), 5));
        assert_eq!(read(3), (Digest::of("hell"), 4), "it is too long");
        assert_eq!(read(0), (Digest::of("hel"), 3));
    }
}
