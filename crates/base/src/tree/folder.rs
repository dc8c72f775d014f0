//! Folders: their entries by name. A folder that several trees share is in memory once.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::model::Digest;

/// The identity of a file's content, or of a folder with all below it: equal ids mean equal bytes.
pub type ContentId = Vec<u8>;

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEntry {
    /// A file and its content.
    File(ContentId),
    /// A symbolic link and its target text.
    Link(String),
    /// A Git submodule, which is not followed.
    Submodule,
    /// A folder whose files are unknown, and why. It is an error only if an entry in it is requested.
    Unlisted(String),
}

/// The item of a name in a folder.
#[derive(Debug, Clone)]
pub enum FolderItem {
    /// An entry that is no folder.
    Entry(TreeEntry),
    /// A folder.
    Folder(Folder),
}

/// A folder with everything below it. A clone is the same folder in memory, so trees share their common
/// folders.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Content>);

/// A folder that lives as long as somebody else holds it.
#[derive(Debug, Clone)]
pub struct WeakFolder(Weak<Content>);

#[derive(Debug)]
struct Content {
    /// The items in the order of paths: a folder sorts as if its name ended with a slash.
    items: Box<[(Box<str>, FolderItem)]>,
    extent: Extent,
    id: Digest,
}

/// The amount of content below a folder. A folder in several places counts each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Entries that are no folders.
    pub files: usize,
    /// Folders.
    pub folders: usize,
    /// The deepest nesting of folders.
    pub levels: usize,
    /// The length of the longest path, in bytes.
    pub longest: usize,
}

impl FolderItem {
    const fn is_folder(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

impl Folder {
    /// A folder of these items, whose names have no slash. The last of two entries or two folders of one name
    /// wins. Empty folders are left out.
    pub fn new(items: Vec<(Box<str>, FolderItem)>) -> Self {
        let mut items = items;
        items.retain(|(_, item)| !matches!(item, FolderItem::Folder(folder) if folder.is_empty()));
        items.sort_by(|(a, left), (b, right)| ordered(a, left.is_folder(), b, right.is_folder()));
        items.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0 && later.1.is_folder() == kept.1.is_folder();
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        let mut extent = Extent::default();
        for (name, item) in &items {
            extent.add(name, item);
        }
        let id = Digest::of_parts(items.iter().flat_map(|(name, item)| {
            let (kind, id): (&[u8], &[u8]) = match item {
                FolderItem::Folder(folder) => (b"folder", folder.0.id.bytes()),
                FolderItem::Entry(TreeEntry::File(id)) => (b"file", id),
                FolderItem::Entry(TreeEntry::Link(target)) => (b"link", target.as_bytes()),
                FolderItem::Entry(TreeEntry::Submodule) => (b"submodule", b""),
                FolderItem::Entry(TreeEntry::Unlisted(cause)) => (b"unlisted", cause.as_bytes()),
            };
            [name.as_bytes(), kind, id]
        }));
        Self(Arc::new(Content { items: items.into(), extent, id }))
    }

    /// A folder of the files at these paths. The last of two files at one path wins.
    pub(super) fn of_paths(files: impl IntoIterator<Item = (String, TreeEntry)>) -> Self {
        let sorted: BTreeMap<String, TreeEntry> = files.into_iter().collect();
        // The folders on the way to the last file, with their items so far; the root has no name.
        let mut open: Vec<(String, Vec<(Box<str>, FolderItem)>)> = vec![(String::new(), Vec::new())];
        for (path, entry) in sorted {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
            let common = open[1..].iter().zip(&names).take_while(|((open, _), name)| open == *name).count();
            close(&mut open, common + 1);
            open.extend(names[common..].iter().map(|name| ((*name).to_owned(), Vec::new())));
            if let Some((_, items)) = open.last_mut() {
                items.push((name.into(), FolderItem::Entry(entry)));
            }
        }
        close(&mut open, 1);
        Self::new(open.pop().unwrap_or_default().1)
    }

    /// The amount of content below the folder.
    pub fn extent(&self) -> Extent {
        self.0.extent
    }

    /// Identifies the folder: any difference in it or below it gives another id.
    pub fn id(&self) -> Digest {
        self.0.id
    }

    /// The same folder, without keeping it in memory.
    pub fn downgrade(&self) -> WeakFolder {
        WeakFolder(Arc::downgrade(&self.0))
    }

    /// Whether both are the same folder in memory.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// The items in the order of paths.
    pub(super) fn items(&self) -> &[(Box<str>, FolderItem)] {
        &self.0.items
    }

    /// The item at a path below the folder, by names alone. An entry hides a folder of its name.
    pub(super) fn at(&self, path: &str) -> Option<FoundInFolder<'_>> {
        let mut folder = self;
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            match folder.get(name)? {
                FolderItem::Folder(inner) => folder = inner,
                FolderItem::Entry(entry) => {
                    return names.peek().is_none().then_some(FoundInFolder::Entry(entry));
                }
            }
        }
        Some(FoundInFolder::Folder(folder))
    }

    fn get(&self, name: &str) -> Option<&FolderItem> {
        let items = &self.0.items;
        let place = |is_folder: bool| {
            items.binary_search_by(|(own, item)| ordered(own, item.is_folder(), name, is_folder)).ok()
        };
        place(false).or_else(|| place(true)).map(|at| &items[at].1)
    }

    /// The same folder without the files whose paths `keep` refuses. If it refuses none, nothing is copied.
    /// `path` is the path of the folder.
    pub(super) fn filtered(&self, path: &mut String, keep: &impl Fn(&str) -> bool) -> Self {
        let (start, mut is_whole) = (path.len(), true);
        let mut kept = Vec::new();
        for (name, item) in self.items() {
            if start > 0 {
                path.push('/');
            }
            path.push_str(name);
            match item {
                FolderItem::Entry(_) if keep(path) => kept.push((name.clone(), item.clone())),
                FolderItem::Entry(_) => is_whole = false,
                FolderItem::Folder(folder) => {
                    let inner = folder.filtered(path, keep);
                    is_whole &= inner.is(folder);
                    kept.push((name.clone(), FolderItem::Folder(inner)));
                }
            }
            path.truncate(start);
        }
        if is_whole { self.clone() } else { Self::new(kept) }
    }

    /// All entries below the folder with their paths, in the order of paths.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { open: vec![(self.items().iter(), 0)], path: String::new() }
    }
}

impl WeakFolder {
    /// The folder; `None` if nobody holds it any more.
    pub fn upgrade(&self) -> Option<Folder> {
        self.0.upgrade().map(Folder)
    }

    /// Whether somebody holds the folder.
    pub fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Extent {
    /// Adds the item of a name.
    fn add(&mut self, name: &str, item: &FolderItem) {
        match item {
            FolderItem::Entry(_) => {
                self.files = self.files.saturating_add(1);
                self.longest = self.longest.max(name.len());
            }
            FolderItem::Folder(folder) => {
                let inner = folder.extent();
                self.files = self.files.saturating_add(inner.files);
                self.folders = self.folders.saturating_add(inner.folders).saturating_add(1);
                self.levels = self.levels.max(inner.levels + 1);
                self.longest = self.longest.max(name.len() + 1 + inner.longest);
            }
        }
    }
}

/// The item at a path.
pub(super) enum FoundInFolder<'f> {
    Entry(&'f TreeEntry),
    Folder(&'f Folder),
}

/// See [`Folder::entries`].
pub(super) struct Entries<'f> {
    /// The remaining items of the folders on the way, each with the length of its path.
    open: Vec<(std::slice::Iter<'f, (Box<str>, FolderItem)>, usize)>,
    path: String,
}

impl<'f> Iterator for Entries<'f> {
    type Item = (String, &'f TreeEntry);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (items, length) = self.open.last_mut()?;
            self.path.truncate(*length);
            let Some((name, item)) = items.next() else {
                self.open.pop();
                continue;
            };
            if *length > 0 {
                self.path.push('/');
            }
            self.path.push_str(name);
            match item {
                FolderItem::Entry(entry) => return Some((self.path.clone(), entry)),
                FolderItem::Folder(folder) => self.open.push((folder.items().iter(), self.path.len())),
            }
        }
    }
}

/// Ends the folders on the way except the first `keep`.
fn close(open: &mut Vec<(String, Vec<(Box<str>, FolderItem)>)>, keep: usize) {
    while open.len() > keep
        && let Some((name, items)) = open.pop()
        && let Some((_, above)) = open.last_mut()
    {
        above.push((name.into(), FolderItem::Folder(Folder::new(items))));
    }
}

/// The order of the paths that begin with two names.
fn ordered(a: &str, a_is_folder: bool, b: &str, b_is_folder: bool) -> Ordering {
    let end = |is_folder: bool| is_folder.then_some(b'/');
    a.bytes().chain(end(a_is_folder)).cmp(b.bytes().chain(end(b_is_folder)))
}
