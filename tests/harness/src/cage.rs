//! A bound on the memory of a program: a control group, which has the kernel kill what takes more, or, where
//! none can be made, a limit on its address space, at which it is given no more.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

use crate::agent::{Agent, AgentBuilder};

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";
/// The memory that a program maps and never touches, in bytes: its own file, and the stacks of its threads.
const RESERVED: u64 = 1 << 30;

/// A memory limit for the programs that are started in it. A control group is removed on drop, so they must
/// have ended by then.
#[derive(Debug)]
pub struct Cage {
    limit: u64,
    group: Option<Group>,
}

#[derive(Debug)]
struct Group {
    path: PathBuf,
    /// The file that counts kills.
    events: &'static str,
}

impl Cage {
    /// A bound of so many bytes.
    pub fn new(limit: u64) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lockgate-test-{}-{number}", std::process::id());
        let group =
            [("memory", "memory.limit_in_bytes", "memory.oom_control"), ("", "memory.max", "memory.events")]
                .into_iter()
                .find_map(|(controller, file, events)| {
                    let path = Path::new(ROOT).join(controller).join(&name);
                    made(&path, file, limit).ok().map(|()| Group { path, events })
                });
        let cage = Self { limit, group };
        println!("memory is bounded by {cage}");
        cage
    }

    /// Whether it is a control group.
    pub const fn is_group(&self) -> bool {
        self.group.is_some()
    }

    /// How many processes the kernel has killed in it.
    pub fn kills(&self) -> u64 {
        let Some(Group { path, events }) = &self.group else { return 0 };
        let text = fs::read_to_string(path.join(events)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
    }

    /// The command that runs a program in it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", &self.script()]).arg(program.as_ref());
        command
    }

    /// An agent in it.
    pub fn agent(&self, program: impl AsRef<Path>) -> AgentBuilder {
        Agent::new("bash").args(["-c", &self.script()]).args([program.as_ref()])
    }

    /// The script with which a shell becomes the given program, within the limit.
    fn script(&self) -> String {
        let enter = match &self.group {
            Some(Group { path, .. }) => format!("echo $$ > {}/cgroup.procs", path.display()),
            None => format!("ulimit -v {}", (self.limit + RESERVED) / 1024),
        };
        format!("{enter} && exec \"$0\" \"$@\"")
    }
}

/// Makes a group with a limit.
fn made(path: &Path, file: &str, limit: u64) -> io::Result<()> {
    fs::create_dir(path)?;
    // A folder that is no group has no such file.
    let bounded = fs::OpenOptions::new().write(true).open(path.join(file));
    let bounded = bounded.and_then(|mut file| io::Write::write_all(&mut file, limit.to_string().as_bytes()));
    bounded.inspect_err(|_| {
        // Nothing has run in it.
        let _ = fs::remove_dir(path);
    })
}

impl fmt::Display for Cage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.limit >> 20;
        match &self.group {
            Some(Group { path, .. }) => write!(f, "the control group {} of {mebibytes} MiB", path.display()),
            None => {
                write!(f, "a limit on the address space: no control group of {mebibytes} MiB can be made")
            }
        }
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let Some(Group { path, .. }) = &self.group else { return };
        // A process that was killed is in its group for a moment yet.
        for _ in 0..100 {
            if fs::remove_dir(path).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn what_takes_more_than_its_bound_is_ended() {
        let cage = Cage::new(64 << 20);
        let dd = |size: &str| {
            let args = ["if=/dev/zero", "of=/dev/null", "count=1", size];
            cage.command("dd").args(args).output().unwrap().status
        };
        assert!(dd("bs=8M").success());
        let ended = dd("bs=2000M");
        assert!(!ended.success());
        let kills = u64::from(cage.is_group());
        assert_eq!((cage.kills(), u64::from(ended.signal() == Some(libc::SIGKILL))), (kills, kills));
    }
}
