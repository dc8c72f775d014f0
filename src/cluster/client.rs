//! The connection to one API server: its address, our identity there, and the rules for every request: a
//! bound on the requests in flight, a time limit, and the server's Retry-After.

use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT, WARNING};
use http::{HeaderMap, Method, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;
use kube::api::WatchEvent;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tower::{BoxError, ServiceBuilder};

use super::failure::{self, RequestFailure};
use lockgate_base::shares::Permits;
use lockgate_core::pipeline::ports::ApiFailure;

/// The most requests in flight, shared among the namespaces: a slow webhook of one namespace delays only that
/// one. Each request has a connection, since kube speaks HTTP/1.1. Watches are not counted.
const IN_FLIGHT: usize = 12;
/// The time limit for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The time limit for the answer to a read.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(30);
/// The time limit for the answer to a write or a dry run: admission webhooks may take 30 s of their own.
pub(super) const WRITE_LIMIT: Duration = Duration::from_mins(1);
/// The longest Retry-After that is waited for here; a longer one is returned to the caller.
const PATIENCE: Duration = Duration::from_secs(15);
/// The shortest time for which a command leaves a busy server alone.
const LEAST: Duration = Duration::from_secs(1);
/// How often a request is sent that the server puts off.
const ATTEMPTS: u32 = 5;
/// Silence on an idle connection after which the peer is probed, and the time between the probes.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The environment variables about proxies, in the order in which kube reads them.
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

pub(super) const JSON: &str = "application/json";
/// Requests type and metadata alone.
pub(super) const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// The media types for a list of metadata.
pub(super) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
pub(super) const APPLY: &str = "application/apply-patch+yaml";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";

/// The cluster to connect to.
#[derive(Debug, Clone, Default)]
pub struct ClusterTarget {
    /// A kubeconfig file. Without one: `KUBECONFIG`, `~/.kube/config`, then the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig. Without one, its current context.
    pub context: Option<String>,
    /// Environment variables that are withheld from the programs that the kubeconfig runs for credentials.
    pub withheld: &'static [&'static str],
}

/// Why a cluster cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig has a mistake.
    #[error("kubeconfig: {}", unquoted(.0))]
    Kubeconfig(#[from] KubeconfigError),
    /// Neither a kubeconfig nor a service account was found.
    #[error("no cluster is configured: {pod}, {}; set KUBECONFIG or pass --kubeconfig", unquoted(.kubeconfig))]
    Nowhere {
        /// Why there is no service account.
        pod: kube::config::InClusterError,
        /// Why there is no kubeconfig.
        kubeconfig: KubeconfigError,
    },
    /// The client could not be built from the configuration.
    #[error("client: {0}")]
    Client(#[from] kube::Error),
}

/// The mistake in a kubeconfig. The reader's own words quote the lines around it, which may hold a token.
fn unquoted(error: &KubeconfigError) -> String {
    let KubeconfigError::Parse(parse) = error else { return error.to_string() };
    let place = parse.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    format!("it cannot be read as a kubeconfig{}", place.unwrap_or_default())
}

/// A client of one API server with one identity there. Clones share connections and bounds.
#[derive(Clone)]
pub struct Client {
    kube: kube::Client,
    permits: Permits,
    /// The namespace for which it sends; empty for none.
    tenant: Arc<str>,
    /// The user to impersonate; `None` for ourselves.
    user: Option<HeaderValue>,
    server: Arc<str>,
    /// Spreads the retries of clients, so that they do not come back at the same moment.
    salt: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// One request. `path` begins with a slash and is percent-encoded; see [`super::path`].
#[derive(Debug, Clone)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) accept: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

impl ApiRequest {
    pub(super) fn get(path: String, accept: &'static str) -> Self {
        Self { method: Method::GET, path, accept, content_type: JSON, body: Vec::new() }
    }

    fn build(&self, user: Option<&HeaderValue>) -> Result<http::Request<Vec<u8>>, RequestFailure> {
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(ACCEPT, self.accept)
            .header(USER_AGENT, concat!("lockgate/", env!("CARGO_PKG_VERSION")));
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, self.content_type);
        }
        if let Some(user) = user {
            request = request.header(HeaderName::from_static("impersonate-user"), user);
        }
        request
            .body(self.body.clone())
            .map_err(|error| failure::answered(StatusCode::BAD_REQUEST, "BadRequest", error.to_string()))
    }
}

/// The answer to a successful request.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// The warnings of the server.
    pub(super) warnings: Vec<String>,
}

impl Client {
    /// Connects to the cluster that `target` names. This sends no request yet.
    pub async fn connect(target: &ClusterTarget) -> Result<Self, ConnectError> {
        Self::connect_by_name(target).await.map(|(client, _)| client)
    }

    /// Connects, and returns the kubeconfig's context of the cluster; `None` for the pod's own account. The
    /// kubeconfig is read once, since a pipe cannot be read again.
    pub async fn connect_by_name(target: &ClusterTarget) -> Result<(Self, Option<String>), ConnectError> {
        let kubeconfig = match &target.kubeconfig {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        let (mut config, context) = match kubeconfig {
            Ok(kubeconfig) => {
                let context = target.context.clone();
                let name = context.clone().or_else(|| kubeconfig.current_context.clone());
                let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
                match kube::Config::from_custom_kubeconfig(kubeconfig, &options).await {
                    Ok(config) => (config, name),
                    Err(error) => (of_pod(error, target)?, None),
                }
            }
            Err(error) => (of_pod(error, target)?, None),
        };
        config.connect_timeout = Some(CONNECT);
        let spared = NO_PROXY.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
        if config.proxy_url == proxy_of_environment() && is_spared(&config.cluster_url, &spared) {
            config.proxy_url = None;
        }
        withhold(&mut config.auth_info, target.withheld);
        Ok((Self::from_config(config)?, context))
    }

    /// A client from a configuration that was already read.
    pub fn from_config(mut config: kube::Config) -> Result<Self, ConnectError> {
        // This module decides about retries: it knows the Retry-After header, and bounds their number.
        config.default_retry = false;
        let server = config.cluster_url.to_string().into();
        let kube = if config.proxy_url.is_some() {
            ClientBuilder::try_from(config)?.build()
        } else {
            direct(&config)?
        };
        let salt = std::collections::hash_map::RandomState::new().build_hasher().finish();
        Ok(Self { salt, ..Self::of(kube, server) })
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// A client over the same connections whose requests have a bound of their own.
    #[must_use]
    pub fn apart(&self, in_flight: usize) -> Self {
        Self { permits: Permits::common(in_flight), ..self.clone() }
    }

    /// A client over the same connections whose requests count against the share of a namespace.
    #[must_use]
    pub(super) fn on_behalf_of(&self, namespace: &str) -> Self {
        Self { tenant: namespace.into(), ..self.clone() }
    }

    /// A client of a server that is reached through a service; messages call it `server`.
    pub fn of_service<S, B>(service: S, server: &str) -> Self
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: hyper::body::Body<Data = hyper::body::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::of(kube::Client::new(service, "default"), server.into())
    }

    fn of(kube: kube::Client, server: Arc<str>) -> Self {
        Self { kube, permits: Permits::fair(IN_FLIGHT), tenant: "".into(), user: None, server, salt: 0 }
    }

    /// The impersonated user; `None` for ourselves.
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().and_then(|user| user.to_str().ok())
    }

    pub(super) fn with_user(&self, user: HeaderValue) -> Self {
        Self { user: Some(user), ..self.clone() }
    }

    /// Sends a request and reads the whole answer. A busy server is asked again after its Retry-After.
    pub(super) async fn send(&self, request: ApiRequest) -> Result<Reply, RequestFailure> {
        self.send_while(request, || Ok(())).await
    }

    /// Sends a request if `may_send` allows it, which is asked right before each attempt: the waits for a
    /// permit and for the server's Retry-After can take a minute.
    pub(super) async fn send_while(
        &self,
        request: ApiRequest,
        may_send: impl Fn() -> Result<(), RequestFailure> + Send,
    ) -> Result<Reply, RequestFailure> {
        let limit = if request.method == Method::GET { READ_LIMIT } else { WRITE_LIMIT };
        let mut attempt = 1;
        loop {
            // The permit is not held during the wait: a delay for one namespace must not delay another.
            let permit = self.permits.take(&self.tenant).await;
            may_send()?;
            let sent = self.once(&request, limit).await;
            drop(permit);
            let (answer, asked) = match sent {
                Err(RequestFailure::Busy { answer, delay }) => (answer, delay),
                other => return other,
            };
            let delay = backoff(asked, attempt, self.chance(&request));
            if attempt == ATTEMPTS || delay > PATIENCE {
                return Err(RequestFailure::Busy { answer, delay: asked });
            }
            tracing::debug!(message = %answer.message, attempt, "the API server asks to wait");
            sleep(delay).await;
            attempt += 1;
        }
    }

    /// Sends a request for a command that has nothing else to do, and reads the whole answer. A busy server
    /// is asked again as long as there is time, as in client-go: it is also busy for a kind that it has just
    /// learned.
    pub(super) async fn send_within(
        &self,
        request: &ApiRequest,
        limit: Duration,
    ) -> Result<Reply, RequestFailure> {
        let start = Instant::now();
        loop {
            let permit = self.permits.take(&self.tenant).await;
            let left = limit.saturating_sub(start.elapsed());
            let answer = timeout(left, self.exchange(request)).await.unwrap_or_else(|_| Err(silent(limit)));
            drop(permit);
            match answer {
                Err(RequestFailure::Busy { delay, .. }) if start.elapsed() + delay.max(LEAST) < limit => {
                    sleep(delay.max(LEAST)).await;
                }
                other => return other,
            }
        }
    }

    /// A number that differs from one request to another, and from one client to another.
    fn chance(&self, request: &ApiRequest) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.salt, &request.path, &request.body).hash(&mut hasher);
        hasher.finish()
    }

    async fn once(&self, request: &ApiRequest, limit: Duration) -> Result<Reply, RequestFailure> {
        timeout(limit, self.exchange(request)).await.unwrap_or_else(|_| Err(silent(limit)))
    }

    async fn exchange(&self, request: &ApiRequest) -> Result<Reply, RequestFailure> {
        let built = request.build(self.user.as_ref())?.map(Body::from);
        let response = self.kube.send(built).await.map_err(|error| failure::of_transport(&error))?;
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let warnings = warnings(response.headers());
        let bytes =
            response.into_body().collect_bytes().await.map_err(|error| failure::of_transport(&error))?;
        if !status.is_success() {
            return Err(failure::of_answer(status, &bytes, retry_after.map(Duration::from_secs)));
        }
        let body = serde_json::from_slice(&bytes)
            .map_err(|error| failure::unavailable(format!("the answer is not JSON: {error}")))?;
        Ok(Reply { status, body, warnings })
    }

    /// Opens a watch. The stream ends when the server or the connection ends it.
    pub(super) async fn events(
        &self,
        request: ApiRequest,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, kube::Error>> + use<>, ApiFailure> {
        let built = request.build(self.user.as_ref())?;
        match timeout(READ_LIMIT, self.kube.request_events(built)).await {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(error)) => Err(failure::of_kube(&error).into()),
            Err(_) => Err(silent(READ_LIMIT).into()),
        }
    }
}

/// The texts of the headers `Warning: 299 - "text"`, in which quotes and backslashes are escaped.
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let quoted = |value: &HeaderValue| {
        let text = value.to_str().ok()?;
        let (_, rest) = text.split_once('"')?;
        let (inside, _) = rest.rsplit_once('"')?;
        Some(inside.replace("\\\"", "\"").replace("\\\\", "\\"))
    };
    headers.get_all(WARNING).iter().filter_map(quoted).collect()
}

/// The account of the pod in which this runs, unless a kubeconfig or context was requested and is missing.
fn of_pod(
    kubeconfig: kube::config::KubeconfigError,
    target: &ClusterTarget,
) -> Result<kube::Config, ConnectError> {
    if target.kubeconfig.is_some() || target.context.is_some() {
        return Err(ConnectError::Kubeconfig(kubeconfig));
    }
    kube::Config::incluster().map_err(|pod| ConnectError::Nowhere { pod, kubeconfig })
}

/// The error for a server that has not answered in time.
fn silent(limit: Duration) -> RequestFailure {
    failure::unavailable(format!("no answer within {}s", limit.as_secs()))
}

/// The proxy that kube takes from the environment if the kubeconfig names none.
fn proxy_of_environment() -> Option<http::Uri> {
    HTTPS_PROXY
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())?
        .parse()
        .ok()
}

/// Whether a server is reached without the environment's proxy, as in curl and kubectl: `NO_PROXY` names it,
/// or it is on this machine. kube compares `NO_PROXY` with the host of the proxy instead (`proxy_url` in its
/// config/file_loader.rs).
fn is_spared(server: &http::Uri, spared: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    // Any proxy will do, since only the decision for or against one matters.
    let matcher = Matcher::builder().https("http://proxy").no(spared).build();
    is_local || spared.trim() == "*" || matcher.intercept(server).is_none()
}

/// Withholds variables from the programs that a kubeconfig can name: exec plugins and the older providers.
fn withhold(user: &mut AuthInfo, variables: &[&str]) {
    if variables.is_empty() {
        return;
    }
    if let Some(plugin) = &mut user.exec {
        plugin.drop_env.get_or_insert_default().extend(variables.iter().map(ToString::to_string));
    }
    if let Some(provider) = &mut user.auth_provider {
        let list = provider.config.entry("cmd-drop-env".into()).or_default();
        for variable in variables {
            list.extend([" ", variable]);
        }
    }
}

/// A client without a proxy: with TCP keepalive, so that a watch notices a dead peer, and few idle
/// connections.
fn direct(config: &kube::Config) -> Result<kube::Client, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout.or(Some(CONNECT)));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(3));
    let https = config.rustls_https_connector_with_connector(tcp)?;
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(20))
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .pool_max_idle_per_host(IN_FLIGHT)
        .build::<_, Body>(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

/// The pause before the next attempt: the server's Retry-After, at least 100 ms, doubled each time, and up to
/// a quarter more by chance, so that requests of many clients do not come back at the same moment.
fn backoff(asked: Duration, attempt: u32, chance: u64) -> Duration {
    let base = asked.max(Duration::from_millis(100)) * 2_u32.pow(attempt.saturating_sub(1));
    base + base / 4 * u32::try_from(chance % 100).unwrap_or(0) / 100
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_proxy_of_the_environment_is_not_for_every_server() {
        for (server, no_proxy, spared) in [
            ("https://api.example.com:6443", "", false),
            ("https://api.example.com:6443", "localhost,.example.com", true),
            ("https://api.example.com:6443", "proxy,example.org", false),
            ("https://10.1.2.3:6443", "10.0.0.0/8", true),
            ("https://10.1.2.3:6443", "192.168.0.0/16", false),
            ("https://10.1.2.3:6443", "*", true),
            ("https://127.0.0.1:6443", "", true),
            ("https://[::1]:6443", "", true),
            ("https://localhost:6443", "", true),
        ] {
            assert_eq!(is_spared(&server.parse().unwrap(), no_proxy), spared, "{server} {no_proxy}");
        }
    }

    #[test]
    fn warnings_are_read_as_they_are_meant() {
        let mut headers = HeaderMap::new();
        assert!(warnings(&headers).is_empty());
        for value in [r#"299 - "v1beta1 is deprecated""#, r#"299 - "a \"quoted\" word""#, "nonsense"] {
            headers.append(WARNING, HeaderValue::from_static(value));
        }
        assert_eq!(warnings(&headers), ["v1beta1 is deprecated", "a \"quoted\" word"]);
    }

    #[test]
    fn variables_are_kept_from_every_program_of_a_kubeconfig() {
        let kept = |user: &Value| {
            let mut user: AuthInfo = serde_json::from_value(user.clone()).unwrap();
            withhold(&mut user, &["A", "B"]);
            withhold(&mut user, &[]);
            let provider = user.auth_provider.map(|provider| provider.config["cmd-drop-env"].clone());
            (user.exec.and_then(|plugin| plugin.drop_env), provider)
        };
        let provider = |config: Value| json!({"auth-provider": {"name": "gcp", "config": config}});
        let plugin = vec!["A".to_owned(), "B".to_owned()];
        for (user, expected) in [
            (json!({"exec": {"command": "x"}}), (Some(plugin), None)),
            (provider(json!({"cmd-path": "x"})), (None, Some(" A B".to_owned()))),
            (provider(json!({"cmd-drop-env": "C"})), (None, Some("C A B".to_owned()))),
            (json!({"username": "u"}), (None, None)),
        ] {
            assert_eq!(kept(&user), expected, "{user}");
        }
    }
}
