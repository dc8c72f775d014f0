//! Turns an archive, a layer or a chart into the files of a tree, with rules for the allowed names, the files
//! to leave out, and the largest size.

use std::io::Read;

use crate::SourceError;
use crate::error::one_line;
use crate::spool::Spooling;
use lockgate_base::archive::{Damage, Member, MemberKind, members};
use lockgate_base::tree::{LEVELS, TreeEntry};

/// The most bytes that an archive may hold when it is unpacked.
const UNPACKED: u64 = 1 << 30;
/// The most files and folders of an archive.
const MEMBERS: usize = 300_000;
/// The longest path, in bytes, as for Git.
const PATH: usize = 4096;
/// The most bytes that the names of all members may take.
const NAMES: usize = 32 << 20;
/// The most warnings that are given one by one.
const WARNINGS: usize = 20;

/// The files of an archive, and the warnings about members that were left out.
#[derive(Debug, Default)]
pub(crate) struct UnpackedLayer {
    pub(crate) entries: Vec<(String, TreeEntry)>,
    pub(crate) warnings: Vec<String>,
}

/// Why an archive cannot be unpacked.
#[derive(Debug)]
pub(crate) enum UnpackError {
    /// It is not compressed.
    NotGzip,
    /// It does not have the required form.
    Content(String),
    /// It holds too much.
    TooLarge(String),
    /// It could not be read to its end, or not be stored.
    Io(std::io::Error),
}

impl From<Damage> for UnpackError {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::NotGzip => Self::NotGzip,
            Damage::Broken(error) => Self::Io(error),
        }
    }
}

impl UnpackError {
    /// The error of the fetch. `subject` is the archive's name in messages, and `said` the beginning of
    /// Flux's message about an archive that cannot be unpacked.
    pub(crate) fn of(self, subject: &str, said: &str) -> SourceError {
        match self {
            Self::NotGzip => SourceError::Content(format!(
                "{subject} is not a tar.gz: {said}: requires gzip-compressed body"
            )),
            Self::Content(problem) => SourceError::Content(format!("{subject} {problem}")),
            Self::TooLarge(problem) => SourceError::TooLarge(format!("{subject} {problem}")),
            Self::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                SourceError::Storage(one_line(&error.to_string()))
            }
            Self::Io(error) => {
                let error = one_line(&error.to_string());
                SourceError::Content(format!("{subject} cannot be unpacked: {said}: {error}"))
            }
        }
    }
}

/// Unpacks an archive into a spool while it is read.
pub(crate) fn unpack(archive: impl Read, spool: &mut Spooling) -> Result<UnpackedLayer, UnpackError> {
    let mut unpacked = UnpackedLayer::default();
    let (mut left_out, mut count, mut names, mut bytes) = (0_usize, 0_usize, 0_usize, 0_u64);
    // The limit is one byte more than allowed: an archive that reaches it is too large, and not broken.
    members(archive, UNPACKED + (MEMBERS as u64) * 1024 + 1, |member| -> Result<(), UnpackError> {
        count += 1;
        // Names are kept as long as the artifact is.
        names = names.saturating_add(member.name.len());
        bytes = bytes.saturating_add(member.size);
        if count > MEMBERS {
            return Err(UnpackError::TooLarge(format!("has more than {MEMBERS} files and folders")));
        }
        if names > NAMES {
            return Err(UnpackError::TooLarge(format!("has names of more than {} MiB", NAMES >> 20)));
        }
        if bytes > UNPACKED {
            return Err(UnpackError::TooLarge(format!(
                "holds more than {} MiB when it is unpacked",
                UNPACKED >> 20
            )));
        }
        if let Err(warning) = take(member, spool, &mut unpacked)? {
            left_out += 1;
            match left_out {
                ..=WARNINGS => unpacked.warnings.push(warning),
                _ => {
                    unpacked.warnings[WARNINGS - 1] =
                        format!("{} more files were left out", left_out - WARNINGS + 1);
                }
            }
        }
        Ok(())
    })?;
    Ok(unpacked)
}

/// Adds a member, or warns why it is left out.
fn take(
    member: &mut Member<'_>,
    spool: &mut Spooling,
    unpacked: &mut UnpackedLayer,
) -> Result<Result<(), String>, UnpackError> {
    let shown = member.name[..member.name.len().min(200)].escape_ascii().to_string();
    let Ok(name) = std::str::from_utf8(&member.name) else {
        return Ok(Err(format!("file '{shown}' left out: its name is not UTF-8")));
    };
    let Some(path) = path(name) else {
        return Err(UnpackError::Content(format!(
            "is refused: tar contained invalid name error '{shown}': it leads out of the archive"
        )));
    };
    match member.form {
        MemberKind::Folder => return Ok(Ok(())),
        MemberKind::Symlink => return Ok(Err(format!("symbolic link '{shown}' left out, as in Flux"))),
        MemberKind::HardLink | MemberKind::Special => {
            let what = if member.form == MemberKind::HardLink { "a hard link" } else { "a device or pipe" };
            return Err(UnpackError::Content(format!(
                "is refused: '{shown}' is {what}, and only files are taken"
            )));
        }
        MemberKind::File if path.is_empty() => return Ok(Ok(())),
        MemberKind::File => {}
    }
    if path.len() > PATH || path.matches('/').count() > LEVELS {
        return Ok(Err(format!("file '{shown}' left out: its path is too long")));
    }
    let id = spool.add(|sink| member.copy_to(sink)).map_err(UnpackError::Io)?;
    unpacked.entries.push((path, TreeEntry::File(id)));
    Ok(Ok(()))
}

/// The path of a member in the tree; `None` if it leads out of it, as Flux refuses it too.
fn path(name: &str) -> Option<String> {
    if name.starts_with('/') || name.contains(['\\', '\0']) || name.split('/').any(|part| part == "..") {
        return None;
    }
    let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".");
    Some(parts.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{EntryType, Header};

    use super::*;
    use crate::spool::Spools;

    /// A tar entry with any name and any size.
    fn entry(tar: &mut Vec<u8>, name: &[u8], kind: EntryType, content: &[u8], size: u64) {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }

    fn layer(members: &[(&str, EntryType)]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, kind) in members {
            let content: &[u8] = if *kind == EntryType::Regular { b"x" } else { b"" };
            entry(&mut tar, name.as_bytes(), *kind, content, content.len() as u64);
        }
        zipped(&tar)
    }

    fn zipped(tar: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(tar).unwrap();
        gzip.write_all(&[0; 1024]).unwrap();
        gzip.finish().unwrap()
    }

    fn read(layer: &[u8]) -> Result<UnpackedLayer, SourceError> {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spools::open(folder.path(), &crate::Disk::default()).unwrap().begin().unwrap();
        unpack(layer, &mut spool).map_err(|failure| failure.of("the layer sha256:0", "failed to extract"))
    }

    #[test]
    fn names_are_made_plain_and_a_later_file_is_the_one() {
        let files = [
            ("./a.yaml", EntryType::Regular),
            ("b/", EntryType::Directory),
            ("b//c.yaml", EntryType::Regular),
            ("link", EntryType::Symlink),
        ];
        let unpacked = read(&layer(&files)).unwrap();
        let names: Vec<&str> = unpacked.entries.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["a.yaml", "b/c.yaml"]);
        assert_eq!(unpacked.warnings, ["symbolic link 'link' left out, as in Flux"]);
    }

    #[test]
    fn what_means_harm_is_refused_by_its_name() {
        for (name, kind, problem) in [
            ("../etc/passwd", EntryType::Regular, "'../etc/passwd': it leads out of the archive"),
            ("a/../../b", EntryType::Regular, "it leads out"),
            ("/etc/passwd", EntryType::Regular, "'/etc/passwd': it leads out"),
            ("..", EntryType::Directory, "it leads out"),
            ("a", EntryType::Link, "'a' is a hard link"),
            ("null", EntryType::Char, "'null' is a device or pipe"),
            ("pipe", EntryType::Fifo, "'pipe' is a device or pipe"),
        ] {
            let error = read(&layer(&[("good.yaml", EntryType::Regular), (name, kind)])).unwrap_err();
            let told = error.to_string();
            assert!(told.starts_with("the layer sha256:0 is refused: ") && told.contains(problem), "{told}");
        }
    }

    #[test]
    fn bombs_are_cut_off() {
        let mut tar = Vec::new();
        entry(&mut tar, b"bomb", EntryType::Regular, b"", UNPACKED + 1);
        let told = read(&zipped(&tar)).unwrap_err().to_string();
        assert_eq!(told, "the layer sha256:0 holds more than 1024 MiB when it is unpacked");
        let many: Vec<u8> = {
            let mut one = Vec::new();
            entry(&mut one, b"f", EntryType::Regular, b"", 0);
            one.repeat(MEMBERS + 1)
        };
        let told = read(&zipped(&many)).unwrap_err().to_string();
        assert_eq!(told, "the layer sha256:0 has more than 300000 files and folders");
    }

    #[test]
    fn what_is_no_archive_is_told() {
        let told = |layer: &[u8]| read(layer).unwrap_err().to_string();
        assert!(told(b"apiVersion: v1").contains("is not a tar.gz"));
        let whole = layer(&[("a", EntryType::Regular)]);
        assert!(told(&whole[..whole.len() - 15]).contains("cannot be unpacked"));
        let mut short = Vec::new();
        entry(&mut short, b"short", EntryType::Regular, b"x", 5000);
        assert!(told(&zipped(&short)).contains("unexpected EOF"));
    }

    #[test]
    fn many_oddities_are_counted() {
        let links: Vec<(String, EntryType)> =
            (0..50).map(|n| (format!("l{n}"), EntryType::Symlink)).collect();
        let links: Vec<(&str, EntryType)> = links.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        let warnings = read(&layer(&links)).unwrap().warnings;
        assert_eq!(
            (warnings.len(), warnings[WARNINGS - 1].as_str()),
            (WARNINGS, "31 more files were left out")
        );
    }
}
