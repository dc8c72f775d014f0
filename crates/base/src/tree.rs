//! The files of a source at one revision: read-only, content-addressed, with no way out.
//!
//! Paths are relative to the root, with `/` between their parts and no leading slash; `""` is the root. An
//! adapter fills a [`Tree`] from Git objects or from a folder. A [`TreeReader`] remembers everything that is
//! read through it, so that a later revision can be asked whether any of that has changed.

mod folder;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::model::{Digest, Revision, yaml};
use folder::FoundInFolder;

pub use folder::{ContentId, Extent, Folder, FolderItem, TreeEntry, WeakFolder};

/// The largest file that is read, in bytes.
pub const FILE_LIMIT: u64 = 16 * 1024 * 1024;
/// The most symbolic links on one path (Linux's limit).
const LINK_LIMIT: usize = 40;
/// The most folders on a path of a fetched tree. Recursive functions walk trees, on threads with small
/// stacks.
pub const LEVELS: usize = 500;

/// A tree and the revision it was taken at.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The content of `status.artifact.revision`.
    pub revision: Revision,
    /// The files.
    pub tree: Tree,
    /// The revision of the origin of the files, if its maker names one.
    pub origin: Option<String>,
}

/// The store of the bytes of files. The content of an id never changes, so reading is repeatable.
pub trait Blobs: Send + Sync {
    /// The bytes of a file, or a message fragment that says why the store cannot return them.
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String>;
}

/// The files of one revision.
#[derive(Clone)]
pub struct Tree {
    root: Folder,
    blobs: Arc<dyn Blobs>,
    /// The absolute path of the root without a slash at the end, if the tree has one.
    location: Option<Arc<str>>,
}

/// Why a path cannot be read. Each message names the path of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The path does not exist.
    #[error("{0}: no such file or directory")]
    NotFound(String),
    /// The path, or a symbolic link on it, leads above the root.
    #[error("{path}: leads outside the source ('{target}')")]
    Outside {
        /// The requested path.
        path: String,
        /// The absolute path, or the link's target that leads out.
        target: String,
    },
    /// Symbolic links that lead to each other.
    #[error("{0}: too many levels of symbolic links")]
    LinkLoop(String),
    /// The path is a folder, and a file was requested.
    #[error("{0}: is a directory")]
    IsDirectory(String),
    /// A Git submodule.
    #[error("{0}: is a Git submodule, which is not fetched")]
    IsSubmodule(String),
    /// A pointer of Git LFS instead of the file.
    #[error("{0}: is a Git LFS pointer; files kept in LFS are not supported")]
    IsLfsPointer(String),
    /// Larger than [`FILE_LIMIT`].
    #[error("{path}: is {size} bytes, more than the limit of {FILE_LIMIT}")]
    TooLarge {
        /// The requested path.
        path: String,
        /// In bytes.
        size: u64,
    },
    /// Not text.
    #[error("{0}: {1}")]
    NotText(String, yaml::EncodingError),
    /// The object store failed, or a folder could not be listed.
    #[error("{path}: {message}")]
    Store {
        /// The requested path.
        path: String,
        /// The message of the store.
        message: String,
    },
}

/// The kind of entry that a path leads to, after symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// A file.
    File,
    /// A folder.
    Directory,
}

impl Tree {
    /// A tree of `(path, entry)` pairs, with paths as in the module's description; folders follow from the
    /// files.
    pub fn new(files: impl IntoIterator<Item = (String, TreeEntry)>, blobs: Arc<dyn Blobs>) -> Self {
        Self::of(Folder::of_paths(files), blobs)
    }

    /// A tree whose root is a folder.
    pub fn of(root: Folder, blobs: Arc<dyn Blobs>) -> Self {
        Self { root, blobs, location: None }
    }

    /// A tree with the same store and another root.
    #[must_use]
    pub fn with_root(&self, root: Folder) -> Self {
        Self { root, ..self.clone() }
    }

    /// The folder that is its root.
    pub const fn root(&self) -> &Folder {
        &self.root
    }

    /// A tree in memory, for tests and for generated content.
    pub fn in_memory<P: Into<String>, C: Into<Vec<u8>>>(files: impl IntoIterator<Item = (P, C)>) -> Self {
        let mut store = BTreeMap::new();
        let mut entries = Vec::new();
        for (path, content) in files {
            let content: Vec<u8> = content.into();
            let id = Digest::of(&content).bytes().to_vec();
            entries.push((path.into(), TreeEntry::File(id.clone())));
            store.insert(id, Arc::from(content));
        }
        Self::new(entries, Arc::new(InMemory(store)))
    }

    /// All entries in path order.
    pub fn entries(&self) -> impl Iterator<Item = (String, &TreeEntry)> {
        self.root.entries()
    }

    /// This tree without the entries that `keep` refuses.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        self.with_root(self.root.filtered(&mut String::new(), &keep))
    }

    /// The folder at this path as a tree of its own. Links in it stay as they are, so links that lead out of
    /// it lead nowhere.
    #[must_use]
    pub fn folder(&self, path: &str) -> Self {
        let folder = match self.root.at(path) {
            Some(FoundInFolder::Folder(folder)) => folder.clone(),
            _ => Folder::new(Vec::new()),
        };
        Self::of(folder, Arc::clone(&self.blobs))
    }

    /// This tree with these files added, or in place of files at the same paths.
    #[must_use]
    pub fn with_files(&self, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let over = Self::in_memory(files);
        let all = self.entries().chain(over.entries()).map(|(path, entry)| (path, entry.clone()));
        let root = Folder::of_paths(all);
        let blobs = Both { over: Arc::clone(&over.blobs), under: Arc::clone(&self.blobs) };
        Self { root, blobs: Arc::new(blobs), location: self.location.clone() }
    }

    /// This tree, with an absolute path for its root. Paths may then be absolute, or climb out of the tree
    /// and back in. No file outside the tree is read for that.
    #[must_use]
    pub fn standing_at(&self, path: &str) -> Self {
        Self { location: Some(normal_absolute(path).into()), ..self.clone() }
    }

    /// Identifies the content of a folder with everything below it; `None` if there is no folder at this
    /// path.
    pub fn folder_id(&self, path: &str) -> Option<Digest> {
        match self.root.at(path)? {
            FoundInFolder::Folder(folder) => Some(folder.id()),
            FoundInFolder::Entry(_) => None,
        }
    }

    /// A reader that remembers its questions.
    pub fn reader(&self) -> TreeReader<'_> {
        TreeReader { tree: self, seen: RefCell::default() }
    }

    /// Whether every answer in `footprint` would be the same in this tree.
    pub fn matches(&self, footprint: &Footprint) -> bool {
        footprint.0.iter().all(|(path, answer)| self.answer(path) == *answer)
    }

    /// Resolves symbolic links in every part of `path`, which must be normal.
    fn resolve(&self, path: &str) -> Result<(String, Resolved), TreeError> {
        let mut links = 0;
        let mut pending: Vec<String> =
            path.split('/').rev().filter(|p| !p.is_empty()).map(Into::into).collect();
        let mut at = String::new();
        while let Some(part) = pending.pop() {
            if part == ".." {
                at = parent(&at).map(Into::into).ok_or_else(|| outside(path, path))?;
                continue;
            }
            let next = if at.is_empty() { part } else { format!("{at}/{part}") };
            match self.root.at(&next) {
                Some(FoundInFolder::Entry(TreeEntry::Link(target))) => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return Err(TreeError::LinkLoop(path.into()));
                    }
                    if target.starts_with('/') {
                        return Err(outside(path, target));
                    }
                    let parts = target.split('/').rev().filter(|p| !p.is_empty() && *p != ".");
                    pending.extend(parts.map(Into::into));
                }
                Some(FoundInFolder::Entry(TreeEntry::Submodule)) => {
                    return Err(TreeError::IsSubmodule(path.into()));
                }
                Some(FoundInFolder::Entry(TreeEntry::Unlisted(cause))) => {
                    return Err(TreeError::Store { path: path.into(), message: cause.clone() });
                }
                Some(FoundInFolder::Entry(TreeEntry::File(_))) if pending.is_empty() => {
                    return Ok((next, Resolved::File));
                }
                Some(FoundInFolder::Folder(_)) => at = next,
                // The path continues behind a file, or the entry does not exist.
                Some(FoundInFolder::Entry(TreeEntry::File(_))) | None => {
                    return Err(TreeError::NotFound(path.into()));
                }
            }
        }
        Ok((at, Resolved::Directory))
    }

    fn answer(&self, path: &str) -> Answer {
        let (resolved, node) = self.resolve(path).ok()?;
        let id = match node {
            Resolved::File => self.content(&resolved)?.clone(),
            // A listing shows only names. The content of files below has paths of its own.
            Resolved::Directory => listing_id(&self.children(&resolved)),
        };
        Some((resolved, id))
    }

    /// The content of the file at a path without symbolic links.
    fn content(&self, path: &str) -> Option<&ContentId> {
        match self.root.at(path)? {
            FoundInFolder::Entry(TreeEntry::File(id)) => Some(id),
            FoundInFolder::Entry(_) | FoundInFolder::Folder(_) => None,
        }
    }

    /// The names in a folder, each once, and whether each is a folder.
    fn children(&self, directory: &str) -> Vec<(String, bool)> {
        let Some(FoundInFolder::Folder(folder)) = self.root.at(directory) else { return vec![] };
        let is_folder = |item: &FolderItem| {
            matches!(item, FolderItem::Folder(_) | FolderItem::Entry(TreeEntry::Unlisted(_)))
        };
        let mut children: Vec<(String, bool)> =
            folder.items().iter().map(|(name, item)| ((**name).to_owned(), is_folder(item))).collect();
        children.dedup_by(|later, kept| later.0 == kept.0);
        children
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({} files)", self.root.extent().files)
    }
}

/// The place that a path leads to after symbolic links, and the content there. Later reads take place there.
/// `None` if there is nothing.
type Answer = Option<(String, ContentId)>;

/// The questions of a render to a tree, with the answers. A render need not be repeated on a tree that would
/// give the same answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footprint(BTreeMap<String, Answer>);

/// Reads from a [`Tree`] and remembers every requested path.
pub struct TreeReader<'t> {
    tree: &'t Tree,
    seen: RefCell<BTreeMap<String, Answer>>,
}

impl TreeReader<'_> {
    /// `relative` as seen from the folder `base`, normalised. A path outside the tree, by its text, is
    /// refused.
    pub fn resolve(&self, base: &str, relative: &str) -> Result<String, TreeError> {
        let Some(location) = self.tree.location.as_deref() else { return resolve(base, relative) };
        let absolute = if relative.starts_with('/') {
            normal_absolute(relative)
        } else {
            normal_absolute(&format!("{location}/{base}/{relative}"))
        };
        match absolute.strip_prefix(location) {
            Some("") => Ok(String::new()),
            Some(inside) if inside.starts_with('/') => Ok(inside[1..].into()),
            _ => Err(outside(relative, &absolute)),
        }
    }

    /// The kind of entry at `path`; `None` if nothing is there.
    pub fn node(&self, path: &str) -> Result<Option<Resolved>, TreeError> {
        self.note(path);
        match self.tree.resolve(path) {
            Ok((_, node)) => Ok(Some(node)),
            Err(TreeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.note(path);
        let (resolved, node) = self.tree.resolve(path)?;
        let Some(id) = self.tree.content(&resolved) else {
            debug_assert_eq!(node, Resolved::Directory);
            return Err(TreeError::IsDirectory(path.into()));
        };
        let bytes =
            self.tree.blobs.read(id).map_err(|message| TreeError::Store { path: path.into(), message })?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(TreeError::TooLarge { path: path.into(), size: bytes.len() as u64 });
        }
        if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
            return Err(TreeError::IsLfsPointer(path.into()));
        }
        Ok(bytes)
    }

    /// The text of a file that is read as YAML.
    pub fn text(&self, path: &str) -> Result<String, TreeError> {
        let bytes = self.bytes(path)?;
        let text = yaml::decoded(&bytes).map_err(|error| TreeError::NotText(path.into(), error))?;
        Ok(text.into_owned())
    }

    /// The names in a folder in byte order, and whether each is a folder or leads to one.
    pub fn list(&self, path: &str) -> Result<Vec<(String, Resolved)>, TreeError> {
        self.note(path);
        let (resolved, node) = self.tree.resolve(path)?;
        if node == Resolved::File {
            return Err(TreeError::NotFound(path.into()));
        }
        let mut names = Vec::new();
        for (name, is_directory) in self.tree.children(&resolved) {
            let node = if is_directory {
                Resolved::Directory
            } else {
                // A link that leads nowhere or out of the tree is an error only when it is read.
                self.node(&join(path, &name)).ok().flatten().unwrap_or(Resolved::File)
            };
            names.push((name, node));
        }
        Ok(names)
    }

    /// The path of a file or folder after symbolic links, which shows whether two paths are one.
    pub fn canonical(&self, path: &str) -> Result<String, TreeError> {
        self.note(path);
        self.tree.resolve(path).map(|(resolved, _)| resolved)
    }

    /// The questions so far.
    pub fn footprint(&self) -> Footprint {
        Footprint(self.seen.borrow().clone())
    }

    fn note(&self, path: &str) {
        if !self.seen.borrow().contains_key(path) {
            self.seen.borrow_mut().insert(path.into(), self.tree.answer(path));
        }
    }
}

/// `relative` as seen from the folder `base`, normalised. Absolute paths and paths that lead above the root
/// are refused.
pub fn resolve(base: &str, relative: &str) -> Result<String, TreeError> {
    if relative.starts_with('/') {
        return Err(outside(relative, relative));
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| outside(relative, &join(base, relative)))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// `path` as seen from the root, normalised as text: a path that climbs above the root stops there.
pub fn within_root(path: &str) -> String {
    normal_absolute(path).trim_start_matches('/').to_owned()
}

/// An absolute path, normalised as text: without `.`, `..` or a slash at the end. The parent of `/` is `/`.
fn normal_absolute(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => normal.truncate(normal.rfind('/').unwrap_or(0)),
            part => {
                normal.push('/');
                normal.push_str(part);
            }
        }
    }
    normal
}

/// `name` inside the folder `directory`.
pub fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.into() } else { format!("{directory}/{name}") }
}

/// The folder that holds `path`; `None` for the root.
pub fn parent(path: &str) -> Option<&str> {
    if path.is_empty() { None } else { Some(path.rsplit_once('/').map_or("", |(parent, _)| parent)) }
}

fn outside(path: &str, target: &str) -> TreeError {
    TreeError::Outside { path: path.into(), target: target.into() }
}

fn listing_id(children: &[(String, bool)]) -> ContentId {
    let kinds: [&[u8]; 2] = [b"f", b"d"];
    let parts = children.iter().flat_map(|(name, dir)| [name.as_bytes(), kinds[usize::from(*dir)]]);
    Digest::of_parts(parts).bytes().to_vec()
}

/// The content of a tree with files laid over it.
struct Both {
    over: Arc<dyn Blobs>,
    under: Arc<dyn Blobs>,
}

impl Blobs for Both {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        self.over.read(id).or_else(|_| self.under.read(id))
    }
}

struct InMemory(BTreeMap<ContentId, Arc<[u8]>>);

impl Blobs for InMemory {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        self.0.get(id).cloned().ok_or_else(|| "no such object".into())
    }
}

#[cfg(test)]
mod tests;
