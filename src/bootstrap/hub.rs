//! GitHub or an Enterprise server, and the account that asks there, for commands that learn from the cluster
//! which repository they are about.

use super::github::{GitHub, GithubCredentials, PUBLIC_API};
use super::hosts::SshUrl;
use super::problem::Problem;

/// The address of GitHub, and the credentials for it.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    /// The address of its API.
    pub api: String,
    /// The credentials; `None` without a token.
    pub credentials: Option<GithubCredentials>,
}

impl Hub {
    /// The repository of an address, as `owner/name`, if it is on this server. For github.com the address
    /// must have its SSH host. An Enterprise server accepts any host, since its SSH may have another name.
    pub(crate) fn repository(&self, url: &SshUrl) -> Option<String> {
        let is_served = self.api != PUBLIC_API || matches!(url.git().host(), "github.com" | "ssh.github.com");
        let path = url.git().path().trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        (is_served && path.matches('/').count() == 1).then(|| path.to_owned())
    }

    /// A client for a repository. This sends no request yet.
    pub(crate) fn client(&self, repository: &str) -> Result<GitHub, Problem> {
        let credentials = self.credentials.as_ref().ok_or(Problem::NoToken)?;
        let client = GitHub::new(&self.api, credentials, repository);
        client.map_err(|error| Problem::github(error, repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_repository_of_its_own_github() {
        let repository = |api: &str, url: &str| {
            let hub = Hub { api: api.into(), credentials: None };
            hub.repository(&url.parse().unwrap())
        };
        let enterprise = "https://ghe.example.com/api/v3";
        for (api, url, expected) in [
            (PUBLIC_API, "ssh://git@github.com/o/r", Some("o/r")),
            (PUBLIC_API, "ssh://git@ssh.github.com:443/o/r.git", Some("o/r")),
            (PUBLIC_API, "ssh://git@gitlab.com/o/r", None),
            (PUBLIC_API, "ssh://git@github.com/o/r/x", None),
            (enterprise, "ssh://git@git.example.com:2222/o/r", Some("o/r")),
            (enterprise, "ssh://git@git.example.com/r", None),
        ] {
            assert_eq!(repository(api, url).as_deref(), expected, "{api} {url}");
        }
    }
}
