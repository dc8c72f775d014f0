//! A Git host on loopback for these tests: an sshd with host keys of three types, deploy keys bound to one repository
//! each, and bare repositories that are written by `git fast-import`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running sshd and its repositories.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    sshd: Child,
}

const KINDS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

impl Host {
    /// Starts an sshd with one host key of each type.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for kind in KINDS {
            make_key(&folder.path().join(kind), &["-t", kind], "");
        }
        fs::write(folder.path().join("authorized_keys"), "").unwrap();
        let sshd = spawn_sshd(folder.path(), port, &KINDS);
        Self { folder, port, sshd }
    }

    /// Starts the sshd again, with host keys of these types only.
    pub(crate) fn set_host_keys(&mut self, kinds: &[&str]) {
        self.stop();
        self.sshd = spawn_sshd(self.folder.path(), self.port, kinds);
    }

    /// Gives the host a new key of a type.
    pub(crate) fn rotate(&mut self, kind: &str) {
        for file in [kind.to_owned(), format!("{kind}.pub")] {
            fs::remove_file(self.folder.path().join(file)).unwrap();
        }
        make_key(&self.folder.path().join(kind), &["-t", kind], "");
        self.set_host_keys(&KINDS);
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }

    /// The line of known_hosts for a host key of this type, for `name`.
    pub(crate) fn host_key(&self, name: &str, kind: &str) -> String {
        let public = fs::read_to_string(self.folder.path().join(format!("{kind}.pub"))).unwrap();
        let mut words = public.split(' ');
        format!("{name} {} {}\n", words.next().unwrap(), words.next().unwrap())
    }

    /// All lines of known_hosts.
    pub(crate) fn known_hosts(&self) -> String {
        KINDS.iter().map(|kind| self.host_key(&format!("[127.0.0.1]:{}", self.port), kind)).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("ssh://{}@127.0.0.1:{}/any/path.git", user(), self.port)
    }

    /// The folder of a new bare repository.
    pub(crate) fn create_repo(&self, name: &str) -> Repo {
        let path = self.folder.path().join(format!("{name}.git"));
        git(Path::new("."), &["init", "-q", "--bare", "-b", "main", path.to_str().unwrap()], "");
        Repo { path }
    }

    /// Lets a key in, to one repository.
    pub(crate) fn authorize(&self, public: &str, repo: &Repo) {
        let file = self.folder.path().join("authorized_keys");
        let mut lines = fs::read_to_string(&file).unwrap();
        writeln!(lines, "restrict,command=\"git-upload-pack '{}'\" {}", repo.path.display(), public.trim()).unwrap();
        fs::write(file, lines).unwrap();
    }

    /// Lets no key in any more.
    pub(crate) fn revoke_all(&self) {
        fs::write(self.folder.path().join("authorized_keys"), "").unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn_sshd(folder: &Path, port: u16, kinds: &[&str]) -> Child {
    let _ = fs::DirBuilder::new().mode(0o755).recursive(true).create("/run/sshd");
    let mut config = format!(
        "ListenAddress 127.0.0.1:{port}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 200\nAuthorizedKeysFile {}/authorized_keys\n",
        folder.display()
    );
    for kind in kinds {
        writeln!(config, "HostKey {}/{kind}", folder.display()).unwrap();
    }
    let file = folder.join("sshd_config");
    fs::write(&file, config).unwrap();
    let log = fs::File::create(folder.join("sshd.log")).unwrap();
    let child = Command::new("/usr/sbin/sshd").args(["-D", "-e", "-f"]).arg(file).stderr(log).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "sshd did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Who runs the tests: an sshd that is not root's lets only its own user in.
fn user() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

/// A bare repository.
pub(crate) struct Repo {
    pub(crate) path: PathBuf,
}

impl Repo {
    /// Commits exactly these files to a branch, on top of what it has.
    pub(crate) fn commit(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let reference = format!("refs/heads/{branch}");
        let parent = self.try_rev(&reference).map(|_| format!("from {reference}^0\n")).unwrap_or_default();
        self.import(&reference, message, &parent, files)
    }

    /// Replaces a branch by a commit without parents.
    pub(crate) fn orphan(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let reference = format!("refs/heads/{branch}");
        self.git(&["update-ref", "-d", &reference]);
        self.import(&reference, message, "", files)
    }

    fn import(&self, reference: &str, message: &str, parent: &str, files: &[(&str, &str)]) -> String {
        let mut stream = format!(
            "commit {reference}\ncommitter T <t@example.org> 1700000000 +0000\ndata {}\n{message}\n{parent}deleteall\n",
            message.len()
        );
        for (path, content) in files {
            let (mode, content) = match content.strip_prefix("-> ") {
                Some(target) => ("120000", target),
                None => ("100644", *content),
            };
            write!(stream, "M {mode} inline {path}\ndata {}\n{content}\n", content.len()).unwrap();
        }
        git(&self.path, &["fast-import", "--quiet", "--force"], &stream);
        self.try_rev(reference).unwrap()
    }

    /// Runs git in the repository.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.path, args, "")
    }

    fn try_rev(&self, reference: &str) -> Option<String> {
        let output =
            Command::new("git").arg("-C").arg(&self.path).args(["rev-parse", "-q", "--verify", reference]).output();
        let output = output.unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

fn git(folder: &Path, args: &[&str], input: &str) -> String {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(args)
        .env("GIT_COMMITTER_NAME", "T")
        .env("GIT_COMMITTER_EMAIL", "t@example.org")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Makes a key with ssh-keygen and returns its private and public text.
pub(crate) fn make_key(file: &Path, kind: &[&str], password: &str) -> (String, String) {
    let status = Command::new("ssh-keygen").args(kind).args(["-q", "-N", password, "-f"]).arg(file).status().unwrap();
    assert!(status.success());
    (fs::read_to_string(file).unwrap(), fs::read_to_string(file.with_extension("pub")).unwrap())
}
