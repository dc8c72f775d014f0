//! The identity of a process, in a form from which another process can see that it has ended.

use std::fmt;

/// A process on some machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// The boot of the machine.
    boot: String,
    /// The namespace of the process identifier: each container of a machine has its own.
    namespace: String,
    pid: String,
    /// The start of the process, in the kernel's ticks since the boot: a later process may get the same
    /// identifier.
    started: String,
}

impl Process {
    /// This process.
    pub(super) fn this() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        let pid = std::process::id().to_string();
        let started = running_since(&pid).unwrap_or_default();
        Self { boot: boot.trim().to_owned(), namespace, pid, started }
    }

    /// Reads a process from its printed form.
    pub(super) fn read(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.strip_prefix("process/")?.split('/').collect();
        let [boot, namespace, pid, started] = parts[..] else { return None };
        let [boot, namespace, pid, started] = [boot, namespace, pid, started].map(ToOwned::to_owned);
        Some(Self { boot, namespace, pid, started })
    }

    /// Whether the process is known to have ended, as seen from the process `ours`. Nothing is known of a
    /// process in another namespace of process identifiers, or if the kernel reveals too little.
    pub(super) fn has_ended(&self, ours: &Self) -> bool {
        let is_known =
            ![&self.boot, &self.namespace, &self.pid, &self.started].iter().any(|part| part.is_empty());
        let is_here = is_known && self.boot == ours.boot && self.namespace == ours.namespace;
        // An earlier process with our own identifier has ended.
        is_here && (self == ours || running_since(&self.pid).as_ref() != Some(&self.started))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, namespace, pid, started } = self;
        write!(f, "process/{boot}/{namespace}/{pid}/{started}")
    }
}

/// The start of a running process; `None` if there is none, or if it is a zombie.
fn running_since(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before this field may hold spaces and brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // This is the 22nd field of proc_pid_stat(5), and the state is the third.
    let started = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| started.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_ended_only_where_that_can_be_seen() {
        let ours = Process::this();
        assert_eq!(Process::read(&ours.to_string()), Some(ours.clone()));
        let other = |change: fn(&mut Process)| {
            let mut other = ours.clone();
            change(&mut other);
            other.has_ended(&ours)
        };
        assert!(other(|_| ()), "an earlier holder of this process");
        assert!(other(|process| process.pid = "4194305".into()), "above the largest pid");
        assert!(other(|process| process.started = "1".into()), "the identifier is used again");
        // In two containers of a machine, the first process of each has the identifier 1.
        let ended = Process { pid: "4194305".into(), ..ours.clone() };
        let unseen = [
            ("another namespace", Process { namespace: "1".into(), ..ended.clone() }),
            ("another machine", Process { boot: "b".into(), ..ended.clone() }),
            ("the kernel does not tell", Process { started: String::new(), ..ended.clone() }),
        ];
        for (why, process) in unseen {
            assert!(!process.has_ended(&ours), "{why}");
        }
    }

    #[test]
    fn one_that_runs_has_not_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (ours, pid) = (Process::this(), child.id().to_string());
        let started = running_since(&pid).unwrap();
        let other = Process { pid, started, ..ours.clone() };
        assert!(!other.has_ended(&ours));
        child.kill().unwrap();
        // Its entry exists until its parent waits for it.
        while running_since(&other.pid).is_some() {
            std::thread::yield_now();
        }
        assert!(other.has_ended(&ours));
        child.wait().unwrap();
    }
}
