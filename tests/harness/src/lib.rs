//! The real parts that tests, demo and benchmarks run against.
//!
//! Nothing here knows lockgate: a control plane of real binaries, a real sshd, a stand-in for GitHub that
//! really admits keys, a registry of artifacts, a repository of charts, the sample platform, a proxy that
//! misbehaves on command, an admission webhook, a namespace of a test's own, and the agent's own binary as a
//! child process.

pub mod agent;
mod cage;
pub mod charts;
pub mod controlplane;
mod dirs;
pub mod documents;
mod eventually;
pub mod flux;
pub mod git;
pub mod github;
pub mod helm;
mod hub;
pub mod measure;
mod pki;
mod process;
pub mod proxy;
pub mod registry;
pub mod sample;
mod serve;
pub mod stage;
mod terminal;
pub mod webhook;

pub use agent::{Agent, AgentBuilder};
pub use cage::Cage;
pub use charts::{Asked, CHARTS_USER, ChartServer, ChartServerOptions, Served};
pub use controlplane::{Components, ControlPlane, Options, client_of, program, shared};
pub use documents::{Document, DocumentServer};
pub use eventually::eventually;
pub use git::{
    Change, GitServer, GitServerOptions, HostKeyType, HttpsAuth, HttpsGitServer, KeyAlgorithm, KeyId, Repo,
    SshKey,
};
pub use github::{Access, App, Fault, GitHub, SecureGitHub, Token, app_key};
pub use hub::{Hub, HubRequest};
pub use measure::{Cost, fresh_copy, measured};
pub use process::oracle;
pub use proxy::{Mode, Proxy};
pub use registry::{CosignKey, REGISTRY_USER, Registry, RegistryOptions};
pub use stage::Stage;
pub use terminal::on_terminal;
pub use webhook::{Answer, Webhook};
