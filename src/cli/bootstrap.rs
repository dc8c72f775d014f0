//! `lockgate bootstrap`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::login::{Auth, PASSWORD_VARIABLE, PasswordArguments, login, login_plan};
use super::memory::{self, Recalled};
use super::names::object_name;
use super::output::{self, CommandError};
use super::progress::{Printer, ProgressFormat};
use super::shared::{ClusterArguments, InstallationArguments, KeyArguments, duration, key_pair};
use super::token::{HubArguments, SignedIn, TOKEN_VARIABLE, repository};
use crate::bootstrap::admission::AdmissionTarget;
use crate::bootstrap::deploy_key::KeyPlan;
use crate::bootstrap::github::{GithubCredentials, PUBLIC_API, web_address};
use crate::bootstrap::hosts::{AddressError, SshUrl};
use crate::bootstrap::login::{LoginPlan, SignIn};
use crate::bootstrap::manifests::{self, Sync};
use crate::bootstrap::memory::{API_URL, Flags, REMOTE, RememberedFlags};
use crate::bootstrap::problem::{FailedStep, Problem};
use crate::bootstrap::progress::{ProgressEvent, ProgressLog, at};
use crate::bootstrap::steps::{self, Plan, Way};
use crate::cluster::objects::Objects;
use lockgate_base::keys;
use lockgate_base::model;
use lockgate_git::ssh::DEFAULT_USER;
use lockgate_git::{GitUrl, Scheme};

/// Install the agent and let it apply a repository
#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    remote: Remote,
}

const GITHUB_EXAMPLES: &str = "\
Examples:
  lockgate bootstrap github acme/platform --path clusters/eu --context eu
      with the token in GITHUB_TOKEN
  pass github-token | lockgate bootstrap github acme/platform --path clusters/eu --token-stdin
  lockgate bootstrap github acme/platform --path clusters/eu --cluster-name eu-west9 --prune-keys
      for a cluster that is created again; deletes the deploy keys of the earlier ones
  lockgate bootstrap github acme/platform --app-id 123 --app-private-key-file admin.pem
      as an App that may register deploy keys
  lockgate bootstrap github acme/platform --auth app --app-id 124 --app-private-key-file reader.pem
      if deploy keys are forbidden: the agent authenticates as the App, which needs only \"Contents: read-only\"
  lockgate bootstrap github acme/platform --path clusters/eu --key-file platform.key
      with an existing key pair
  lockgate bootstrap github acme/platform --api-url https://github.example.com/api/v3
      at GitHub Enterprise
  lockgate bootstrap github acme/platform --path clusters/eu --export
      prints the YAML

Running it again changes nothing, or completes an interrupted run. Exit codes: 0 done or nothing to do, 1 failed,
2 wrong usage, 3 the cluster or GitHub could not be reached, 4 refused for safety.";

const GIT_EXAMPLES: &str = "\
Examples:
  lockgate bootstrap git ssh://git@git.example.com/acme/platform --path clusters/eu
  pass git-token | lockgate bootstrap git https://git.example.com/acme/platform --username reader --token-stdin
  lockgate bootstrap git https://git.example.com/acme/public --ca-file authority.pem

Exit codes: 0 done or nothing to do, 1 failed, 2 wrong usage, 3 the cluster or the server could not be reached, 4 refused
for safety.";

#[derive(Subcommand)]
enum Remote {
    Github(GithubArguments),
    Git(GitArguments),
}

/// A repository at GitHub or GitHub Enterprise
///
/// Creates a key pair, registers the public key as a read-only deploy key, and installs the agent. Nothing is
/// committed to the repository. The token is read from GITHUB_TOKEN unless a flag says otherwise. It needs
/// "Administration: read and write" and "Contents: read-only" on the repository, and is never stored.
#[derive(Args)]
#[command(after_help = GITHUB_EXAMPLES)]
struct GithubArguments {
    /// The repository, as OWNER/NAME
    #[arg(value_name = "OWNER/NAME")]
    repository: String,
    #[command(flatten)]
    hub: HubArguments,
    /// How the agent authenticates
    #[arg(long, value_enum, default_value_t)]
    auth: Auth,
    /// GitHub's SSH server, as [USER@]HOST[:PORT]; the host of the API by default
    #[arg(long, value_name = "ADDRESS")]
    ssh_host: Option<String>,
    /// Delete the deploy keys of earlier clusters with the same name, after the agent has fetched with its
    /// own
    #[arg(long)]
    prune_keys: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// A repository at any SSH or HTTPS server
///
/// For an SSH address it prints a public key, and waits until the server accepts it. For an https address the
/// agent authenticates with a user's name and password or token, or reads a public repository without them.
#[derive(Args)]
#[command(after_help = GIT_EXAMPLES)]
struct GitArguments {
    /// The repository's address, as ssh://git@HOST[:PORT]/PATH or https://HOST[:PORT]/PATH
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    password: PasswordArguments,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Args)]
struct CommonArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The branch to follow
    #[arg(long, value_name = "NAME", default_value = "main")]
    branch: String,
    /// The folder of the root Kustomization
    #[arg(long, value_name = "PATH", default_value = "./")]
    path: String,
    /// How often to look for a new commit
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    interval: model::Duration,
    #[command(flatten)]
    installation: InstallationArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// Use the private key of this file, and do not create a key pair
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The name of the source and the Kustomization; by default the name that the folder's Kustomizations use
    /// (`github`), or flux-system
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    name: Option<String>,
    /// The Secret with the agent's credentials; an existing one is used as it is
    #[arg(long, value_name = "NAME", default_value = keys::DEFAULT_NAMESPACE, value_parser = object_name)]
    secret_name: String,
    /// Replace an existing Secret, with a new key or with the given credentials
    #[arg(long)]
    replace_secret: bool,
    /// Change an existing source and root Kustomization to this repository, branch and folder
    #[arg(long)]
    replace_sync: bool,
    /// Accept this host key, as SHA256:…, after you have compared it with the keys that the host's owner
    /// publishes; GitHub's keys are known
    #[arg(long, value_name = "FINGERPRINT")]
    accept_host_key: Option<String>,
    /// The ServiceAccount that the agent impersonates for the root Kustomization
    #[arg(long, value_name = "NAME", value_parser = object_name, required_if_eq("lockdown", "true"))]
    service_account: Option<String>,
    /// How long each wait may take
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    /// Print the objects as YAML, without the Secret, and change nothing; connects to neither cluster nor
    /// host
    #[arg(long)]
    export: bool,
    /// How to print the progress
    #[arg(short, long, value_enum, default_value_t)]
    output: ProgressFormat,
}

/// The flags of a source that are remembered, in addition to its repository.
const SOURCE: [&str; 13] = [
    API_URL,
    "auth",
    "branch",
    "cluster-name",
    "interval",
    "key-ttl",
    "name",
    "path",
    "secret-name",
    "service-account",
    "ssh-host",
    "ssh-key-algorithm",
    "username",
];

/// Environment variables that contain secrets.
const WITHHELD: [&str; 2] = [TOKEN_VARIABLE, PASSWORD_VARIABLE];

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CommandError> {
    let (common, remote) = match &arguments.remote {
        Remote::Github(arguments) => (&arguments.common, repository(&arguments.repository)?.to_owned()),
        Remote::Git(arguments) => (&arguments.common, address(&arguments.url)?.url()),
    };
    if common.export {
        let way = match &arguments.remote {
            Remote::Github(arguments) => arguments.way(&remote, None)?,
            Remote::Git(arguments) => arguments.way(None)?,
        };
        return export(common, way);
    }
    let hub = match &arguments.remote {
        Remote::Github(arguments) => Some((arguments.hub.api_url.clone(), arguments.hub.sign_in(&remote)?)),
        Remote::Git(_) => None,
    };
    let target = common.cluster.connect_withholding(&WITHHELD).await?;
    let objects = Objects::new(&target.client);
    let memory = RememberedFlags::of(&objects, None, Some(&remote), common.name.as_deref()).await;
    let memory = memory.map_err(|problem| CommandError::from(at("preflight")(problem)))?;
    let mut source = memory.source.clone();
    let remembered_api = source.remove(API_URL);
    let remembered_remote = source.remove(REMOTE);
    let lists: [(&[&str], &Flags); 2] = [(&memory::AGENT, &memory.agent), (&SOURCE, &source)];
    let silent = [("namespace", memory.namespace.as_deref())];
    let Recalled { arguments, kept, told } = memory::recall::<Arguments>(&lists, &silent)?;
    let mut flags: [Flags; 2] = kept.try_into().unwrap_or_default();
    flags[1].insert(REMOTE.into(), remembered_remote.unwrap_or_else(|| remote.clone()));
    if let (None, Some(api)) = (&hub, &remembered_api) {
        flags[1].insert(API_URL.into(), api.clone());
    }
    match (arguments.remote, hub) {
        (Remote::Github(arguments), Some((api, signed_in))) => {
            // A user who may write to the cluster must not decide where the token is sent.
            if let Some(before) = remembered_api.filter(|before| *before != api && api == PUBLIC_API) {
                let problem = Problem::OtherApi { repository: remote, api: before };
                let fix = problem.fix().unwrap_or_default();
                return Err(CommandError::usage(problem.to_string()).hint(fix));
            }
            at_github(arguments, (&target, &remote), signed_in, (flags, told)).await
        }
        (Remote::Git(arguments), _) => at_server(arguments, &target, (flags, told)).await,
        (Remote::Github(_), None) => Err(CommandError::failed("there is no client for GitHub")),
    }
}

/// The address of a repository.
enum Address {
    Ssh(SshUrl),
    Https(GitUrl),
}

impl Address {
    /// The address as the API takes it.
    fn url(&self) -> String {
        match self {
            Self::Ssh(url) => url.url(),
            Self::Https(url) => url.to_string(),
        }
    }
}

fn address(text: &str) -> Result<Address, CommandError> {
    let usage = |error: String| CommandError::usage(error);
    let url = GitUrl::parse(text).map_err(|error| usage(error.to_string()))?;
    match url.scheme() {
        Scheme::Ssh => ssh_url(text).map(Address::Ssh),
        Scheme::Https => Ok(Address::Https(url)),
        Scheme::Http if url.is_loopback() => Ok(Address::Https(url)),
        Scheme::Http => Err(usage(format!("'{url}' is not encrypted; write ssh:// or https://"))),
    }
}

fn ssh_url(text: &str) -> Result<SshUrl, CommandError> {
    text.parse().map_err(|error: AddressError| CommandError::usage(error.to_string()))
}

impl GithubArguments {
    /// How the agent reads the repository. `credentials` are those of bootstrap itself; `None` if nothing is
    /// sent to GitHub.
    fn way(&self, repository: &str, credentials: Option<&GithubCredentials>) -> Result<Way, CommandError> {
        let common = &self.common;
        if self.auth == Auth::DeployKey {
            let web = web_address(&self.hub.api_url);
            let host = self.ssh_host.clone().unwrap_or_else(|| host_of(&web));
            let user = if host.contains('@') { String::new() } else { format!("{}@", ssh_user(&host)) };
            let url = ssh_url(&format!("ssh://{user}{host}/{repository}"))?;
            return Ok(Way::Key(url, KeyPlan { prune: self.prune_keys, ..common.key_plan()? }));
        }
        common.refuse_keys("--auth deploy-key")?;
        if self.prune_keys {
            let message = "--prune-keys goes with --auth deploy-key";
            let hint = format!("run lockgate keys delete {repository} --cluster-name NAME");
            return Err(CommandError::usage(message).hint(hint));
        }
        let url = GitUrl::parse(&format!("{}/{repository}", web_address(&self.hub.api_url)));
        let url = url.map_err(|error| CommandError::usage(error.to_string()))?;
        let login = credentials.map(|credentials| login(self.auth, credentials)).transpose()?.flatten();
        let flags = (self.auth == Auth::App, common.replace_secret);
        let api = (self.hub.api_url != PUBLIC_API).then(|| self.hub.api_url.clone());
        Ok(Way::Login(url, LoginPlan { api, ..common.login_plan(login, flags)? }))
    }
}

impl GitArguments {
    fn way(&self, login: Option<SignIn>) -> Result<Way, CommandError> {
        let common = &self.common;
        match address(&self.url)? {
            Address::Ssh(url) => {
                if self.password.is_given() {
                    return Err(CommandError::usage(
                        "--token-stdin and --token-file go with an https:// address",
                    ));
                }
                Ok(Way::Key(url, common.key_plan()?))
            }
            Address::Https(url) => {
                common.refuse_keys("an ssh:// address")?;
                Ok(Way::Login(url, common.login_plan(login, (false, common.replace_secret))?))
            }
        }
    }
}

async fn at_github(
    arguments: GithubArguments,
    (target, repository): (&AdmissionTarget, &str),
    signed_in: SignedIn,
    (flags, told): ([Flags; 2], Vec<ProgressEvent>),
) -> Result<ExitCode, CommandError> {
    prunes(&arguments.common, arguments.prune_keys, target)?;
    let way = arguments.way(repository, Some(&signed_in.credentials))?;
    let plan = arguments.common.plan(way, flags)?;
    let mut printer = Printer::new(arguments.common.output);
    printer.heading(&format!("context   {}            token  {}", target.name, signed_in.origin));
    let mut sink = |event| printer.print(&event);
    let mut progress = ProgressLog::new(&mut sink);
    progress.tell_all(told);
    let result = steps::github(target, &plan, &signed_in.github, &mut progress).await;
    let (changed, took) = (progress.changed, progress.started.elapsed());
    printer.end(result, changed, took, NEXT)
}

async fn at_server(
    arguments: GitArguments,
    target: &AdmissionTarget,
    (flags, told): ([Flags; 2], Vec<ProgressEvent>),
) -> Result<ExitCode, CommandError> {
    let is_https = matches!(address(&arguments.url)?, Address::Https(_));
    let login = if is_https { arguments.password.login()? } else { None };
    let plan = arguments.common.plan(arguments.way(login)?, flags)?;
    let mut printer = Printer::new(arguments.common.output);
    printer.heading(&format!("context   {}", target.name));
    let mut sink = |event| printer.print(&event);
    let mut progress = ProgressLog::new(&mut sink);
    progress.tell_all(told);
    let result = steps::git(target, &plan, &mut progress).await;
    let (changed, took) = (progress.changed, progress.started.elapsed());
    printer.end(result, changed, took, NEXT)
}

/// Refuses to delete leftover keys by the name of a context, which does not prove that the cluster was the
/// same.
fn prunes(common: &CommonArguments, is_wanted: bool, target: &AdmissionTarget) -> Result<(), CommandError> {
    if is_wanted && common.key.cluster_name.is_none() {
        let message = format!(
            "--prune-keys needs --cluster-name: the context '{}' may be another cluster's too",
            target.name
        );
        return Err(CommandError::usage(message));
    }
    Ok(())
}

/// The commands to try after a run.
const NEXT: &str = "lockgate status · kubectl get ks -A · a new commit is picked up by itself";

impl CommonArguments {
    fn key_plan(&self) -> Result<KeyPlan, CommandError> {
        Ok(KeyPlan {
            given: self.key_file.as_deref().map(key_pair).transpose()?,
            replace: self.replace_secret,
            accepted_host_key: self.accept_host_key.clone(),
            ..self.key.plan(&self.secret_name)
        })
    }

    /// Refuses the flags for keys if the agent uses no key.
    fn refuse_keys(&self, place: &str) -> Result<(), CommandError> {
        let flags =
            [("--key-file", self.key_file.is_some()), ("--accept-host-key", self.accept_host_key.is_some())];
        match flags.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => Err(CommandError::usage(format!("{flag} goes with {place}"))),
            None => Ok(()),
        }
    }

    fn login_plan(&self, login: Option<SignIn>, flags: (bool, bool)) -> Result<LoginPlan, CommandError> {
        login_plan(self.installation.pod.ca_file(), &self.secret_name, login, flags)
    }

    fn plan(&self, way: Way, flags: [Flags; 2]) -> Result<Plan, CommandError> {
        Ok(Plan {
            installation: self.installation.installation()?,
            name: self.name.clone(),
            branch: self.branch.clone(),
            path: self.path.clone(),
            interval: self.interval,
            replace_sync: self.replace_sync,
            way,
            service_account: self.service_account.clone(),
            timeout: self.timeout,
            flags,
        })
    }
}

fn export(common: &CommonArguments, way: Way) -> Result<ExitCode, CommandError> {
    let problem = |problem| CommandError::from(FailedStep { step: "export", problems: vec![problem] });
    let (holds, is_app) = match &way {
        Way::Key(..) => ("'identity', 'identity.pub' and 'known_hosts'", false),
        Way::Login(_, LoginPlan { is_app: true, .. }) => {
            ("'githubAppID', 'githubAppInstallationOwner' and 'githubAppPrivateKey'", true)
        }
        Way::Login(..) => ("'username' and 'password'", false),
    };
    let plan = common.plan(way, <[Flags; 2]>::default())?;
    let sync = Sync {
        name: plan.name.unwrap_or_else(|| keys::DEFAULT_NAMESPACE.into()),
        url: plan.way.url(),
        branch: plan.branch,
        path: plan.path,
        interval: plan.interval,
        secret_name: Some(plan.way.secret().into()),
        is_app,
        service_account: plan.service_account,
    };
    let mut objects = manifests::namespace(&plan.installation).map_err(problem)?;
    objects.extend(manifests::crds().map_err(problem)?);
    objects.extend(manifests::agent(&plan.installation).map_err(problem)?);
    objects.extend(manifests::sync(&plan.installation, &sync).map_err(problem)?);
    let note = format!(
        "# Not among these: the Secret {}/{} with {holds}.\n",
        plan.installation.namespace,
        plan.way.secret()
    );
    output::write(&(note + &manifests::to_yaml(&objects)))?;
    Ok(ExitCode::SUCCESS)
}

/// The host of a web address, without the port.
fn host_of(web: &str) -> String {
    let authority = web.split_once("://").map_or(web, |(_, rest)| rest);
    match authority.strip_prefix('[') {
        Some(rest) => format!("[{}]", rest.split(']').next().unwrap_or_default()),
        None => authority.split(':').next().unwrap_or_default().to_owned(),
    }
}

/// The user for SSH: `git`, except for an enterprise at TENANT.ghe.com, whose user is the tenant.
fn ssh_user(host: &str) -> String {
    let name = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let tenant = name.strip_suffix(".ghe.com").filter(|tenant| !tenant.is_empty() && !tenant.contains('.'));
    tenant.unwrap_or(DEFAULT_USER).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssh_host_follows_from_the_api() {
        for (api, host, user) in [
            (PUBLIC_API, "github.com", "git"),
            ("https://ghe.example.com/api/v3", "ghe.example.com", "git"),
            ("https://api.corp.ghe.com", "corp.ghe.com", "corp"),
            ("https://api.Corp.GHE.com", "Corp.GHE.com", "corp"),
            ("https://api.ghe.com", "ghe.com", "git"),
            ("https://corp.nghe.com/api/v3", "corp.nghe.com", "git"),
            ("http://127.0.0.1:8080", "127.0.0.1", "git"),
            ("http://[::1]:8080/x", "[::1]", "git"),
        ] {
            let found = host_of(&web_address(api));
            assert_eq!((found.as_str(), ssh_user(&found).as_str()), (host, user));
        }
        assert_eq!(ssh_user("corp.ghe.com:22"), "corp");
    }
}
