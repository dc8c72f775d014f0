//! The user's identity at GitHub: the origin of the token, and the repository.

use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroize as _;

use super::output::CommandError;
use crate::bootstrap::github::{GitHub, GithubCredentials, PUBLIC_API};
use crate::bootstrap::hub::Hub;
use crate::bootstrap::problem::{FailedStep, Problem};
use lockgate_base::model::Secret;

/// The variable with the token.
pub(super) const TOKEN_VARIABLE: &str = "GITHUB_TOKEN";

#[derive(Args)]
#[group(multiple = false)]
struct TokenSource {
    /// Read the token from the first line of standard input
    #[arg(long)]
    token_stdin: bool,
    /// Read the token from the first line of a file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authenticate as a GitHub App with this id
    #[arg(long, value_name = "ID", requires = "app_private_key_file")]
    app_id: Option<u64>,
}

#[derive(Args)]
pub(super) struct TokenArguments {
    #[command(flatten)]
    source: TokenSource,
    /// The App's installation; by default that of the repository's owner
    #[arg(long, value_name = "ID", requires = "app_id")]
    app_installation_id: Option<u64>,
    /// The App's private key in PEM form
    #[arg(long, value_name = "FILE", requires = "app_id")]
    app_private_key_file: Option<PathBuf>,
}

impl TokenArguments {
    /// Whether any flag names credentials.
    fn is_given(&self) -> bool {
        let TokenSource { token_stdin, token_file, app_id } = &self.source;
        *token_stdin || token_file.is_some() || app_id.is_some() || in_environment(TOKEN_VARIABLE).is_some()
    }
}

/// A GitHub client for one repository.
pub(super) struct SignedIn {
    /// The client.
    pub(super) github: GitHub,
    /// The credentials of the client.
    pub(super) credentials: GithubCredentials,
    /// The origin of the credentials, in words.
    pub(super) origin: String,
}

/// GitHub or a GitHub Enterprise server, and the credentials for it.
#[derive(Args)]
pub(super) struct HubArguments {
    #[command(flatten)]
    token: TokenArguments,
    /// The address of GitHub's API; https://HOST/api/v3 for GitHub Enterprise
    #[arg(long, value_name = "URL", default_value = PUBLIC_API)]
    pub(super) api_url: String,
}

impl HubArguments {
    /// A client for a repository, without a request yet.
    pub(super) fn sign_in(&self, repository: &str) -> Result<SignedIn, CommandError> {
        let (credentials, origin) = credentials(&self.token)?;
        Ok(SignedIn { github: self.client(&credentials, repository)?, credentials, origin })
    }

    /// The address of GitHub, and the credentials if any are given.
    pub(super) fn as_far_as_known(&self) -> Result<Hub, CommandError> {
        let known = self.token.is_given().then(|| credentials(&self.token)).transpose()?;
        Ok(Hub { api: self.api_url.clone(), credentials: known.map(|(credentials, _)| credentials) })
    }

    fn client(&self, credentials: &GithubCredentials, repository: &str) -> Result<GitHub, CommandError> {
        GitHub::new(&self.api_url, credentials, repository).map_err(|error| {
            let problem = Problem::github(error, repository);
            CommandError::from(FailedStep { step: "preflight", problems: vec![problem] })
        })
    }
}

/// Checks `owner/name`.
pub(super) fn repository(text: &str) -> Result<&str, CommandError> {
    let is_word =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let is_owner = |name: &str| is_word(name) && !name.starts_with(['.', '-']);
    // One of GitHub's own repositories is called `.github`.
    let is_name = |name: &str| is_word(name) && !matches!(name, "." | "..");
    let address = text.strip_suffix(".git").unwrap_or(text);
    match address.split_once('/') {
        Some((owner, name)) if is_owner(owner) && is_name(name) => Ok(address),
        _ => Err(CommandError::usage(format!("'{text}' is not of the form OWNER/NAME"))),
    }
}

/// The credentials, and their origin in words.
pub(super) fn credentials(arguments: &TokenArguments) -> Result<(GithubCredentials, String), CommandError> {
    let source = &arguments.source;
    if let (Some(id), Some(file)) = (source.app_id, &arguments.app_private_key_file) {
        let installation = arguments.app_installation_id;
        let private_key = std::fs::read(file).map(Secret::new).map_err(|error| unreadable(file, &error))?;
        return Ok((GithubCredentials::App { id, installation, private_key }, format!("GitHub App {id}")));
    }
    match given_token(source.token_file.as_deref(), source.token_stdin, TOKEN_VARIABLE)? {
        Some((token, origin)) => Ok((GithubCredentials::Token(token), origin)),
        None => Err(FailedStep { step: "token", problems: vec![Problem::NoToken] }.into()),
    }
}

/// A token from a file, standard input or an environment variable, and which of them it is.
pub(super) fn given_token(
    file: Option<&Path>,
    is_stdin: bool,
    variable: &str,
) -> Result<Option<(Secret<String>, String)>, CommandError> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        return Ok(Some((token(text, "the file is empty")?, file.display().to_string())));
    }
    if is_stdin {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        read.map_err(|error| CommandError::usage(format!("standard input: {error}")))?;
        return Ok(Some((token(line, "standard input is empty")?, "standard input".into())));
    }
    let Some(text) = in_environment(variable) else { return Ok(None) };
    Ok(Some((token(text, &format!("{variable} is empty"))?, format!("${variable}"))))
}

/// The value of a variable; an empty one counts as absent.
fn in_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.trim().is_empty())
}

/// The first line of a text. The text is wiped.
fn token(mut text: String, empty: &str) -> Result<Secret<String>, CommandError> {
    let secret = Secret::new(text.lines().next().unwrap_or_default().trim().to_owned());
    text.zeroize();
    if secret.expose().is_empty() {
        return Err(CommandError::usage(empty));
    }
    if !secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CommandError::usage("the token contains invalid characters"));
    }
    Ok(secret)
}

fn unreadable(file: &Path, error: &io::Error) -> CommandError {
    CommandError::usage(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_owner_and_name() {
        for (text, name) in
            [("o/r.git", "o/r"), ("o/.github", "o/.github"), ("o/-r", "o/-r"), ("o/...", "o/...")]
        {
            assert_eq!(repository(text).unwrap(), name);
        }
        for text in [
            "o",
            "o/",
            "/r",
            "o/r/x",
            "https://github.com/o/r",
            "../r",
            "-o/r",
            "o/.",
            "o/..",
            "o/...git",
            "o/.git",
        ] {
            assert_eq!(repository(text).unwrap_err().code(), 2, "{text}");
        }
    }

    #[test]
    fn a_token_is_one_line_and_never_printed() {
        assert_eq!(token("ghp_x\nmore\n".into(), "e").unwrap().expose(), "ghp_x");
        for text in ["", "\n", "with space", "caf\u{e9}"] {
            let error = token(text.into(), "it is empty").unwrap_err();
            assert_eq!(error.code(), 2);
            assert!(text.is_empty() || text == "\n" || !format!("{error:?}").contains(text), "{error:?}");
        }
    }
}
