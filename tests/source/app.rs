//! Repositories that are read as a GitHub App: tokens are asked for, used until shortly before their end, and
//! good for one repository.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{Access, App as Installed, Fault, GitHub, GitServer, Repo, SecureGitHub};
use lockgate_base::model::Secret;
use lockgate_git::{
    App, AppTokens, FailureClass, FetchFinding, GitFetcher, GitRequest, GitUrl, RefRequest, SecretData,
    SourceError,
};

const MINUTE: Duration = Duration::from_mins(1);

/// A private repository of an organisation where an App is installed.
struct Place {
    host: GitServer,
    repo: Repo,
    hub: GitHub,
    secure: SecureGitHub,
    tokens: AppTokens,
    key: String,
    _folder: tempfile::TempDir,
    git: GitFetcher,
}

impl Place {
    fn new() -> Self {
        let host = GitServer::start().unwrap();
        let repo = host.create_repo("acme/platform").unwrap();
        repo.commit("main", "First", &[("a.yaml", Some("kind: A"))]).unwrap();
        let hub = GitHub::start(&host).unwrap();
        hub.set_private("acme/platform");
        let owner = "acme".into();
        hub.add_app(Installed { id: "12".into(), installation: 5, owner, administration: Access::None });
        let folder = tempfile::tempdir().unwrap();
        let git = GitFetcher::new(&folder.path().join("state")).unwrap();
        let (secure, key) = (hub.secured().unwrap(), harness::app_key().unwrap());
        Self { host, repo, hub, secure, tokens: AppTokens::default(), key, _folder: folder, git }
    }

    /// The App as a source with this Secret reads a repository, over TLS.
    fn app(&self, repo: &str, fields: &[(&str, &str)]) -> Result<(GitUrl, App), SourceError> {
        let (api, key) = (self.secure.url(), self.key.as_str());
        let all = [
            ("githubAppID", "12"),
            ("githubAppPrivateKey", key),
            ("githubAppBaseURL", &api),
            ("ca.crt", self.secure.ca_pem()),
        ];
        let data: SecretData = all
            .iter()
            .chain(fields)
            .map(|(key, value)| ((*key).to_owned(), Secret::new(value.as_bytes().to_vec())))
            .collect();
        let url = GitUrl::parse(&format!("{api}/{repo}")).unwrap();
        let app = App::read(&url, Some(("Secret n/app", &data)))?;
        Ok((url, app))
    }

    async fn fetch(&self, repo: &str, fields: &[(&str, &str)]) -> Result<FetchFinding, SourceError> {
        let (url, app) = self.app(repo, fields)?;
        let token = self.tokens.token(&app, "n", MINUTE).await?;
        let request = GitRequest {
            namespace: "n".into(),
            url,
            reference: RefRequest { branch: Some("main".into()), ..RefRequest::default() },
            credentials: app.credentials(&token),
            timeout: MINUTE,
            ignore: None,
            known: None,
        };
        let fetched = self.git.fetch(request).await;
        if fetched.as_ref().is_err_and(|error| error.class() == FailureClass::AuthenticationFailed) {
            self.tokens.forget(&app);
        }
        fetched
    }

    /// How many different tokens Git has been shown.
    fn shown(&self) -> usize {
        let tokens = self.hub.clones().into_iter().filter_map(|call| call.token);
        tokens.collect::<BTreeSet<_>>().len()
    }
}

const OWNER: (&str, &str) = ("githubAppInstallationOwner", "acme");

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_renewed_before_it_ends() {
    let place = Place::new();
    for _ in 0..2 {
        place.fetch("acme/platform", &[OWNER]).await.unwrap();
    }
    assert_eq!(place.shown(), 1, "a token that is good for an hour is used again");
    let asked: Vec<String> = place.hub.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/orgs/acme/installation", "/app/installations/5/access_tokens"]);
    let body = place.hub.requests().pop().unwrap().body;
    assert_eq!(body["permissions"], serde_json::json!({"contents": "read"}), "no more than is needed");
    assert_eq!(body["repositories"], serde_json::json!(["platform"]));

    // What ends within the fetch and its margin is not used again.
    place.hub.set_token_life(MINUTE * 5);
    place.fetch("acme/platform", &[("githubAppInstallationID", "5")]).await.unwrap();
    place.fetch("acme/platform", &[("githubAppInstallationID", "5")]).await.unwrap();
    assert_eq!(place.shown(), 3);

    // GitHub may let a token in no more that has not ended.
    let used = place.hub.clones().into_iter().filter_map(|call| call.token);
    for token in used.collect::<BTreeSet<_>>() {
        place.hub.delete_token(&token).unwrap();
    }
    let refused = place.fetch("acme/platform", &[OWNER]).await.unwrap_err();
    assert!(refused.to_string().contains("HTTP 401"), "{refused}");
    place.fetch("acme/platform", &[OWNER]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_github_refuses_an_app_is_told_with_its_words_and_no_token() {
    let place = Place::new();
    let told = async |repo: &str, fields: &[(&str, &str)]| place.fetch(repo, fields).await.unwrap_err();
    for (fields, says) in [
        ([("githubAppInstallationOwner", "other")], "is not installed for other"),
        ([("githubAppInstallationID", "6")], "has no installation 6"),
    ] {
        let error = told("acme/platform", &fields).await;
        assert_eq!(error.class(), FailureClass::AuthenticationFailed, "{error}");
        let start = "the GitHub App 12 of Secret n/app ";
        assert!(error.to_string().starts_with(start) && error.to_string().contains(says), "{error}");
    }
    for (fault, class, says) in [
        (
            Fault::Unauthorized,
            FailureClass::AuthenticationFailed,
            "(HTTP 401): Bad credentials; check githubAppID",
        ),
        (
            Fault::SecondaryRateLimit(60),
            FailureClass::AuthenticationFailed,
            "is given no token (HTTP 403): You have",
        ),
        (Fault::ServerError(502), FailureClass::GitOperationFailed, "it answered HTTP 502"),
    ] {
        place.hub.fail("POST", "/access_tokens", fault, None);
        let error = told("acme/platform", &[OWNER]).await;
        place.hub.heal();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(says) && !error.to_string().contains("ghs_"), "{error}");
    }
    // No token can be had for the earlier name of a repository alone; one for all of the owner's will do.
    let other = place.host.create_repo("acme/other").unwrap();
    other.commit("main", "First", &[("b.yaml", Some("kind: B"))]).unwrap();
    place.hub.set_private("acme/other");
    assert!(place.fetch("acme/other", &[OWNER]).await.is_ok());
    let gone = told("acme/gone", &[OWNER]).await;
    assert!(gone.to_string().contains("HTTP 404"), "{gone}");
    let mut asked = place.hub.requests();
    asked.retain(|request| request.path.ends_with("access_tokens"));
    let last = asked.pop().unwrap();
    assert_eq!((last.body.get("repositories"), last.status), (None, 201));
    drop(place.repo);
}
