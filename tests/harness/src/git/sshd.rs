//! A real sshd: the user `git` (or, without root, the current user) may run `git-upload-pack` on one
//! repository a key.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use super::keys::{HostKeyType, host_key, public_key};
use super::repo::Repo;
use crate::dirs::RunDir;
use crate::process::{Lifetime, Process, lock, run};
use crate::serve::free_port;

/// A key that the server admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

/// How a Git server is started.
#[derive(Clone, Debug, Default)]
pub struct GitServerOptions {
    /// A directory that stays, instead of a temporary one.
    pub dir: Option<PathBuf>,
    /// The port, instead of a free one.
    pub port: Option<u16>,
    /// Leaves sshd running when this process ends; needs `dir`. `ControlPlane::stop_left_running` with the
    /// same directory ends it.
    pub keep: bool,
}

/// A running sshd with bare repositories. Clones share the server, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct GitServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    process: Process,
    port: u16,
    user: String,
    state: Mutex<State>,
    dir: RunDir,
}

#[derive(Debug, Default)]
struct State {
    next_key: u64,
    keys: BTreeMap<KeyId, Admitted>,
    host_keys: Vec<HostKeyType>,
}

#[derive(Debug)]
struct Admitted {
    repo: PathBuf,
    public: String,
}

impl GitServer {
    /// Starts sshd on a free port with a host key of each type.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&GitServerOptions::default())
    }

    /// Starts sshd with these options.
    pub fn start_with(options: &GitServerOptions) -> anyhow::Result<Self> {
        anyhow::ensure!(!options.keep || options.dir.is_some(), "a Git server to keep needs a directory");
        let dir = match &options.dir {
            Some(dir) => RunDir::fixed(dir)?,
            None => RunDir::temporary("git")?,
        };
        for kind in HostKeyType::ALL {
            let path = host_key_path(dir.path(), kind);
            if !path.exists() {
                host_key(kind, &path)?;
            }
        }
        std::fs::create_dir_all(dir.join("repos"))?;
        std::fs::create_dir_all(dir.join("uses"))?;
        let port = options.port.map_or_else(free_port, Ok)?;
        let host_keys = HostKeyType::ALL.to_vec();
        write_config(dir.path(), port, &host_keys)?;
        write_readable(&dir.join("authorized_keys"), "")?;
        let lifetime = if options.keep { Lifetime::Own } else { Lifetime::Parent };
        let process = start_sshd(&dir, lifetime)?;
        let state = State { host_keys, ..State::default() };
        let server = Self {
            inner: Arc::new(Inner { process, port, user: login_user()?, state: Mutex::new(state), dir }),
        };
        server.wait_greeting()?;
        Ok(server)
    }

    /// Makes an empty repository; `name` is `owner/name`.
    pub fn create_repo(&self, name: &str) -> anyhow::Result<Repo> {
        let path = self.repo_path(name);
        anyhow::ensure!(!path.exists(), "the repository {name} is there already");
        Repo::create(name, path)
    }

    /// Whether a repository of that name exists.
    pub fn has_repo(&self, name: &str) -> bool {
        self.repo_path(name).exists()
    }

    /// Opens an existing repository.
    pub fn repo(&self, name: &str) -> anyhow::Result<Repo> {
        anyhow::ensure!(self.has_repo(name), "there is no repository {name}");
        Ok(Repo::open(name, self.repo_path(name)))
    }

    /// The names of all repositories.
    pub fn repos(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for owner in std::fs::read_dir(self.root())? {
            let owner = owner?.path();
            for repo in std::fs::read_dir(&owner)? {
                let path = repo?.path();
                let relative = path.strip_prefix(self.root())?.with_extension("");
                names.push(relative.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Deletes a repository.
    pub fn delete_repo(&self, name: &str) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(self.repo_path(name))?)
    }

    /// The directory that holds the repositories.
    pub fn root(&self) -> PathBuf {
        self.inner.dir.join("repos")
    }

    /// The user in URLs: `git` when root runs sshd, else the current user.
    pub fn user(&self) -> &str {
        &self.inner.user
    }

    /// sshd's port.
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// sshd's address, for a proxy in front of it.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.inner.port))
    }

    /// `ssh://git@127.0.0.1:PORT/owner/name.git`.
    pub fn url(&self, repo: &Repo) -> String {
        self.url_at(repo, self.address())
    }

    /// The URL of the repository at another address, such as that of a proxy.
    pub fn url_at(&self, repo: &Repo, address: SocketAddr) -> String {
        format!("ssh://{}@{address}/{}.git", self.inner.user, repo.name())
    }

    /// Allows a public key to read one repository, like a deploy key at GitHub.
    pub fn authorize(&self, repo: &Repo, public_key: &str) -> anyhow::Result<KeyId> {
        let public: Vec<&str> = public_key.split_whitespace().take(2).collect();
        anyhow::ensure!(public.len() == 2, "not an OpenSSH public key: {public_key}");
        let mut state = lock(&self.inner.state);
        state.next_key += 1;
        let id = KeyId(state.next_key);
        // The user of the forced command writes this file, and is another one when root runs sshd.
        let uses = self.uses_path(id);
        std::fs::write(&uses, "")?;
        std::fs::set_permissions(&uses, std::fs::Permissions::from_mode(0o666))?;
        state.keys.insert(id, Admitted { repo: repo.path().to_owned(), public: public.join(" ") });
        self.write_keys(&state)?;
        Ok(id)
    }

    /// Revokes a key; the connections that it opened stay.
    pub fn revoke(&self, key: KeyId) -> anyhow::Result<()> {
        let mut state = lock(&self.inner.state);
        state.keys.remove(&key).context("the key was not admitted")?;
        self.write_keys(&state)
    }

    /// The times at which a key was used, the earliest first.
    pub fn uses(&self, key: KeyId) -> Vec<SystemTime> {
        let text = std::fs::read_to_string(self.uses_path(key)).unwrap_or_default();
        let nanoseconds = text.lines().filter_map(|line| line.parse().ok());
        nanoseconds.map(|nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds)).collect()
    }

    /// Serves only these types of host key from now on, without making new ones.
    pub fn set_host_keys(&self, kinds: &[HostKeyType]) -> anyhow::Result<()> {
        write_config(self.inner.dir.path(), self.inner.port, kinds)?;
        lock(&self.inner.state).host_keys = kinds.to_vec();
        self.reload()
    }

    /// Makes a new host key of a type and serves it.
    pub fn rotate_host_key(&self, kind: HostKeyType) -> anyhow::Result<()> {
        host_key(kind, &host_key_path(self.inner.dir.path(), kind))?;
        self.reload()
    }

    /// The public host keys now served, `ssh-ed25519 AAAA...`, as in GitHub's `/meta`.
    pub fn host_keys(&self) -> anyhow::Result<Vec<(HostKeyType, String)>> {
        let kinds = lock(&self.inner.state).host_keys.clone();
        let public = |kind| Ok((kind, public_key(&host_key_path(self.inner.dir.path(), kind))?));
        kinds.into_iter().map(public).collect()
    }

    /// The lines of known_hosts, `[127.0.0.1]:PORT ssh-ed25519 AAAA...`, one for each type.
    pub fn known_hosts(&self) -> anyhow::Result<Vec<(HostKeyType, String)>> {
        self.known_hosts_at(self.address())
    }

    /// The lines of known_hosts for another address, such as that of a proxy.
    pub fn known_hosts_at(&self, address: SocketAddr) -> anyhow::Result<Vec<(HostKeyType, String)>> {
        let host = format!("[{}]:{}", address.ip(), address.port());
        Ok(self.host_keys()?.into_iter().map(|(kind, key)| (kind, format!("{host} {key}"))).collect())
    }

    /// A whole known_hosts file.
    pub fn known_hosts_file(&self) -> anyhow::Result<String> {
        Ok(self.known_hosts()?.into_iter().map(|(_, line)| line + "\n").collect())
    }

    /// The log of sshd.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.inner.dir.join("sshd.log")).unwrap_or_default()
    }

    /// Stops sshd as a debugger would: the kernel accepts connections and nothing answers.
    pub fn pause(&self) {
        self.inner.process.signal(libc::SIGSTOP);
    }

    /// Resumes after `pause`.
    pub fn resume(&self) {
        self.inner.process.signal(libc::SIGCONT);
    }

    fn repo_path(&self, name: &str) -> PathBuf {
        self.root().join(format!("{name}.git"))
    }

    /// The file to which each use of a key adds a line with its time, in nanoseconds since 1970.
    fn uses_path(&self, KeyId(number): KeyId) -> PathBuf {
        self.inner.dir.join("uses").join(number.to_string())
    }

    fn write_keys(&self, state: &State) -> anyhow::Result<()> {
        let line = |(id, key): (&KeyId, &Admitted)| {
            let (uses, repo) = (self.uses_path(*id), &key.repo);
            let upload = format!(
                "date +%s%N >>'{}'; git -c safe.directory=* upload-pack '{}'",
                uses.display(),
                repo.display()
            );
            format!("restrict,command=\"{upload}\" {}\n", key.public)
        };
        write_readable(
            &self.inner.dir.join("authorized_keys"),
            &state.keys.iter().map(line).collect::<String>(),
        )
    }

    /// Makes sshd read its settings again; it restarts itself with the same pid.
    fn reload(&self) -> anyhow::Result<()> {
        let generation = self.log().matches("Server listening").count();
        self.inner.process.signal(libc::SIGHUP);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.log().matches("Server listening").count() == generation {
            self.inner.process.check_alive()?;
            anyhow::ensure!(Instant::now() < deadline, "sshd did not reload");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.wait_greeting()
    }

    fn wait_greeting(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            self.inner.process.check_alive()?;
            match greeting(self.address()) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error.context("sshd did not start")),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

fn greeting(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut banner = [0; 4];
    stream.read_exact(&mut banner)?;
    anyhow::ensure!(&banner == b"SSH-", "something else listens on sshd's port");
    Ok(())
}

fn sshd() -> anyhow::Result<&'static str> {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .context("there is no sshd: run tests/harness/scripts/install-tools.sh, or install openssh-server")
}

/// Whether this version of sshd blocks addresses after failed logins, which the tests make: from 9.8 on it
/// does by default. Earlier versions do not know the option.
fn has_penalties(version: &str) -> bool {
    let number = version.split("OpenSSH_").nth(1).unwrap_or_default();
    let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    matches!((parts.next(), parts.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (9, 8))
}

fn start_sshd(dir: &RunDir, lifetime: Lifetime) -> anyhow::Result<Process> {
    let program = sshd()?;
    if is_root() {
        // sshd's unprivileged part runs in this directory, which the start of the service would have created.
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create("/run/sshd")?;
    }
    let mut command = Command::new(program);
    command.arg("-D").arg("-e").arg("-f").arg(dir.join("sshd_config"));
    Process::start("sshd", command, &dir.join("sshd.log"), lifetime)
}

fn write_config(dir: &Path, port: u16, host_keys: &[HostKeyType]) -> anyhow::Result<()> {
    let mut config = format!(
        "ListenAddress 127.0.0.1:{port}
AuthorizedKeysFile {}
PidFile none
StrictModes no
UsePAM no
UseDNS no
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
PermitUserRC no
AcceptEnv GIT_PROTOCOL
PrintMotd no
PrintLastLog no
MaxStartups 1000
LogLevel VERBOSE
",
        dir.join("authorized_keys").display()
    );
    // Some versions print it on standard output; those that do not know -V print it in their error.
    let asked = Command::new(sshd()?).arg("-V").output()?;
    let version = [asked.stdout, asked.stderr].concat();
    if has_penalties(&String::from_utf8_lossy(&version)) {
        config.push_str("PerSourcePenalties no\n");
    }
    config.extend(host_keys.iter().map(|&kind| format!("HostKey {}\n", host_key_path(dir, kind).display())));
    write_readable(&dir.join("sshd_config"), &config)
}

fn host_key_path(dir: &Path, kind: HostKeyType) -> PathBuf {
    dir.join(format!("host_{}", kind.name()))
}

/// Replaces a file atomically, so that sshd never reads a half-written one.
fn write_readable(path: &Path, content: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, content)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644))?;
    Ok(std::fs::rename(&new, path)?)
}

fn login_user() -> anyhow::Result<String> {
    let id = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut command = Command::new("id");
        command.args(arguments);
        Ok(String::from_utf8(run(command, b"")?)?.trim().to_owned())
    };
    if !is_root() {
        return id(&["-un"]);
    }
    id(&["-un", "git"]).context("root's sshd needs a user git: run tests/harness/scripts/install-tools.sh")
}

#[expect(unsafe_code, reason = "geteuid has no safe wrapper in std")]
fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and always succeeds.
    unsafe { libc::geteuid() == 0 }
}

#[cfg(test)]
mod tests {
    use super::has_penalties;

    #[test]
    fn penalties_came_with_9_8() {
        for (version, has) in [
            ("unknown option -- V\nOpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17\nusage: sshd", false),
            ("OpenSSH_9.7p1", false),
            ("OpenSSH_9.8, LibreSSL 3.9.2", true),
            ("OpenSSH_10.0p2 Debian-7", true),
            ("", false),
        ] {
            assert_eq!(has_penalties(version), has, "{version}");
        }
    }
}
