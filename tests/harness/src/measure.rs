//! What a program costs from start to end: time, processor time and the most memory it held.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From start to end.
    pub wall: Duration,
    /// Of all threads, in user code and in the kernel.
    pub cpu: Duration,
    /// The most memory that was resident at a time.
    pub peak_kib: u64,
}

/// Runs a program to its end, and gives its standard output and what it cost. A failure is told with the standard error.
pub fn measured(command: &mut Command) -> anyhow::Result<(Vec<u8>, Cost)> {
    let what = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("failed to start {what}"))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.as_mut().map(|stderr| stderr.read_to_end(&mut text)).transpose().map(|_| text)
    });
    let mut output = Vec::new();
    stdout.as_mut().map(|stdout| stdout.read_to_end(&mut output)).transpose()?;
    let (status, usage) = wait(&child)?;
    let wall = start.elapsed();
    let errors = errors.join().ok().context("reading the standard error failed")??;
    anyhow::ensure!(
        status.success(),
        "{what} ended with {status}: {}",
        String::from_utf8_lossy(&errors).trim()
    );
    let time = |value: libc::timeval| -> anyhow::Result<Duration> {
        Ok(Duration::from_secs(value.tv_sec.try_into()?) + Duration::from_micros(value.tv_usec.try_into()?))
    };
    let cpu = time(usage.ru_utime)? + time(usage.ru_stime)?;
    Ok((output, Cost { wall, cpu, peak_kib: usage.ru_maxrss.try_into()? }))
}

#[expect(unsafe_code, reason = "wait4(2) alone tells what one child used, and has no safe wrapper in std")]
fn wait(child: &Child) -> anyhow::Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: both pointers are to values that live through the call; integers may hold any bits, so zeros are a usage.
    let (waited, usage) =
        unsafe { (libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()), usage.assume_init()) };
    anyhow::ensure!(waited == pid, "failed to wait for a child: {}", std::io::Error::last_os_error());
    Ok((ExitStatus::from_raw(status), usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_with_its_output_and_cost_and_a_failure_with_its_errors() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            measured(&mut command)
        };
        let (output, cost) = shell("head -c 3000000 /dev/zero | tr '\\0' x").unwrap();
        assert_eq!(output.len(), 3_000_000);
        assert!(cost.peak_kib > 100, "{cost:?}");
        let error = shell("echo why >&2; exit 3").unwrap_err().to_string();
        assert!(error.ends_with("exit status: 3: why"), "{error}");
    }
}
