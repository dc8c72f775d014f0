//! A TCP proxy that misbehaves on command, in front of sshd, the API server or any other server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::serve::Server;

/// The treatment of open and new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything.
    Pass,
    /// Nothing listens; open connections are reset.
    Refuse,
    /// Accepts, and passes nothing.
    Silent,
    /// Passes this many bytes of a connection's answer and then nothing more, and leaves the connection open.
    BlackholeAfter(u64),
    /// Passes this many bytes of a connection's answer, and then closes it like a complete one.
    CloseAfter(u64),
    /// Passes the answers at this many bytes a second.
    Throttle(u64),
    /// Resets connections.
    Reset,
    /// Passes everything, each piece after this delay.
    Latency(Duration),
}

/// A proxy on a free loopback port. On drop it ends, with its connections.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    mode: watch::Sender<Mode>,
    listening: watch::Sender<bool>,
    connections: AtomicUsize,
    open: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Proxy {
    /// Starts a proxy that passes connections on to `upstream`.
    pub fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            upstream,
            mode: watch::Sender::new(Mode::Pass),
            listening: watch::Sender::new(true),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        let server = Server::start(None, {
            let shared = Arc::clone(&shared);
            move |listener| listen(listener, shared)
        })?;
        Ok(Self { server, shared })
    }

    /// The address on which the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Sets the mode. When this returns, a refusing proxy has stopped listening, and any other one listens.
    pub async fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
        let mut listening = self.shared.listening.subscribe();
        // The task ends only with the proxy itself.
        let _ = listening.wait_for(|&listening| listening == (mode != Mode::Refuse)).await;
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The number of connections that are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// The number of bytes that clients have sent.
    pub fn bytes_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// The number of bytes that clients have received.
    pub fn bytes_received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }
}

/// Accepts connections while the mode allows it.
async fn listen(first: TcpListener, shared: Arc<Shared>) {
    let Ok(address) = first.local_addr() else { return };
    let mut mode = shared.mode.subscribe();
    // Connections end with this set, and so with the proxy.
    let mut connections = tokio::task::JoinSet::new();
    let mut listener = Some(first);
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        shared.listening.send_replace(listener.is_some());
        let Some(listening) = &listener else {
            // Refusing lasts until another mode is set. A port that could not be taken again is tried again.
            let _ = tokio::time::timeout(Duration::from_millis(20), mode.changed()).await;
            continue;
        };
        tokio::select! {
            accepted = listening.accept() => {
                if let Ok((stream, _)) = accepted {
                    shared.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
            _ = mode.changed() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    shared.open.fetch_add(1, Ordering::Relaxed);
    let _open = OnDrop(&shared.open);
    let mut mode = shared.mode.subscribe();
    // A client may be gone already.
    let _ = client.set_nodelay(true);
    if doomed(*mode.borrow()) {
        return reset(&client);
    }
    let Ok(upstream) = TcpStream::connect(shared.upstream).await else { return reset(&client) };
    let _ = upstream.set_nodelay(true);
    let (mut client_read, mut client_write) = client.into_split();
    let (mut upstream_read, mut upstream_write) = upstream.into_split();
    let both = async {
        let up = pump(&mut client_read, &mut upstream_write, &shared, Direction::Up);
        let down = pump(&mut upstream_read, &mut client_write, &shared, Direction::Down);
        tokio::join!(up, down)
    };
    let ended = tokio::select! {
        _ = both => true,
        _ = mode.wait_for(|&mode| doomed(mode)) => false,
    };
    if !ended && let Ok(client) = client_read.reunite(client_write) {
        reset(&client);
    }
}

fn doomed(mode: Mode) -> bool {
    matches!(mode, Mode::Refuse | Mode::Reset)
}

fn reset(client: &TcpStream) {
    // A socket that is dropped with no time to linger is reset. If that cannot be set, it is closed.
    let _ = client.set_zero_linger();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// Passes one direction until its end.
async fn pump(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, shared: &Shared, direction: Direction) {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.get(..length).unwrap_or_default();
        let mode = *shared.mode.borrow();
        if !pass(to, bytes, mode, direction, &mut passed, shared).await.unwrap_or(false) {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown().await;
}

/// Writes the bytes that the mode lets through; `false` ends the connection's direction.
async fn pass(
    to: &mut OwnedWriteHalf,
    bytes: &[u8],
    mode: Mode,
    direction: Direction,
    passed: &mut u64,
    shared: &Shared,
) -> io::Result<bool> {
    let down = direction == Direction::Down;
    let left =
        |limit: u64| usize::try_from(limit.saturating_sub(*passed)).unwrap_or(usize::MAX).min(bytes.len());
    let (allowed, open) = match mode {
        Mode::Silent | Mode::Refuse | Mode::Reset => (0, true),
        Mode::BlackholeAfter(limit) if down => (left(limit), true),
        Mode::CloseAfter(limit) if down => (left(limit), left(limit) == bytes.len()),
        _ => (bytes.len(), true),
    };
    let bytes = bytes.get(..allowed).unwrap_or_default();
    *passed += allowed as u64;
    let counter = if down { &shared.received } else { &shared.sent };
    match mode {
        Mode::Throttle(rate) if down => {
            let rate = usize::try_from(rate.max(1)).unwrap_or(usize::MAX);
            for piece in bytes.chunks((rate / 10).max(1)) {
                to.write_all(piece).await?;
                counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
                // A rate that was lifted meanwhile no longer applies.
                if *shared.mode.borrow() == mode {
                    tokio::time::sleep(Duration::from_micros((piece.len() * 1_000_000 / rate) as u64)).await;
                }
            }
        }
        _ => {
            if let Mode::Latency(delay) = mode {
                tokio::time::sleep(delay).await;
            }
            to.write_all(bytes).await?;
            counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }
    Ok(open)
}

struct OnDrop<'a>(&'a AtomicUsize);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Answers each byte with a thousand.
    fn upstream() -> Server {
        Server::start(None, async |listener: TcpListener| {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while stream.read_u8().await.is_ok() {
                        if stream.write_all(&[7; 1000]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        })
        .unwrap()
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<usize> {
        stream.write_u8(1).await?;
        let mut got = 0;
        let mut buffer = [0; 1000];
        while got < 1000 {
            match tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await {
                Ok(Ok(0)) | Err(_) => break,
                Ok(length) => got += length?,
            }
        }
        Ok(got)
    }

    #[tokio::test]
    async fn each_mode_does_what_it_says() {
        let upstream = upstream();
        let proxy = Proxy::start(upstream.address()).unwrap();
        let connect = || TcpStream::connect(proxy.address());
        let mut stream = connect().await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), 1000);
        // Bytes are counted after they have been passed on, so the client may see them first.
        crate::eventually(Duration::from_secs(5), async || {
            let counts = (proxy.connections(), proxy.open(), proxy.bytes_sent(), proxy.bytes_received());
            anyhow::ensure!(counts == (1, 1, 1, 1000), "{counts:?}");
            Ok(())
        })
        .await
        .unwrap();
        proxy.set(Mode::Silent).await;
        assert_eq!(ask(&mut stream).await.unwrap(), 0);
        proxy.set(Mode::Reset).await;
        assert_eq!(ask(&mut stream).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        proxy.set(Mode::Refuse).await;
        assert_eq!(connect().await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        proxy.set(Mode::BlackholeAfter(1500)).await;
        let mut stream = connect().await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap() + ask(&mut stream).await.unwrap(), 1500);
        proxy.set(Mode::CloseAfter(200)).await;
        let mut stream = connect().await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), 200);
        proxy.set(Mode::Throttle(5000)).await;
        let started = Instant::now();
        assert_eq!(ask(&mut connect().await.unwrap()).await.unwrap(), 1000);
        assert!(started.elapsed() > Duration::from_millis(90), "{:?}", started.elapsed());
        proxy.set(Mode::Latency(Duration::from_millis(50))).await;
        let started = Instant::now();
        assert_eq!(ask(&mut connect().await.unwrap()).await.unwrap(), 1000);
        assert!(started.elapsed() > Duration::from_millis(100), "{:?}", started.elapsed());
        proxy.set(Mode::Pass).await;
        assert_eq!(ask(&mut connect().await.unwrap()).await.unwrap(), 1000);
    }
}
