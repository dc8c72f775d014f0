//! Three clusters in memory whose Secrets and sources are kept, one repository at the stand-in for GitHub,
//! and a clock that only requests and the test advance. Any request may be the last of a run.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::github::DeployKey;
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Uri};
use hyper::body::Body as _;
use octocrab::OctoBody;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::bootstrap::github::GitHub;
use crate::bootstrap::key::identity_of;
use crate::bootstrap::title::Title;
use crate::cluster::Client;
use crate::cluster::objects::tests::client_of;
use lockgate_base::model::Timestamp;

/// The path of each cluster's Secret.
const SECRET: &str = "/api/v1/namespaces/flux-system/secrets/flux-system";
const SOURCE: &str = "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/platform";
/// The repository, and the token for GitHub.
const REPOSITORY: &str = "acme/platform";
const TOKEN: &str = "ghp_of_an_administrator";
/// A day in seconds.
pub(super) const DAY: i64 = 24 * 60 * 60;

/// A cluster under its name; another one after it was created again.
#[derive(Debug, Clone, Default)]
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) created: i64,
    pub(super) is_alive: bool,
    /// Whether its agent has fetched once.
    pub(super) is_set_up: bool,
    objects: BTreeMap<String, Value>,
}

/// GitHub, used by nobody else.
pub(super) type Hub = Arc<harness::GitHub>;

/// Starts a GitHub with a repository.
pub(super) fn hub() -> Hub {
    let git = harness::GitServer::start().unwrap();
    let repo = git.create_repo(REPOSITORY).unwrap();
    repo.commit("main", "begin", &[("a", Some("b"))]).unwrap();
    let hub = harness::GitHub::start(&git).unwrap();
    hub.add_token(TOKEN);
    hub.set_rate_limit(u64::MAX);
    Arc::new(hub)
}

/// A moment in seconds since 1970.
fn seconds(moment: SystemTime) -> i64 {
    moment.duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// The running action, by which the laws judge its deletions.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// An action on a cluster, by its number.
    On(usize),
    /// A deletion of a name's keys with GitHub alone.
    Delete(String),
    /// A deletion of unused keys with GitHub alone; the time is in seconds.
    Prune(i64),
}

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    /// The number of the request.
    pub(super) at: usize,
    /// Whether that request is carried out.
    pub(super) is_done: bool,
}

pub(super) struct State {
    pub(super) now: i64,
    hub: Hub,
    pub(super) clusters: [Cluster; 3],
    /// The names that two clusters had at the same time.
    pub(super) twinned: Vec<String>,
    pub(super) act: Act,
    pub(super) broken: Vec<String>,
    last: u64,
    requests: usize,
    kill: Option<Kill>,
}

/// The world. Clones share it.
#[derive(Clone)]
pub(super) struct World {
    state: Arc<Mutex<State>>,
    killed: Arc<Notify>,
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// GitHub, at the present moment.
    fn hub(&self) -> &harness::GitHub {
        self.hub.set_time(UNIX_EPOCH + Duration::from_secs(self.now.cast_unsigned()));
        &self.hub
    }

    /// The last use of a key, as far as GitHub shows it yet.
    fn shown(&self, key: &DeployKey) -> Option<i64> {
        self.hub().last_used(key).map(seconds)
    }

    /// The public line of the key that a cluster's agent uses.
    pub(super) fn in_use(&self, cluster: usize) -> Option<String> {
        let line = self.clusters[cluster].objects.get(SECRET)?["data"]["identity.pub"].as_str()?;
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, line).unwrap();
        Some(String::from_utf8(bytes).unwrap())
    }

    pub(super) fn is_let_in(&self, line: &str) -> bool {
        self.hub.keys().iter().any(|key| identity_of(&key.key) == identity_of(line))
    }

    /// The keys of a name, by their titles.
    pub(super) fn of_name(&self, name: &str) -> Vec<DeployKey> {
        let is_named = |key: &DeployKey| Title::parse(&key.title).is_some_and(|title| title.cluster == name);
        self.hub.keys().into_iter().filter(is_named).collect()
    }

    /// The agents of all clusters that were set up fetch, as they do once a minute.
    pub(super) fn fetch(&self) {
        for (number, cluster) in self.clusters.iter().enumerate() {
            let is_running = cluster.is_alive && cluster.is_set_up;
            if let Some(line) = self.in_use(number).filter(|_| is_running) {
                self.hub().note_use(&line);
            }
        }
    }

    /// Records a violation if a key must not be deleted: a key of another name, one that GitHub shows in use,
    /// one of a living cluster that has its name alone, and one that another cluster has registered since
    /// this one was created.
    fn judge(&mut self, key: &DeployKey, shown: Option<i64>) {
        let created = seconds(key.created_at);
        let title = Title::parse(&key.title).unwrap();
        let holds = |(number, cluster): &(usize, &Cluster)| {
            let line = self.in_use(*number);
            cluster.is_alive && line.is_some_and(|line| identity_of(&line) == identity_of(&key.key))
        };
        let holder = self.clusters.iter().enumerate().find(holds).map(|(number, _)| number);
        let (is_named, since) = match &self.act {
            Act::On(number) => {
                let cluster = &self.clusters[*number];
                (title.cluster == cluster.name, Some(cluster.created))
            }
            Act::Delete(name) => {
                let others = self.of_name(name).into_iter().filter(|other| {
                    let of = Title::parse(&other.title).unwrap();
                    of.uid != title.uid && other.created_at >= key.created_at
                });
                (title.cluster == *name, others.map(|other| seconds(other.created_at)).min())
            }
            Act::Prune(least) => (true, Some(self.now - least)),
        };
        let mut broken = Vec::new();
        if !is_named {
            broken.push("a key of another name");
        }
        let own = matches!(self.act, Act::On(number) if Some(number) == holder);
        if own {
            broken.push("the key in use of the cluster itself");
        }
        if holder.is_some() && !self.twinned.contains(&title.cluster) {
            broken.push("the key of a cluster that lives and has its name alone");
        }
        if holder.is_some() && since.is_some_and(|since| shown.is_some_and(|at| at >= since)) {
            broken.push("a key that GitHub shows in use");
        }
        let is_younger = matches!(&self.act, Act::On(number) if created >= self.clusters[*number].created);
        if is_younger && holder.is_some() {
            broken.push("a key that is younger than the cluster, and so another's");
        }
        let act = format!("{:?} deleted \"{}\": ", self.act, key.title);
        self.broken.extend(broken.into_iter().map(|what| act.clone() + what));
    }

    fn at_cluster(&mut self, cluster: usize, method: &Method, uri: &Uri, body: Value) -> (u16, Value) {
        let status = |code: u16, reason: &str| {
            (code, json!({"kind": "Status", "code": code, "reason": reason, "message": reason}))
        };
        let version = self.next().to_string();
        let (now, here) = (self.now, &mut self.clusters[cluster]);
        let path = uri.path();
        if path.ends_with("/namespaces/kube-system") {
            let created = Timestamp::from_unix(here.created);
            let metadata = json!({"name": "kube-system", "uid": here.uid, "creationTimestamp": created});
            return (200, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}));
        }
        let is_list = ["secrets", "namespaces", "gitrepositories"].iter().any(|kind| path.ends_with(kind));
        match (method.as_str(), is_list) {
            ("GET", true) => {
                let below = here.objects.iter().filter(|(key, _)| key.starts_with(&format!("{path}/")));
                let items: Vec<&Value> = below
                    .filter(|(key, _)| !key[path.len() + 1..].contains('/'))
                    .map(|(_, value)| value)
                    .collect();
                (200, json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
            }
            ("GET", false) => match here.objects.get(path) {
                Some(object) => (200, object.clone()),
                None => status(404, "NotFound"),
            },
            ("POST", _) => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if here.objects.contains_key(&path) {
                    return status(409, "AlreadyExists");
                }
                let mut object = body;
                object["metadata"]["resourceVersion"] = version.into();
                here.objects.insert(path, object.clone());
                (201, object)
            }
            ("PATCH", _) => {
                let Some(object) = here.objects.get_mut(path) else { return status(404, "NotFound") };
                let expected = &body["metadata"]["resourceVersion"];
                if !expected.is_null() && *expected != object["metadata"]["resourceVersion"] {
                    return status(409, "Conflict");
                }
                merge(object, &body);
                object["metadata"]["resourceVersion"] = version.into();
                let object = object.clone();
                if path == SOURCE {
                    self.now = now + 1;
                    self.fetch();
                    self.answer_request(cluster);
                }
                (200, object)
            }
            ("DELETE", _) => match here.objects.remove(path) {
                Some(object) => (200, object),
                None => status(404, "NotFound"),
            },
            _ => status(405, "MethodNotAllowed"),
        }
    }

    /// The agent has fetched since the request, or reports why it could not.
    fn answer_request(&mut self, cluster: usize) {
        let is_let_in = self.in_use(cluster).is_some_and(|line| self.is_let_in(&line));
        let source = self.clusters[cluster].objects.get_mut(SOURCE).unwrap();
        let handled = source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].clone();
        let ready = if is_let_in { "True" } else { "False" };
        source["status"] = json!({
            "observedGeneration": 1, "lastHandledReconcileAt": handled, "artifact": {"revision": "main@sha1:1"},
            "conditions": [{"type": "Ready", "status": ready, "message": "", "reason": "R"}],
        });
    }
}

/// The bytes of a body.
async fn read(mut body: OctoBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    bytes
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

impl World {
    /// Three clusters that do not exist yet, and GitHub without a key.
    pub(super) fn new(hub: &Hub, names: [&str; 3], lag: u64) -> Self {
        for key in hub.keys() {
            hub.delete_key(key.id).unwrap();
        }
        hub.set_use_lag(Duration::from_secs(lag));
        let cluster = |name: &str| Cluster { name: name.into(), ..Cluster::default() };
        let state = State {
            now: 1_700_000_000,
            hub: Arc::clone(hub),
            clusters: names.map(cluster),
            twinned: Vec::new(),
            act: Act::On(0),
            broken: Vec::new(),
            last: 0,
            requests: 0,
            kill: None,
        };
        Self { state: Arc::new(Mutex::new(state)), killed: Arc::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Creates a cluster in place of one that does not exist.
    pub(super) fn create(&self, number: usize) {
        let mut state = self.state();
        state.now += 60;
        let (created, digits) = (state.now, state.next());
        let name = state.clusters[number].name.clone();
        if state.clusters.iter().any(|other| other.is_alive && other.name == name) {
            state.twinned.push(name.clone());
        }
        let uid = format!("{digits:08x}-0000-4000-8000-000000000000");
        state.clusters[number] = Cluster { name, uid, created, is_alive: true, ..Cluster::default() };
        state.now += 1;
    }

    /// Ends a cluster: nothing of it runs any more, and nothing is cleaned up.
    pub(super) fn destroy(&self, number: usize) {
        let mut state = self.state();
        state.clusters[number].is_alive = false;
        state.clusters[number].objects.clear();
        state.now += 60;
    }

    /// The agent of a cluster gets its source, and reads it from now on.
    pub(super) fn set_up(&self, number: usize) {
        let mut state = self.state();
        let here = &mut state.clusters[number];
        here.is_set_up = true;
        here.objects.entry(SOURCE.into()).or_insert_with(|| {
            json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "platform", "namespace": "flux-system", "generation": 1},
                "spec": {"url": "ssh://git@github.com/acme/platform", "secretRef": {"name": "flux-system"}},
            })
        });
        state.now += 1;
        state.fetch();
    }

    /// Runs an action to its end, or until it is killed; then it has no result.
    pub(super) async fn run<T>(
        &self,
        act: Act,
        kill: Option<Kill>,
        run: impl Future<Output = T>,
    ) -> Option<T> {
        {
            let mut state = self.state();
            (state.act, state.requests, state.kill) = (act, 0, kill);
        }
        tokio::select! {
            biased;
            ended = run => Some(ended),
            () = self.killed.notified() => None,
        }
    }

    /// Whether a request is carried out, and whether it gets an answer.
    fn admit(&self, method: &Method) -> (bool, bool) {
        let mut state = self.state();
        state.requests += 1;
        state.now += i64::from(*method != Method::GET);
        match state.kill {
            Some(kill) if state.requests >= kill.at => (state.requests == kill.at && kill.is_done, false),
            _ => (true, true),
        }
    }

    async fn answer(
        &self,
        method: Method,
        carry_out: impl FnOnce(&mut State) -> (u16, Value),
    ) -> (u16, Value) {
        let (is_done, is_answered) = self.admit(&method);
        let answer = is_done.then(|| carry_out(&mut self.state()));
        if let Some(answer) = answer.filter(|_| is_answered) {
            answer
        } else {
            self.killed.notify_one();
            std::future::pending().await
        }
    }

    /// Passes a request to GitHub, and judges its deletions.
    async fn at_github(&self, method: &Method, uri: &Uri, body: Vec<u8>) -> (u16, Vec<u8>) {
        let (is_done, is_answered) = self.admit(method);
        if is_done {
            let (hub, deleted) = {
                let state = self.state();
                let id = uri.path().rsplit('/').next().and_then(|id| id.parse::<u64>().ok());
                let key = state.hub().keys().into_iter().find(|key| Some(key.id) == id);
                let shown = key.as_ref().and_then(|key| state.shown(key));
                let deleted = key.filter(|_| *method == Method::DELETE).map(|key| (key, shown));
                (Arc::clone(&state.hub), deleted)
            };
            let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
            let answer = hub.answer(method.as_str(), path, TOKEN, body).await.unwrap();
            if let (204, Some((key, shown))) = (answer.0, deleted) {
                self.state().judge(&key, shown);
            }
            if is_answered {
                return answer;
            }
        }
        self.killed.notify_one();
        std::future::pending().await
    }

    /// A client of a cluster.
    pub(super) fn client(&self, cluster: usize) -> Client {
        let world = self.clone();
        client_of(move |method, uri, body| {
            let (world, method, uri) = (world.clone(), method.clone(), uri.clone());
            let body = serde_json::from_slice(&body).unwrap_or_default();
            async move {
                let carry_out = |state: &mut State| state.at_cluster(cluster, &method, &uri, body);
                Ok(world.answer(method.clone(), carry_out).await)
            }
        })
    }

    /// A client of GitHub.
    pub(super) fn github(&self) -> GitHub {
        let world = self.clone();
        let service = tower::service_fn(move |request: http::Request<OctoBody>| {
            let world = world.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = read(body).await;
                let (code, text) = world.at_github(&head.method, &head.uri, body).await;
                let mut response = Response::new(OctoBody::from(text));
                *response.status_mut() = StatusCode::from_u16(code).unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        GitHub::of_service(service, REPOSITORY)
    }
}
