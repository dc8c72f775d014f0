//! What each of these tests starts from: a host, a repository that one key may read, and an agent's folder.

use std::time::Duration;

use lockgate::model::{Revision, Secret};
use lockgate::source::SourceError;
use lockgate::source::git::{Credentials, Fetched, Git, GitUrl, Reference, Request, SecretData, Update};

use super::host::{Host, Repo, make_key};

pub(crate) struct Site {
    pub(crate) host: Host,
    pub(crate) repo: Repo,
    pub(crate) identity: String,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) git: Git,
}

impl Site {
    pub(crate) fn new() -> Self {
        let host = Host::start();
        let repo = host.create_repo("platform");
        let folder = tempfile::tempdir().unwrap();
        let (identity, public) = make_key(&folder.path().join("deploy"), &["-t", "ed25519"], "");
        host.authorize(&public, &repo);
        let git = Git::new(&folder.path().join("state")).unwrap();
        Self { host, repo, identity, folder, git }
    }

    pub(crate) fn credentials(
        &self,
        identity: &str,
        password: Option<&str>,
        known_hosts: &str,
    ) -> Result<Credentials, SourceError> {
        let url = GitUrl::parse(&self.host.url()).unwrap();
        let mut data = SecretData::new();
        data.insert("identity".into(), Secret::new(identity.as_bytes().to_vec()));
        data.insert("known_hosts".into(), Secret::new(known_hosts.as_bytes().to_vec()));
        if let Some(password) = password {
            data.insert("password".into(), Secret::new(password.as_bytes().to_vec()));
        }
        Credentials::read(&url, Some(("Secret flux-system/deploy", &data)))
    }

    /// A request with these known hosts.
    pub(crate) fn trusting(&self, known_hosts: &str) -> Request {
        let credentials = self.credentials(&self.identity, None, known_hosts).unwrap();
        Request { credentials, ..self.request(branch("main")) }
    }

    pub(crate) fn request(&self, reference: Reference) -> Request {
        Request {
            url: GitUrl::parse(&self.host.url()).unwrap(),
            reference,
            credentials: self.credentials(&self.identity, None, &self.host.known_hosts()).unwrap(),
            timeout: Duration::from_secs(60),
            ignore: None,
            known: None,
        }
    }

    /// Fetches what must be new.
    pub(crate) async fn update(&self, request: Request) -> Update {
        match self.git.fetch(request).await.unwrap() {
            Fetched::Updated(update) => update,
            Fetched::Unchanged(revision) => unreachable!("unchanged at {revision}"),
        }
    }

    /// Fetches what must fail.
    pub(crate) async fn error(&self, request: Request) -> SourceError {
        self.git.fetch(request).await.unwrap_err()
    }
}

pub(crate) fn branch(name: &str) -> Reference {
    Reference { branch: Some(name.into()), ..Reference::default() }
}

/// The request of an agent that has this revision.
pub(crate) fn knowing(request: &Request, revision: &Revision) -> Request {
    Request { known: Some(revision.clone()), ..request.clone() }
}
