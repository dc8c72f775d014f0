//! The line between one agent and the API server: the service below its client, on which requests are late,
//! lost and doubled.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use hyper::body::{Body as _, Bytes, Frame};
use kube::client::Body;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::laws::Who;
use crate::people;
use crate::server::{Answer, Refused, Request, Server, Watch};
use crate::world::{Trouble, World};

/// How often the server says where a watch stands.
const BOOKMARK: Duration = Duration::from_mins(1);
/// What stands in the path of the agent's kinds.
const OWN_KINDS: &str = ".toolkit.fluxcd.io/";
/// How many milliseconds a request may be late at most.
const SLOW: u64 = 30_000;
/// After how long the server ends a watch.
const WATCH_LIFE: Duration = Duration::from_secs(290);

/// The service below the client of one agent.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) world: World,
    pub(crate) agent: &'static str,
}

/// The body of an answer.
pub(crate) enum Reply {
    Once(Option<Bytes>),
    Stream(mpsc::UnboundedReceiver<Bytes>),
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Once(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(events) => {
                events.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }
}

/// What becomes of one request.
struct Fate {
    is_sent: bool,
    trouble: Option<Trouble>,
    before: Duration,
    after: Duration,
}

impl tower::Service<http::Request<Body>> for Line {
    type Response = http::Response<Reply>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let line = self.clone();
        Box::pin(async move {
            let request = read(request).await?;
            let fate = line.sent(&request);
            let who = Who::Agent(line.agent, line.world.time());
            let (answer, answered) = oneshot::channel();
            // What was sent arrives, whatever becomes of who sent it.
            tokio::spawn(async move {
                if !fate.is_sent {
                    return;
                }
                sleep(fate.before).await;
                let Some(reply) = line.arrive(who, &request, fate.trouble) else { return };
                sleep(fate.after).await;
                line.world.thawed(line.agent).await;
                if line.world.inner().cut_off.contains(line.agent) {
                    return;
                }
                // Whoever asked may have gone.
                drop(answer.send(reply));
            });
            answered.await.map_err(|_| io::Error::other("the connection was lost"))
        })
    }
}

async fn read(request: http::Request<Body>) -> io::Result<Request> {
    let (parts, body) = request.into_parts();
    let header = |name| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let (accept, content_type) = (header(http::header::ACCEPT), header(http::header::CONTENT_TYPE));
    debug_assert!(!body.is_end_stream() || body.size_hint().exact().is_some());
    let body = body.collect_bytes().await.map_err(io::Error::other)?.to_vec();
    Ok(Request { method: parts.method.to_string(), path, accept, content_type, body })
}

impl Line {
    /// A request leaves the agent: that is when it must be allowed to write.
    fn sent(&self, request: &Request) -> Fate {
        let time = self.world.time();
        let mut inner = self.world.inner();
        inner.requests += 1;
        let mut is_sent = true;
        if let Some(doom) = inner.dooms.get_mut(self.agent) {
            doom.left = doom.left.saturating_sub(1);
            if doom.left == 0 {
                is_sent = doom.is_sent;
                self.world.doom.notify_one();
            }
        }
        if is_sent {
            inner.laws.sent(self.agent, request, time);
        }
        let weather = inner.weather.get(self.agent).filter(|weather| time < weather.until).cloned();
        let trouble =
            weather.filter(|weather| inner.chance.happens(weather.percent)).map(|weather| weather.trouble);
        let longest = if trouble == Some(Trouble::Slow) { SLOW } else { 40 };
        let stalled = inner.stalled(self.agent, request, time);
        let before = stalled.unwrap_or_default() + inner.chance.millis(longest);
        Fate { is_sent, trouble, before, after: inner.chance.millis(longest) }
    }

    /// A request reaches the server; `None` where it or its answer is lost.
    fn arrive(
        &self,
        who: Who<'static>,
        request: &Request,
        trouble: Option<Trouble>,
    ) -> Option<http::Response<Reply>> {
        if self.world.inner().cut_off.contains(self.agent) {
            return None;
        }
        if let Some(trouble) = trouble {
            self.world.tell(|| format!("{}: {trouble:?}: {} {}", self.agent, request.method, request.path));
        }
        match trouble {
            Some(Trouble::LostBefore) => return None,
            Some(Trouble::Refused(code)) => {
                let Refused { code, body } = Refused::fault(code);
                return Some(whole(code, &body));
            }
            Some(Trouble::Twice) if !request.path.contains("watch=true") => {
                self.world.answer(who, request);
            }
            Some(Trouble::Again) if request.is_write() => self.repeat(who, request.clone()),
            Some(Trouble::Raced) if request.is_write() && request.method != "POST" => {
                people::race(&self.world, request);
            }
            _ => {}
        }
        let answer = self.world.answer(who, request);
        if trouble == Some(Trouble::LostAfter) {
            return None;
        }
        Some(match answer {
            Answer::Body(code, body) => {
                if request.path.contains(OWN_KINDS) {
                    self.show(&body);
                }
                whole(code, &body)
            }
            Answer::Watch(watch) => {
                let (sender, receiver) = mpsc::unbounded_channel();
                tokio::spawn(self.clone().pump(*watch, sender));
                response(200, Reply::Stream(receiver))
            }
        })
    }

    /// The agent is shown an object, or a list of some.
    fn show(&self, body: &Value) {
        let time = self.world.time();
        let mut inner = self.world.inner();
        let items = body["items"].as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
        for object in items {
            inner.laws.memory.show(self.agent, object, time);
        }
    }

    /// Lets a request arrive once more, unless that would make anew what has gone meanwhile: no client can do
    /// anything about that.
    fn repeat(&self, who: Who<'static>, request: Request) {
        let world = self.world.clone();
        let delay = world.inner().chance.millis(SLOW);
        tokio::spawn(async move {
            sleep(delay).await;
            let is_there = world.inner().server.is_there(&request.path);
            if is_there {
                world.tell(|| format!("once more: {} {}", request.method, request.path));
                world.answer(who, &request);
            }
        });
    }

    /// Shows what a watch has to show, each event a while after it happened.
    async fn pump(self, mut watch: Watch, sender: mpsc::UnboundedSender<Bytes>) {
        let (cuts, changes) = {
            let mut inner = self.world.inner();
            (inner.cuts, inner.changed(&watch))
        };
        let end = Instant::now() + WATCH_LIFE;
        let mut bookmark = Instant::now() + BOOKMARK;
        loop {
            let mut changed = pin!(changes.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let (event, delay, is_cut_off) = {
                let mut inner = self.world.inner();
                if inner.cuts != cuts || !inner.server.serves(&watch) {
                    return;
                }
                let event = inner.server.next_event(&mut watch);
                let is_late = inner.late.get(self.agent).is_some_and(|until| self.world.time() < *until);
                let longest = if is_late { 20_000 } else { 100 };
                let delay = if event.is_some() { inner.chance.millis(longest) } else { Duration::ZERO };
                (event, delay, inner.cut_off.contains(self.agent))
            };
            if let Some(event) = event {
                sleep(delay).await;
                self.world.thawed(self.agent).await;
                if is_cut_off || self.world.inner().cuts != cuts {
                    return;
                }
                if let Some(object) = event.change.object().filter(|_| watch.is_of_the_agent()) {
                    self.show(object);
                }
                if sender.send(event.line().into()).is_err() {
                    return;
                }
                continue;
            }
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = changed => {}
                () = sleep_until(end) => return,
                () = sleep_until(bookmark) => {
                    bookmark += BOOKMARK;
                    if sender.send(Server::bookmark(&watch).into()).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn response(code: u16, body: Reply) -> http::Response<Reply> {
    let mut response = http::Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn whole(code: u16, body: &Value) -> http::Response<Reply> {
    let text = match body {
        Value::String(text) => text.clone().into_bytes(),
        // Not by way of a formatter, which takes twice the time.
        body => serde_json::to_vec(body).unwrap_or_default(),
    };
    let mut response = response(code, Reply::Once(Some(Bytes::from(text))));
    if code == 429 {
        response.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    response
}
