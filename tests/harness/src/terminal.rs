//! A terminal for a program that shows more to people than to files.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context as _;

/// Runs a program to its end on a terminal of its own. Returns its status and its output.
pub fn on_terminal(mut command: Command) -> anyhow::Result<(ExitStatus, String)> {
    let (mut controller, terminal) = pair()?;
    command.stdin(Stdio::null()).stdout(terminal.try_clone()?).stderr(terminal);
    let mut child = command.spawn()?;
    // The command has the terminal open as well.
    drop(command);
    let mut drawn = Vec::new();
    // Linux answers with an error once nobody has the terminal open any more.
    let _ = controller.read_to_end(&mut drawn);
    Ok((child.wait()?, String::from_utf8(drawn)?))
}

/// The two ends of a terminal: for the reader, and for the program.
#[expect(unsafe_code, reason = "unlockpt(3) and ptsname_r(3) have no safe wrapper in std")]
fn pair() -> anyhow::Result<(File, File)> {
    let open = |path: &str| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(path)
            .context("no terminal")
    };
    let controller = open("/dev/ptmx")?;
    let mut name = [0_u8; 64];
    // SAFETY: the descriptor is open through both calls, and the buffer is as long as it is said to be.
    let is_named = unsafe {
        libc::unlockpt(controller.as_raw_fd()) == 0
            && libc::ptsname_r(controller.as_raw_fd(), name.as_mut_ptr().cast(), name.len()) == 0
    };
    anyhow::ensure!(is_named, "no terminal: {}", std::io::Error::last_os_error());
    let terminal = open(CStr::from_bytes_until_nul(&name)?.to_str()?)?;
    Ok((controller, terminal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_draws_on_a_terminal_and_ends() {
        let mut command = Command::new("sh");
        command.args(["-c", "test -t 1 && printf 'a\\tb'; exit 3"]);
        let (status, drawn) = on_terminal(command).unwrap();
        assert_eq!((status.code(), drawn.as_str()), (Some(3), "a\tb"));
    }
}
