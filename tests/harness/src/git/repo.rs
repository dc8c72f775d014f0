//! Bare repositories, and commits made in them by one `git fast-import` each.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;

use super::git;
use crate::process::run;

/// One change of a commit.
#[derive(Clone, Debug)]
pub enum Change {
    /// A file with this content.
    File(String, Vec<u8>),
    /// An executable file.
    Executable(String, Vec<u8>),
    /// A symbolic link to the target.
    Symlink(String, String),
    /// A submodule at a commit.
    Submodule(String, String),
    /// Deletes the path, and everything below it.
    Delete(String),
    /// Deletes everything.
    DeleteAll,
    /// Adds the directory's files, executables and links below the path; `.git` is left out.
    Directory(String, PathBuf),
}

impl Change {
    /// A file.
    pub fn file(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self::File(path.into(), content.into())
    }

    fn write(&self, stream: &mut Vec<u8>) -> anyhow::Result<()> {
        match self {
            Self::File(path, content) => blob(stream, "100644", path.as_bytes(), content),
            Self::Executable(path, content) => blob(stream, "100755", path.as_bytes(), content),
            Self::Symlink(path, target) => blob(stream, "120000", path.as_bytes(), target.as_bytes()),
            Self::Submodule(path, commit) => {
                line(stream, &[b"M 160000 ", commit.as_bytes(), b" ", &quoted(path.as_bytes())]);
            }
            Self::Delete(path) => line(stream, &[b"D ", &quoted(path.as_bytes())]),
            Self::DeleteAll => line(stream, &[b"deleteall"]),
            Self::Directory(prefix, dir) => return directory(stream, prefix.as_bytes(), dir),
        }
        Ok(())
    }
}

/// A bare repository.
#[derive(Clone, Debug)]
pub struct Repo {
    name: String,
    path: PathBuf,
}

impl Repo {
    /// Makes a bare repository whose default branch is `main`, set up as GitHub's are.
    pub(super) fn create(name: &str, path: PathBuf) -> anyhow::Result<Self> {
        let mut command = git();
        command.args(["init", "-q", "--bare", "-b", "main"]).arg(&path);
        run(command, b"")?;
        let repo = Self { name: name.to_owned(), path };
        for setting in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
            repo.git(&["config", setting, "true"])?;
        }
        Ok(repo)
    }

    pub(super) fn open(name: &str, path: PathBuf) -> Self {
        Self { name: name.to_owned(), path }
    }

    /// The name, such as `owner/name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs any git command in the repository and returns the trimmed output.
    pub fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&run(self.command(arguments), b"")?).trim().to_owned())
    }

    /// The commit of a branch, tag or other revision.
    pub fn rev_parse(&self, revision: &str) -> anyhow::Result<String> {
        self.git(&["rev-parse", "--verify", "-q", revision])
            .with_context(|| format!("no {revision} in {}", self.name))
    }

    /// Commits files on top of a branch, which is created if it does not exist; `None` deletes. Returns the
    /// commit's id.
    pub fn commit<C: AsRef<[u8]>>(
        &self,
        branch: &str,
        message: &str,
        files: &[(&str, Option<C>)],
    ) -> anyhow::Result<String> {
        self.commit_changes(branch, message, &changes(files))
    }

    /// Commits any changes on top of a branch.
    pub fn commit_changes(&self, branch: &str, message: &str, changes: &[Change]) -> anyhow::Result<String> {
        let parent = self.rev_parse(&format!("refs/heads/{branch}")).ok();
        self.import(branch, message, parent.as_deref(), changes)
    }

    /// Commits a directory as the branch's whole tree.
    pub fn commit_dir(&self, branch: &str, message: &str, dir: &Path) -> anyhow::Result<String> {
        self.commit_changes(
            branch,
            message,
            &[Change::DeleteAll, Change::Directory(String::new(), dir.to_owned())],
        )
    }

    /// Replaces a branch by one commit without parents, like a forced push of another history.
    pub fn force_orphan<C: AsRef<[u8]>>(
        &self,
        branch: &str,
        message: &str,
        files: &[(&str, Option<C>)],
    ) -> anyhow::Result<String> {
        self.import(branch, message, None, &changes(files))
    }

    /// Sets a branch to a commit.
    pub fn set_branch(&self, branch: &str, revision: &str) -> anyhow::Result<()> {
        self.git(&[
            "update-ref",
            &format!("refs/heads/{branch}"),
            &self.rev_parse(&format!("{revision}^{{commit}}"))?,
        ])
        .map(drop)
    }

    /// Deletes a branch.
    pub fn delete_branch(&self, branch: &str) -> anyhow::Result<()> {
        self.git(&["update-ref", "-d", &format!("refs/heads/{branch}")]).map(drop)
    }

    /// Makes `branch` the default one.
    pub fn set_default_branch(&self, branch: &str) -> anyhow::Result<()> {
        self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]).map(drop)
    }

    /// The default branch.
    pub fn default_branch(&self) -> anyhow::Result<String> {
        self.git(&["symbolic-ref", "--short", "HEAD"])
    }

    /// Sets a lightweight tag, or moves an existing one.
    pub fn tag(&self, tag: &str, revision: &str) -> anyhow::Result<()> {
        self.git(&["tag", "-f", tag, revision]).map(drop)
    }

    /// Sets an annotated tag, or moves an existing one.
    pub fn annotated_tag(&self, tag: &str, revision: &str, message: &str) -> anyhow::Result<()> {
        self.git(&[
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.org",
            "tag",
            "-f",
            "-a",
            "-m",
            message,
            tag,
            revision,
        ])
        .map(drop)
    }

    /// Deletes a tag.
    pub fn delete_tag(&self, tag: &str) -> anyhow::Result<()> {
        self.git(&["tag", "-d", tag]).map(drop)
    }

    /// The content of a file's object.
    pub fn blob(&self, id: &str) -> anyhow::Result<Vec<u8>> {
        run(self.command(&["cat-file", "blob", id]), b"")
    }

    /// Feeds a stream to `git fast-import --force`, for histories that no other method can make.
    pub fn fast_import(&self, stream: &[u8]) -> anyhow::Result<String> {
        let output = run(self.command(&["fast-import", "--quiet", "--force"]), stream)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    fn import(
        &self,
        branch: &str,
        message: &str,
        parent: Option<&str>,
        changes: &[Change],
    ) -> anyhow::Result<String> {
        // Two commits with the same content must differ, and the later one must have the later time.
        static NEXT: AtomicU64 = AtomicU64::new(1_700_000_000);
        let time = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut stream = Vec::new();
        line(&mut stream, &[b"commit refs/heads/", branch.as_bytes()]);
        line(&mut stream, &[b"mark :1"]);
        line(&mut stream, &[b"committer Test <test@example.org> ", time.to_string().as_bytes(), b" +0000"]);
        data(&mut stream, message.as_bytes());
        if let Some(parent) = parent {
            line(&mut stream, &[b"from ", parent.as_bytes()]);
        }
        changes.iter().try_for_each(|change| change.write(&mut stream))?;
        line(&mut stream, &[b"\nget-mark :1"]);
        self.fast_import(&stream)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = git();
        command.arg("--git-dir").arg(&self.path).args(arguments);
        command
    }
}

fn changes<C: AsRef<[u8]>>(files: &[(&str, Option<C>)]) -> Vec<Change> {
    let change = |(path, content): &(&str, Option<C>)| match content {
        Some(content) => Change::file(*path, content.as_ref()),
        None => Change::Delete((*path).to_owned()),
    };
    files.iter().map(change).collect()
}

fn directory(stream: &mut Vec<u8>, prefix: &[u8], dir: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name == ".git" {
            continue;
        }
        let separator: &[u8] = if prefix.is_empty() { b"" } else { b"/" };
        let path = [prefix, separator, name.as_bytes()].concat();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            directory(stream, &path, &entry.path())?;
        } else if kind.is_symlink() {
            blob(stream, "120000", &path, std::fs::read_link(entry.path())?.as_os_str().as_bytes());
        } else {
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            blob(stream, if executable { "100755" } else { "100644" }, &path, &std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn blob(stream: &mut Vec<u8>, mode: &str, path: &[u8], content: &[u8]) {
    line(stream, &[b"M ", mode.as_bytes(), b" inline ", &quoted(path)]);
    data(stream, content);
}

fn data(stream: &mut Vec<u8>, content: &[u8]) {
    line(stream, &[b"data ", content.len().to_string().as_bytes()]);
    line(stream, &[content]);
}

fn line(stream: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        stream.extend_from_slice(part);
    }
    stream.push(b'\n');
}

/// A path as fast-import reads it: any byte may stand in it.
fn quoted(path: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in path {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b' '..=b'~' => quoted.push(byte),
            _ => quoted.extend(format!("\\{byte:03o}").into_bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}
