//! The start of each of these tests: a host, a repository that one key may read, and an agent's folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Change, GitServer, HostKeyType, KeyAlgorithm, KeyId, Repo, SshKey};
use lockgate_base::model::{Revision, Secret};
use lockgate_git::SourceError;
use lockgate_git::{
    Credentials, FetchFinding, GitFetcher, GitRequest, GitUrl, RefRequest, SecretData, Update,
};

/// The stores below a state folder.
pub(crate) fn stores(state: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(state.join("lockgate-objects")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

pub(crate) struct Site {
    pub(crate) host: GitServer,
    pub(crate) repo: Repo,
    pub(crate) identity: String,
    pub(crate) deploy_key: KeyId,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) git: GitFetcher,
}

impl Site {
    pub(crate) fn new() -> Self {
        let host = GitServer::start().unwrap();
        let repo = host.create_repo("owner/platform").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = SshKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let deploy_key = host.authorize(&repo, &key.public).unwrap();
        let git = GitFetcher::new(&folder.path().join("state")).unwrap();
        Self { host, repo, identity: key.openssh, deploy_key, folder, git }
    }

    /// Commits exactly these files to a branch; a content of `-> target` makes a symbolic link.
    pub(crate) fn commit(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let mut changes = vec![Change::DeleteAll];
        changes.extend(files.iter().map(|(path, content)| match content.strip_prefix("-> ") {
            Some(target) => Change::Symlink((*path).into(), target.into()),
            None => Change::file(*path, *content),
        }));
        self.repo.commit_changes(branch, message, &changes).unwrap()
    }

    /// A line of known_hosts with the host's key of this type, for `name`.
    pub(crate) fn host_key(&self, name: &str, kind: HostKeyType) -> String {
        let keys = self.host.host_keys().unwrap();
        let (_, key) = keys.into_iter().find(|(found, _)| *found == kind).unwrap();
        format!("{name} {key}\n")
    }

    pub(crate) fn known_hosts(&self) -> String {
        self.host.known_hosts_file().unwrap()
    }

    pub(crate) fn credentials(
        &self,
        identity: &str,
        password: Option<&str>,
        known_hosts: &str,
    ) -> Result<Credentials, SourceError> {
        let fields =
            [("identity", Some(identity)), ("known_hosts", Some(known_hosts)), ("password", password)];
        credentials(&self.host.url(&self.repo), &fields)
    }

    /// A request with these known hosts.
    pub(crate) fn trusting(&self, known_hosts: &str) -> GitRequest {
        let credentials = self.credentials(&self.identity, None, known_hosts).unwrap();
        GitRequest { credentials, ..self.request(branch("main")) }
    }

    /// A request for another address, which may lead to the same host.
    pub(crate) fn at(&self, address: SocketAddr) -> GitRequest {
        // Names without a port in known_hosts stand for every port.
        let known_hosts: String =
            HostKeyType::ALL.iter().map(|kind| self.host_key("127.0.0.1", *kind)).collect();
        GitRequest {
            url: GitUrl::parse(&self.host.url_at(&self.repo, address)).unwrap(),
            ..self.trusting(&known_hosts)
        }
    }

    pub(crate) fn request(&self, reference: RefRequest) -> GitRequest {
        GitRequest {
            namespace: "n".into(),
            url: GitUrl::parse(&self.host.url(&self.repo)).unwrap(),
            reference,
            credentials: self.credentials(&self.identity, None, &self.known_hosts()).unwrap(),
            timeout: Duration::from_mins(1),
            ignore: None,
            known: None,
        }
    }

    /// Fetches a revision that must be new.
    pub(crate) async fn update(&self, request: GitRequest) -> Update {
        match self.git.fetch(request).await.unwrap() {
            FetchFinding::Updated(update) => update,
            FetchFinding::Unchanged(revision) => unreachable!("unchanged at {revision}"),
        }
    }

    /// Makes a fetch that must fail.
    pub(crate) async fn error(&self, request: GitRequest) -> SourceError {
        self.git.fetch(request).await.unwrap_err()
    }
}

/// The credentials for an address from a Secret with these fields.
pub(crate) fn credentials(url: &str, fields: &[(&str, Option<&str>)]) -> Result<Credentials, SourceError> {
    let bytes = |value: &str| Secret::new(value.as_bytes().to_vec());
    let fields = fields.iter().filter_map(|(key, value)| Some(((*key).to_owned(), bytes((*value)?))));
    let data: SecretData = fields.collect();
    Credentials::read(&GitUrl::parse(url).unwrap(), Some(("Secret flux-system/deploy", &data)))
}

pub(crate) fn branch(name: &str) -> RefRequest {
    RefRequest { branch: Some(name.into()), ..RefRequest::default() }
}

/// The request of an agent that already has this revision.
pub(crate) fn knowing(request: &GitRequest, revision: &Revision) -> GitRequest {
    GitRequest { known: Some(revision.clone()), ..request.clone() }
}
