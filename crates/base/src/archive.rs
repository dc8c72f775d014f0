//! Reads a tar.gz member by member from a stream, for charts and for the layers of artifacts. Nothing is
//! written here, so no path can lead out of a folder. The reader decides which names are allowed and which
//! sizes are too large.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

/// The first bytes of a gzip stream.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes of a header of a member: a long name, a long target, PAX records. The tar reader keeps
/// these in memory before it shows the member. Go's archive/tar has the same limit.
const NOTE: u64 = 1 << 20;
/// The size of a header. Members are padded to a multiple of it.
const BLOCK: usize = 512;

/// A tar stream that ends with an error before a header that is too large.
struct Notes<R> {
    stream: R,
    /// The bytes of the next header that have been read so far.
    header: Vec<u8>,
    /// The remaining bytes of the content after the last header, with its padding.
    content: u64,
}

impl<R: Read> Notes<R> {
    fn of(stream: R) -> Self {
        Self { stream, header: Vec::with_capacity(BLOCK), content: 0 }
    }

    /// Follows the bytes that were read.
    fn see(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let passed = bytes.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
            self.content -= passed as u64;
            bytes = &bytes[passed..];
            let wanted = bytes.len().min(BLOCK - self.header.len());
            self.header.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if self.header.len() == BLOCK {
                let header = tar::Header::from_byte_slice(&self.header);
                // Bytes that are no header end the archive, or the reader reports them.
                let size = header.entry_size().unwrap_or(0);
                let kind = header.entry_type();
                let is_note = kind.is_gnu_longname()
                    || kind.is_gnu_longlink()
                    || kind.is_pax_local_extensions()
                    || kind.is_pax_global_extensions();
                if is_note && size > NOTE {
                    return Err(io::Error::other(format!(
                        "the header of a member is larger than {} MiB",
                        NOTE >> 20
                    )));
                }
                self.content = size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64);
                self.header.clear();
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Notes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.see(&buffer[..read])?;
        Ok(read)
    }
}

/// Why an archive cannot be read. An error of the member visitor keeps its own type.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It is not compressed.
    #[error("gzip: invalid header")]
    NotGzip,
    /// The decompressed stream is no tar, or one that ends too early; or the stream itself failed.
    #[error("{0}")]
    Broken(#[from] io::Error),
}

/// The kind of an archive's member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A hard link.
    HardLink,
    /// A device, a pipe or anything else.
    Special,
}

/// A member of an archive.
pub struct Member<'a> {
    /// The name as it is written.
    pub name: Vec<u8>,
    /// The kind of the member.
    pub form: MemberKind,
    /// The number of bytes in its header.
    pub size: u64,
    content: &'a mut dyn Read,
}

impl Member<'_> {
    /// Copies its bytes to `sink`, as many as its header says.
    pub fn copy_to(&mut self, sink: &mut dyn Write) -> io::Result<()> {
        let copied = io::copy(&mut self.content.take(self.size), sink)?;
        if copied < self.size {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF"))
        } else {
            Ok(())
        }
    }
}

/// Calls `visit` with each member of an archive, and skips content that it does not read. At most `limit`
/// bytes are unpacked. An archive with more ends there, like one that is cut off.
pub fn members<E: From<Damage>>(
    mut archive: impl Read,
    limit: u64,
    mut visit: impl FnMut(&mut Member<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut magic = Vec::with_capacity(MAGIC.len());
    (&mut archive).take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(Damage::Broken)?;
    if magic != MAGIC {
        return Err(Damage::NotGzip.into());
    }
    let unzipped = MultiGzDecoder::new((&magic[..]).chain(archive)).take(limit);
    let mut reader = Archive::new(Notes::of(unzipped));
    for entry in reader.entries().map_err(Damage::Broken)? {
        let mut entry = entry.map_err(Damage::Broken)?;
        let form = match entry.header().entry_type() {
            // These are headers of the archive, and not members of it.
            EntryType::XGlobalHeader | EntryType::XHeader => continue,
            EntryType::Directory => MemberKind::Folder,
            EntryType::Symlink => MemberKind::Symlink,
            EntryType::Link => MemberKind::HardLink,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => MemberKind::File,
            _ => MemberKind::Special,
        };
        let name = entry.path_bytes().into_owned();
        visit(&mut Member { name, form, size: entry.size(), content: &mut entry })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, &b"abc"[..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn read(archive: &[u8], limit: u64) -> Result<Vec<(String, Vec<u8>)>, Damage> {
        let mut found = Vec::new();
        members(archive, limit, |member| -> Result<(), Damage> {
            let mut content = Vec::new();
            member.copy_to(&mut content)?;
            found.push((String::from_utf8(member.name.clone()).unwrap(), content));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn members_are_shown_in_order_with_what_they_hold() {
        let found = read(&packed(&["a", "b/c"]), 1 << 20).unwrap();
        assert_eq!(found, [("a".into(), b"abc".to_vec()), ("b/c".into(), b"abc".to_vec())]);
    }

    /// The long name of a member is in a header of its own.
    #[test]
    fn a_note_that_is_too_large_is_not_read() {
        let noted = |length: usize| {
            let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(EntryType::GNULongName);
            header.set_path("././@LongLink").unwrap();
            header.set_size(length as u64);
            header.set_cksum();
            builder.append(&header, io::repeat(b'n').take(length as u64)).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            builder.append_data(&mut header, "a", &b"abc"[..]).unwrap();
            builder.into_inner().unwrap().finish().unwrap()
        };
        let found = read(&noted(2000), 8 << 20).unwrap();
        assert_eq!(found[0].0.len(), 2000);
        let Err(Damage::Broken(error)) = read(&noted(2 << 20), 8 << 20) else { panic!("it was read") };
        assert_eq!(error.to_string(), "the header of a member is larger than 1 MiB");
    }

    #[test]
    fn what_is_not_compressed_cut_off_or_too_long_is_an_error() {
        assert!(matches!(read(b"hello", 1 << 20), Err(Damage::NotGzip)));
        assert!(matches!(read(b"", 1 << 20), Err(Damage::NotGzip)));
        let whole = packed(&["a", "b"]);
        assert!(matches!(read(&whole[..whole.len() / 2], 1 << 20), Err(Damage::Broken(_))));
        assert!(matches!(read(&whole, 600), Err(Damage::Broken(_))), "more is unpacked than the limit");
    }
}
