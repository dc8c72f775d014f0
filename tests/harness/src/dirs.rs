//! Run directories: removed on drop, at the end of the process, and by the next run if neither happened.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

use crate::process::{exists, lock, send_signal};

const PREFIX: &str = "lockgate-test-";

/// The leftovers to remove when the process ends, since statics are not dropped: process groups first, then
/// directories.
static LEFT: Mutex<Left> = Mutex::new(Left { groups: Vec::new(), dirs: Vec::new() });

struct Left {
    groups: Vec<i32>,
    dirs: Vec<PathBuf>,
}

/// A directory of one run.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    temporary: bool,
}

impl RunDir {
    /// A new directory under the system's temporary one, readable by other users (sshd reads keys as the user
    /// that logs in).
    pub(crate) fn temporary(purpose: &str) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let prefix = format!("{PREFIX}{}-{purpose}-", std::process::id());
        let path = tempfile::Builder::new().prefix(&prefix).tempdir()?.keep();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        clean_at_exit(&path);
        Ok(Self { path, temporary: true })
    }

    /// A directory that stays.
    pub(crate) fn fixed(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self { path: std::fs::canonicalize(path)?, temporary: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.temporary {
            // The next run removes a directory that cannot be removed now.
            let _ = std::fs::remove_dir_all(&self.path);
            lock(&LEFT).dirs.retain(|dir| *dir != self.path);
        }
    }
}

/// Registers a process group to kill before the directories are removed.
pub(crate) fn kill_at_exit(group: i32) {
    lock(&LEFT).groups.push(group);
}

/// Unregisters a group that has ended: its number may soon be another's.
pub(crate) fn ended(group: i32) {
    lock(&LEFT).groups.retain(|known| *known != group);
}

#[expect(
    unsafe_code,
    reason = "statics are not dropped, so only atexit can clean up after a whole test binary"
)]
fn clean_at_exit(path: &Path) {
    extern "C" fn clean() {
        let Ok(mut left) = LEFT.try_lock() else { return };
        left.groups.drain(..).for_each(|group| send_signal(-group, libc::SIGKILL));
        for dir in left.dirs.drain(..) {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
    static REGISTER: Once = Once::new();
    // SAFETY: the handler is a plain function of this program and does not unwind.
    REGISTER.call_once(|| unsafe {
        libc::atexit(clean);
    });
    lock(&LEFT).dirs.push(path.to_owned());
}

/// Removes the directories of processes that no longer exist.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if owner.is_some_and(|pid: i32| !exists(pid)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
