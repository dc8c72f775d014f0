//! Marks of the runs under way, kept where they outlive the process.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use lockgate_base::model::Digest;
use lockgate_core::quarantine::{EndMark, Marks};

/// The folder of the marks, with a name that no other program uses.
const FOLDER: &str = "lockgate-underway";
/// The name of a mark that is being written.
const UNFINISHED: &str = "unfinished";

/// Marks as files. Each is written beside its place and then moved there, so that no mark is found
/// half-written. Nothing is flushed to the disk: a written file outlives the process, and the folder does not
/// outlive the machine.
#[derive(Debug)]
pub(crate) struct MarkFolder(PathBuf);

impl MarkFolder {
    /// Opens the folder below `state_dir`, and creates it if it is missing.
    pub(crate) fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn place(&self, subject: &str) -> PathBuf {
        self.0.join(Digest::of(subject).to_string())
    }

    fn read(&self) -> io::Result<Vec<EndMark>> {
        let mut marks = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(path)?;
                continue;
            }
            // A file that cannot be read is no mark of ours.
            marks.extend(fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()));
        }
        Ok(marks)
    }

    fn write(&self, mark: &EndMark) -> io::Result<()> {
        let place = self.place(&mark.subject);
        let unfinished = place.with_extension(UNFINISHED);
        fs::write(&unfinished, serde_json::to_vec(mark)?)?;
        fs::rename(unfinished, place)
    }
}

impl Marks for MarkFolder {
    fn all(&self) -> Vec<EndMark> {
        self.read().unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to read the marks of unfinished runs");
            Vec::new()
        })
    }

    fn put(&self, mark: &EndMark) {
        if let Err(error) = self.write(mark) {
            tracing::warn!(subject = mark.subject, %error, "failed to mark a run");
        }
    }

    fn take(&self, subject: &str) {
        if let Err(error) = fs::remove_file(self.place(subject))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(subject, %error, "failed to remove the mark of a run");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use lockgate_core::quarantine::UnderWay;

    use super::*;

    fn mark(subject: &str, ended: u32) -> EndMark {
        EndMark { subject: subject.into(), state: "1".into(), ended, passed: 0, under_way: UnderWay::Beside }
    }

    #[test]
    fn a_mark_is_found_by_the_next_process_until_it_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let marks = MarkFolder::open(folder.path()).unwrap();
        marks.put(&mark("Kustomization/a/b", 0));
        marks.put(&mark("Kustomization/a/b", 1));
        marks.put(&mark("GitRepository/../../c", 0));
        fs::write(folder.path().join(FOLDER).join("junk"), "{").unwrap();
        let next = MarkFolder::open(folder.path()).unwrap();
        let mut found = next.all();
        found.sort_by(|a, b| a.subject.cmp(&b.subject));
        assert_eq!(found, [mark("GitRepository/../../c", 0), mark("Kustomization/a/b", 1)]);
        next.take("Kustomization/a/b");
        next.take("Kustomization/a/b");
        assert_eq!(next.all().len(), 1);
        let mode = fs::metadata(folder.path().join(FOLDER)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
