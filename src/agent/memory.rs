//! The memory limit of this process.

use std::fs;
use std::path::Path;

/// The folder in which the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";
/// A limit above this means no limit: version 1 writes the largest number of pages.
const NONE: u64 = 1 << 60;

/// The smallest memory limit of the control groups of this process, in bytes; `None` if there is none.
pub(crate) fn limit() -> Option<u64> {
    limit_in(Path::new(ROOT), &fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The smallest limit of the groups in the text of `/proc/self/cgroup`.
fn limit_in(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        match controllers {
            "" => smallest(root, path, "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                smallest(&root.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.min()
}

/// The smallest limit of a group and its ancestors. In a container the path may be one of the host, which
/// does not exist there.
fn smallest(root: &Path, path: &str, file: &str) -> Option<u64> {
    let group = root.join(path);
    let around = group.ancestors().take_while(|folder| folder.starts_with(root));
    let limits = around.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok());
    limits.filter(|limit| *limit < NONE).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_around_the_process_is_the_one() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("memory.max", "max\n");
        write("pods/memory.max", "1000\n");
        write("pods/a/memory.max", "2000\n");
        write("memory/pods/memory.limit_in_bytes", "500\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let limit = |groups: &str| limit_in(folder.path(), groups);
        assert_eq!(limit("0::/pods/a\n"), Some(1000));
        assert_eq!(limit("0::/\n"), None);
        assert_eq!(limit("4:cpu:/\n3:memory,blkio:/pods\n"), Some(500));
        // This is a path of the host, seen from a container.
        assert_eq!(limit("3:memory:/kubepods/x\n0::/kubepods/x\n"), None);
        write("memory.max", "700\n");
        assert_eq!(limit("0::/kubepods/x\n"), Some(700));
        assert_eq!(limit(""), None);
    }
}
