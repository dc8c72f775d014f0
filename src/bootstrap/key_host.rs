//! The place where the key of a Secret is registered. The Secret remembers it in an annotation that is
//! written before the registration, so that the key can be found when no source is left.

use std::fmt;
use std::str::FromStr;

use super::github::PUBLIC_API;
use super::problem::Problem;
use lockgate_base::keys;
use lockgate_base::model::Object;

/// A repository at GitHub, or the address of one elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyHost {
    /// lockgate registers the key.
    GitHub {
        /// The address of the API, without a slash at its end.
        api: String,
        /// `owner/name`.
        repository: String,
    },
    /// The owner registers the key.
    Owner {
        /// The address of the repository.
        url: String,
    },
}

impl KeyHost {
    /// A repository at GitHub.
    pub(crate) fn github(api: &str, repository: &str) -> Self {
        Self::GitHub { api: api.trim_end_matches('/').into(), repository: repository.into() }
    }

    /// The place that a Secret remembers.
    pub(crate) fn of(secret: &Object) -> Option<Self> {
        secret.annotation(keys::KEY_HOST)?.parse().ok()
    }

    /// The name of the repository for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::GitHub { repository, .. } => repository,
            Self::Owner { url } => url,
        }
    }

    /// Whether a Secret that remembers `known` has to be told of this place. A key that was registered at
    /// GitHub stays there, even if a later run uses its address alone.
    pub(crate) fn is_news(&self, known: Option<&Self>) -> bool {
        match (self, known) {
            (Self::Owner { .. }, Some(Self::GitHub { .. })) => false,
            _ => known != Some(self),
        }
    }

    /// Refuses another API than the remembered one. A user who may write to the cluster must not decide where
    /// the token is sent, so the user has to give the address.
    pub(crate) fn check(&self, given: &str) -> Result<(), Problem> {
        match self {
            Self::GitHub { api, repository } if api != given.trim_end_matches('/') => {
                Err(Problem::OtherApi { repository: repository.clone(), api: api.clone() })
            }
            Self::GitHub { .. } | Self::Owner { .. } => Ok(()),
        }
    }
}

impl fmt::Display for KeyHost {
    /// For GitHub, the address of the repository at its API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitHub { api, repository } => write!(f, "{api}/repos/{repository}"),
            Self::Owner { url } => f.write_str(url),
        }
    }
}

/// A text that names no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoKeyHost;

impl FromStr for KeyHost {
    type Err = NoKeyHost;

    fn from_str(text: &str) -> Result<Self, NoKeyHost> {
        if text.starts_with("ssh://") {
            return Ok(Self::Owner { url: text.into() });
        }
        let mut parts = text.rsplitn(3, '/');
        let (name, owner, rest) = (parts.next(), parts.next(), parts.next());
        match (name, owner, rest.and_then(|rest| rest.strip_suffix("/repos"))) {
            (Some(name), Some(owner), Some(api)) if !name.is_empty() && !owner.is_empty() => {
                Ok(Self::github(api, &format!("{owner}/{name}")))
            }
            _ => Err(NoKeyHost),
        }
    }
}

/// The command that deletes a key at GitHub, by its fingerprint `ed25519 SHA256:…`.
pub(crate) fn deletion(api: &str, repository: &str, fingerprint: &str) -> String {
    let print = fingerprint.rsplit(' ').next().unwrap_or_default();
    let mut command = format!("lockgate keys delete {repository} --key {print}");
    if api != PUBLIC_API {
        command.extend([" --api-url ", api]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        for (host, text) in [
            (KeyHost::github(PUBLIC_API, "acme/platform"), "https://api.github.com/repos/acme/platform"),
            (
                KeyHost::github("https://ghe.example.com/api/v3/", "repos/repos"),
                "https://ghe.example.com/api/v3/repos/repos/repos",
            ),
            (KeyHost::Owner { url: "ssh://git@h/a/b".into() }, "ssh://git@h/a/b"),
        ] {
            assert_eq!(host.to_string(), text);
            assert_eq!(text.parse(), Ok(host));
        }
        for text in ["", "acme/platform", "https://api.github.com/repos//x", "https://x/acme/platform"] {
            assert_eq!(text.parse::<KeyHost>(), Err(NoKeyHost), "{text}");
        }
    }

    #[test]
    fn a_token_goes_only_to_the_api_that_is_given() {
        let host = KeyHost::github("http://127.0.0.1:1", "o/r");
        assert_eq!(host.check("http://127.0.0.1:1/"), Ok(()));
        let problem = host.check(PUBLIC_API).unwrap_err();
        assert_eq!(problem.to_string(), "o/r was set up with --api-url http://127.0.0.1:1");
        assert_eq!(KeyHost::Owner { url: "ssh://h/r".into() }.check(PUBLIC_API), Ok(()));
    }

    #[test]
    fn a_place_at_github_is_not_forgotten_for_an_address() {
        let github = KeyHost::github(PUBLIC_API, "o/r");
        let owner = KeyHost::Owner { url: "ssh://git@github.com/o/r".into() };
        assert!(owner.is_news(None) && !owner.is_news(Some(&owner)) && !owner.is_news(Some(&github)));
        assert!(
            github.is_news(Some(&owner)) && github.is_news(Some(&KeyHost::github(PUBLIC_API, "o/other")))
        );
    }

    #[test]
    fn a_deletion_names_the_api_unless_it_is_the_public_one() {
        assert_eq!(
            deletion(PUBLIC_API, "o/r", "ed25519 SHA256:x"),
            "lockgate keys delete o/r --key SHA256:x"
        );
        let other = deletion("http://127.0.0.1:1", "o/r", "SHA256:x");
        assert_eq!(other, "lockgate keys delete o/r --key SHA256:x --api-url http://127.0.0.1:1");
    }
}
