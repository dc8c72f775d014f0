//! A Kubernetes API server in memory, honest where the agent looks: versions and conflicts, server-side apply
//! with managedFields, dry runs, finalizers, deletion of namespaces, watches, definitions that are served
//! later, admission.
//!
//! It has no clock, no network and no chance in it: [`Server::answer`] is a function of what was asked
//! before.

mod fields;
mod kinds;
mod managers;
mod status;
mod route;
mod store;
mod read;
mod write;
mod controllers;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

pub use controllers::{BROKEN, Task, Waiting};
pub use read::Event;
pub use status::Refused;
pub use store::{Change, Key};
pub use write::sorted;

use kinds::Kinds;
use read::Selection;
use route::Route;
use store::Store;
use write::Write;

/// A request, less what the transport adds.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PATCH`, ...
    pub method: String,
    /// Path and query, percent-encoded.
    pub path: String,
    /// The `Accept` header.
    pub accept: String,
    /// The `Content-Type` header.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.path.contains("dryRun=All")
    }
}

/// What the server answers.
#[derive(Debug)]
pub enum Answer {
    /// An HTTP status and a body; text where the body is a string.
    Body(u16, Arc<Value>),
    /// A watch was opened.
    Watch(Box<Watch>),
}

/// A watch: what it shows, and how far it has shown it.
#[derive(Debug)]
pub struct Watch {
    selection: Selection,
    kind: kinds::Kind,
    /// The version after which changes are shown.
    since: u64,
}

impl Watch {
    /// Group and plural of what it shows.
    pub fn kind(&self) -> (&str, &str) {
        (&self.selection.group, &self.selection.plural)
    }

    /// Whether it shows objects of the agent's kinds.
    pub fn is_of_the_agent(&self) -> bool {
        self.selection.group.ends_with(".toolkit.fluxcd.io")
    }
}

/// The server.
#[derive(Debug, Default)]
pub struct Server {
    store: Store,
    kinds: Kinds,
    /// Names of objects whose creation and change an admission webhook denies.
    pub denied: BTreeSet<String>,
}

impl Server {
    /// Answers a request. `now` is this moment as Kubernetes writes it.
    pub fn answer(&mut self, request: &Request, now: &str) -> Answer {
        match self.serve(request, now) {
            Ok(answer) => answer,
            Err(Refused { code, body }) => Answer::Body(code, Arc::new(body)),
        }
    }

    fn serve(&mut self, request: &Request, now: &str) -> Result<Answer, Refused> {
        let path = request.path.split('?').next().unwrap_or_default();
        if matches!(path, "/api" | "/apis") {
            return Ok(Answer::Body(200, Arc::new(self.kinds.discovery(path))));
        }
        let route = Route::parse(&request.path).ok_or_else(Refused::unserved)?;
        let kind = self.kinds.find(&route.group, &route.version, &route.plural).cloned();
        let kind = kind.ok_or_else(Refused::unserved)?;
        let key = Key::new(&route.group, &route.plural, &route.namespace, &route.name);
        if request.method == "GET" {
            return self.read(request, &route, kind, &key);
        }
        let body: Value = match request.body.as_slice() {
            [] => Value::Null,
            body => serde_json::from_slice(body).map_err(|error| Refused::bad(&error.to_string()))?,
        };
        let write = Write { kind: &kind, route: &route, key, now };
        let (code, object) = match request.method.as_str() {
            "POST" => self.create(write, body)?,
            "PUT" => self.replace(&write, body)?,
            "PATCH" => self.patch(&write, &request.content_type, &body)?,
            "DELETE" => self.delete(&write, &body)?,
            other => return Err(Refused::bad(&format!("{other} is not served"))),
        };
        let is_object = object["kind"] != "Status";
        let partial = is_object && read::is_partial(&request.accept);
        Ok(Answer::Body(code, if partial { Arc::new(store::partial(&object)) } else { object }))
    }

    fn read(
        &self,
        request: &Request,
        route: &Route,
        kind: kinds::Kind,
        key: &Key,
    ) -> Result<Answer, Refused> {
        let selection = Selection::new(route, &request.accept);
        if !route.name.is_empty() {
            let object = self.store.get(key).ok_or_else(|| Refused::not_found(&kind, &route.name))?;
            return Ok(Answer::Body(200, selection.show(object)));
        }
        if !route.is_watch() {
            let list = selection.list(&kind, self.store.all(), self.store.version());
            return Ok(Answer::Body(200, Arc::new(list)));
        }
        let since = route.asks("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        if since < self.store.oldest() {
            return Err(Refused::expired(since));
        }
        Ok(Answer::Watch(Box::new(Watch { selection, kind, since })))
    }

    /// The next event of a watch; `None` where there is none yet.
    pub fn next_event(&self, watch: &mut Watch) -> Option<Event> {
        let log = self.store.log();
        let begin = log.partition_point(|change| change.version <= watch.since);
        for change in &log[begin..] {
            watch.since = change.version;
            if let Some(event) = watch.selection.event(change) {
                return Some(event);
            }
        }
        None
    }

    /// A bookmark of where a watch stands, as a line of its answer.
    pub fn bookmark(watch: &Watch) -> String {
        Selection::bookmark(&watch.kind, watch.since)
    }

    /// Whether the kind of a watch is still served.
    pub fn serves(&self, watch: &Watch) -> bool {
        self.kinds.find(&watch.kind.group, &watch.kind.version, &watch.kind.plural).is_some()
    }

    /// An object as it is.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.store.get(key).map(|object| &**object)
    }

    /// Whether the object of a path is there.
    pub fn is_there(&self, path: &str) -> bool {
        let route = Route::parse(path).filter(|route| !route.name.is_empty());
        route.is_some_and(|route| {
            self.store.get(&Key::new(&route.group, &route.plural, &route.namespace, &route.name)).is_some()
        })
    }

    /// All objects, in the order of their keys.
    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.store.all()
    }

    /// How many changes there were so far.
    pub fn changes(&self) -> usize {
        self.store.log().len()
    }

    /// The changes after the first `known` ones.
    pub fn changes_since(&self, known: usize) -> &[Arc<Change>] {
        self.store.log().get(known..).unwrap_or_default()
    }

    /// The version in which the kind of a key is served; `None` where it is not.
    pub fn version_of(&self, key: &Key) -> Option<String> {
        let mut kinds = self.kinds.all().iter();
        let kind = kinds.find(|kind| kind.group == key.group && kind.plural == key.plural)?;
        Some(kind.version.clone())
    }

    /// Forgets the changes so far, so that a watch from before them is answered 410.
    pub fn compact(&mut self) {
        self.store.compact();
    }
}
