//! How the agent will read the repository: with a deploy key, or with credentials over https.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::CommandError;
use super::token::given_token;
use crate::bootstrap::github::GithubCredentials;
use crate::bootstrap::login::{LoginPlan, SignIn};
use lockgate_base::model::Secret;

/// The variable with the password for servers other than GitHub.
pub(super) const PASSWORD_VARIABLE: &str = "GIT_PASSWORD";
/// The prefix of installation tokens, which expire within the hour.
const INSTALLATION: &str = "ghs_";

/// How the agent authenticates at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Auth {
    /// With a deploy key that can read only this repository
    #[default]
    DeployKey,
    /// As the GitHub App of --app-id, over https, for organisations that forbid deploy keys
    App,
    /// With the token of bootstrap, over https; the token is stored in the cluster
    Token,
}

/// The agent's credentials for servers other than GitHub over https.
#[derive(Args)]
pub(super) struct PasswordArguments {
    /// The user for an https:// address
    #[arg(long, value_name = "NAME", default_value = "git")]
    username: String,
    /// Read the user's password or token from the first line of standard input; by default it is the value of
    /// GIT_PASSWORD
    #[arg(long, conflicts_with = "token_file")]
    token_stdin: bool,
    /// Read the user's password or token from the first line of a file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl PasswordArguments {
    /// The agent's credentials, if any are given.
    pub(super) fn login(&self) -> Result<Option<SignIn>, CommandError> {
        let given = given_token(self.token_file.as_deref(), self.token_stdin, PASSWORD_VARIABLE)?;
        Ok(given.map(|(password, _)| SignIn::User { name: self.username.clone(), password }))
    }

    /// Whether a flag names the origin of the password.
    pub(super) const fn is_given(&self) -> bool {
        self.token_stdin || self.token_file.is_some()
    }
}

/// The plan for the Secret with the agent's https credentials. `ca_file` has the certificates of further
/// authorities that may vouch for the host, in addition to Mozilla's.
pub(super) fn login_plan(
    ca_file: Option<&Path>,
    secret: &str,
    login: Option<SignIn>,
    (is_app, replace): (bool, bool),
) -> Result<LoginPlan, CommandError> {
    let read = |file: &Path| {
        let read = std::fs::read(file);
        read.map_err(|error| CommandError::usage(format!("--ca-file {}: {error}", file.display())))
    };
    let authorities = ca_file.map(read).transpose()?;
    Ok(LoginPlan { secret: secret.into(), is_app, login, authorities, api: None, replace })
}

/// The agent's credentials at GitHub, chosen from those of bootstrap itself.
pub(super) fn login(auth: Auth, credentials: &GithubCredentials) -> Result<Option<SignIn>, CommandError> {
    match (auth, credentials) {
        (Auth::App, GithubCredentials::App { id, installation, private_key }) => {
            Ok(Some(SignIn::App { id: *id, installation: *installation, key: private_key.clone() }))
        }
        (Auth::Token, GithubCredentials::Token(token)) => {
            if token.expose().starts_with(INSTALLATION) {
                let message =
                    "--auth token stores the token, and one of an App's installation ends within the hour";
                return Err(CommandError::usage(message).hint("use --auth app"));
            }
            Ok(Some(SignIn::User { name: "git".into(), password: Secret::new(token.expose().clone()) }))
        }
        (Auth::Token, GithubCredentials::App { .. }) => {
            let message = "--auth token stores a token, and a GitHub App signs in with its key";
            Err(CommandError::usage(message).hint("use --auth app"))
        }
        (Auth::DeployKey, _) | (Auth::App, GithubCredentials::Token(_)) => Ok(None),
    }
}
