//! Turns a commit's tree into folders: walks Git's tree objects, and reads no files except the targets of
//! symbolic links.

use std::collections::HashMap;

use git2::{Odb, Oid, Repository};

use crate::SourceError;
use lockgate_base::tree::{Folder, FolderItem, LEVELS, TreeEntry, WeakFolder, join};

/// The most files of one tree.
const FILES: usize = 200_000;
/// The most folders that are opened. A few tree objects that name each other could stand for billions of
/// paths.
const FOLDERS: usize = 100_000;
/// The longest path, in bytes, as in Linux.
const PATH: usize = 4096;
/// The most bytes that the names and link targets of one tree may take, each counted once for each tree
/// object.
const NAMES: usize = 32 << 20;
/// The largest tree object, in bytes: a folder of some 200,000 files with names of usual length.
const TREE: usize = 16 << 20;
/// The most warnings that are given one by one.
const WARNINGS: usize = 20;

/// Git's modes. Every other mode is that of a file.
const FOLDER: i32 = 0o040_000;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// The files of a commit, and the warnings about entries that were left out.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) root: Folder,
    pub(crate) warnings: Vec<String>,
}

/// Folders that somebody holds, by the ids of their tree objects. The folders that two commits share are read
/// and kept once.
#[derive(Debug, Default)]
pub(crate) struct KnownFolders(HashMap<Oid, WeakFolder>);

impl KnownFolders {
    fn get(&self, id: Oid) -> Option<Folder> {
        self.0.get(&id)?.upgrade()
    }

    /// Removes folders that nobody holds any more.
    fn tidy(&mut self) {
        self.0.retain(|_, folder| folder.is_held());
    }
}

/// All files of a tree object.
pub(crate) fn walk(
    repository: &Repository,
    tree: Oid,
    known: &mut KnownFolders,
) -> Result<Files, SourceError> {
    let walk = Walk {
        repository,
        objects: repository.odb().map_err(|error| damaged("", &error))?,
        known,
        files: 0,
        folders: 1,
        names: 0,
        warnings: Vec::new(),
        left_out: 0,
    };
    walk.run(tree)
}

/// A walk through the tree objects of a commit, and its counts so far.
struct Walk<'w> {
    repository: &'w Repository,
    objects: Odb<'w>,
    known: &'w mut KnownFolders,
    /// The number of files. A folder in several places counts each time, since a reader of the tree meets it
    /// each time.
    files: usize,
    folders: usize,
    names: usize,
    warnings: Vec<String>,
    left_out: usize,
}

/// A folder that is being read.
struct Open {
    id: Oid,
    path: String,
    name: Box<str>,
    items: Vec<(Box<str>, FolderItem)>,
    /// The folders in it that are still to be read.
    pending: Vec<(Box<str>, Oid)>,
    /// Whether nothing in it, or below it, was left out.
    is_whole: bool,
}

impl Walk<'_> {
    fn run(mut self, tree: Oid) -> Result<Files, SourceError> {
        let mut open = vec![self.open(tree, String::new(), "".into())?];
        loop {
            let levels = open.len();
            let Some(folder) = open.last_mut() else { break };
            if let Some((name, id)) = folder.pending.pop() {
                let path = join(&folder.path, &name);
                if let Some(known) = self.known.get(id).filter(|known| fits(known, &path, levels)) {
                    self.count(known.extent().files, known.extent().folders)?;
                    folder.items.push((name, FolderItem::Folder(known)));
                } else {
                    let inner = self.open(id, path, name)?;
                    open.push(inner);
                }
                continue;
            }
            let Some(Open { id, name, items, is_whole, .. }) = open.pop() else { break };
            let read = Folder::new(items);
            if is_whole {
                self.known.0.insert(id, read.downgrade());
            }
            let Some(above) = open.last_mut() else {
                self.known.tidy();
                return Ok(Files { root: read, warnings: self.warnings });
            };
            above.is_whole &= is_whole;
            above.items.push((name, FolderItem::Folder(read)));
        }
        Err(SourceError::Storage(format!("the tree {tree} has no root")))
    }

    /// Reads one tree object.
    fn open(&mut self, id: Oid, path: String, name: Box<str>) -> Result<Open, SourceError> {
        let (size, _) = self.objects.read_header(id).map_err(|error| damaged(&path, &error))?;
        if size > TREE {
            let folder = path.escape_debug();
            let message =
                format!("the list of the folder '{folder}' has {size} bytes, more than the limit of {TREE}");
            return Err(SourceError::TooLarge(message));
        }
        let tree = self.repository.find_tree(id).map_err(|error| damaged(&path, &error))?;
        let mut open = Open { id, path, name, items: Vec::new(), pending: Vec::new(), is_whole: true };
        let levels = open.path.split('/').filter(|name| !name.is_empty()).count();
        for entry in &tree {
            let is_folder = entry.filemode() == FOLDER;
            let name = name_in(&open.path, entry.name_bytes()).filter(|_| !is_folder || levels < LEVELS);
            let Some(name) = name else {
                let message = left_out_message(&open.path, entry.name_bytes());
                self.leave_out(&mut open, message);
                continue;
            };
            self.name(name.len())?;
            let found = match entry.filemode() {
                FOLDER => {
                    self.count(0, 1)?;
                    open.pending.push((name.into(), entry.id()));
                    continue;
                }
                LINK => {
                    let path = join(&open.path, name);
                    let Some(target) = link_target(&self.objects, entry.id(), &path)? else {
                        let message = format!("{path}: symbolic link left out, its target is not a path");
                        self.leave_out(&mut open, message);
                        continue;
                    };
                    self.name(target.len())?;
                    TreeEntry::Link(target)
                }
                SUBMODULE => TreeEntry::Submodule,
                _ => TreeEntry::File(entry.id().as_bytes().to_vec()),
            };
            self.count(1, 0)?;
            open.items.push((name.into(), FolderItem::Entry(found)));
        }
        Ok(open)
    }

    /// Counts files and folders as they are found.
    fn count(&mut self, files: usize, folders: usize) -> Result<(), SourceError> {
        self.files = self.files.saturating_add(files);
        self.folders = self.folders.saturating_add(folders);
        for (count, limit, what) in [(self.files, FILES, "files"), (self.folders, FOLDERS, "folders")] {
            if count > limit {
                return Err(SourceError::TooLarge(format!("the repository has more than {limit} {what}")));
            }
        }
        Ok(())
    }

    /// Counts the bytes of a name or of a link's target.
    fn name(&mut self, bytes: usize) -> Result<(), SourceError> {
        self.names += bytes;
        if self.names > NAMES {
            let message = format!("the names of the repository's files take more than {} MiB", NAMES >> 20);
            return Err(SourceError::TooLarge(message));
        }
        Ok(())
    }

    fn leave_out(&mut self, from: &mut Open, message: String) {
        from.is_whole = false;
        self.left_out += 1;
        if self.left_out <= WARNINGS {
            self.warnings.push(message);
        } else {
            let more = self.left_out - WARNINGS + 1;
            self.warnings[WARNINGS - 1] = format!("{more} more files were left out");
        }
    }
}

/// Whether everything below a folder may also be below this path, which goes through `levels` folders.
fn fits(folder: &Folder, path: &str, levels: usize) -> bool {
    let extent = folder.extent();
    path.len() + extent.longest < PATH && levels + extent.levels <= LEVELS
}

/// The name of an entry; `None` for a name that Git itself never writes, that is not UTF-8, or whose path is
/// too long.
fn name_in<'n>(folder: &str, name: &'n [u8]) -> Option<&'n str> {
    let name = std::str::from_utf8(name).ok()?;
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return None;
    }
    let is_in_use = name.eq_ignore_ascii_case(".git") || folder.len() + name.len() >= PATH;
    (!is_in_use).then_some(name)
}

fn left_out_message(folder: &str, name: &[u8]) -> String {
    const SHOWN: usize = 200;
    let shown = name[..name.len().min(SHOWN)].escape_ascii();
    let reason = match std::str::from_utf8(name) {
        Err(_) => "its name is not UTF-8",
        Ok(name) if name.len() < PATH && name_in("", name.as_bytes()).is_none() => "its name is reserved",
        Ok(_) => "its path is too long",
    };
    let folder: String = folder.chars().take(SHOWN).collect();
    format!("file '{shown}' in folder '{}' left out: {reason}", folder.escape_debug())
}

fn link_target(objects: &Odb<'_>, id: Oid, path: &str) -> Result<Option<String>, SourceError> {
    let (size, _) = objects.read_header(id).map_err(|error| damaged(path, &error))?;
    if size > PATH {
        return Ok(None);
    }
    let target = objects.read(id).map_err(|error| damaged(path, &error))?;
    let target = std::str::from_utf8(target.data()).ok().filter(|target| !target.contains('\0'));
    Ok(target.map(str::to_owned))
}

fn damaged(path: &str, error: &git2::Error) -> SourceError {
    SourceError::Storage(format!("folder '{}' cannot be read: {}", path.escape_debug(), error.message()))
}

#[cfg(test)]
mod tests;
