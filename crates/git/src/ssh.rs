//! Git over SSH: one connection, one remote command, and a time limit that holds whatever the peer does.
//!
//! The module uses libssh2 directly and not libgit2's own transport, for three reasons. That transport takes
//! its choice of host-key type from one file of the process, so two Secrets that know different keys of one
//! host would spoil each other. Its time limit is per socket operation, so a slow drip outlasts it. And its
//! errors are texts.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use ssh2::{Channel, ErrorCode, MethodType, Session};

use crate::SourceError;
use crate::context::FetchContext;
use crate::credentials::{Credentials, SshCredentials};
use crate::error::one_line;
use crate::url::is_forbidden;

/// The user if the address names none, as in Flux.
pub const DEFAULT_USER: &str = "git";
/// The time limit for one of a host's addresses to answer.
const ADDRESS: Duration = Duration::from_secs(10);
/// Codes of libssh2.
const KEX_FAILURE: i32 = -5;
const METHOD_NONE: i32 = -17;
const AUTHENTICATION_FAILED: i32 = -18;
const PUBLICKEY_UNVERIFIED: i32 = -19;
const FILE: i32 = -16;
const KEYFILE_AUTH_FAILED: i32 = -48;

/// The two ends of `git-upload-pack` on the host.
pub(crate) struct SshStream {
    context: Arc<FetchContext>,
    session: Session,
    channel: Channel,
    answered: bool,
}

impl SshStream {
    /// Connects, checks the host, authenticates and starts the command. The reason of a failure is left in
    /// `context`.
    pub(crate) fn open(context: &Arc<FetchContext>) -> io::Result<Self> {
        let Credentials::Ssh(credentials) = &context.credentials else {
            context.fail(SourceError::Credentials {
                secret: "spec.secretRef".into(),
                problem: "an ssh:// address needs a Secret with identity and known_hosts".into(),
            });
            return Err(failed());
        };
        let socket = connect(context)?;
        context.now_doing("agreeing on SSH encryption");
        let session = handshake(context, socket, credentials)?;
        context.now_doing("authenticating over SSH");
        authenticate(context, &session, credentials)?;
        context.now_doing("asking for the references");
        session.set_timeout(millis(context.remaining()?));
        let mut channel = session.channel_session().map_err(|error| broken(context, &error))?;
        channel.exec(&command(context.url.path())).map_err(|error| broken(context, &error))?;
        Ok(Self { context: Arc::clone(context), session, channel, answered: false })
    }

    /// A host that refuses says why on its error stream and sends nothing else.
    fn explain_silence(&mut self) {
        let mut said = Vec::new();
        let _ = (&mut self.channel.stderr()).take(4096).read_to_end(&mut said);
        let said = one_line(&String::from_utf8_lossy(&said));
        let host = self.context.host();
        self.context.fail(if said.is_empty() {
            SourceError::Connect { host, cause: "it closed the connection without an answer".into() }
        } else {
            SourceError::Remote { host, message: said }
        });
    }
}

impl Read for SshStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.set_timeout(millis(self.context.remaining()?));
        match self.channel.read(buffer) {
            Ok(0) if !self.answered => {
                self.explain_silence();
                Err(failed())
            }
            Ok(bytes) => {
                self.answered |= bytes > 0;
                self.context.receive(bytes)?;
                Ok(bytes)
            }
            Err(error) => Err(lost(&self.context, &error)),
        }
    }
}

impl Write for SshStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.session.set_timeout(millis(self.context.remaining()?));
        self.channel.write(buffer).map_err(|error| lost(&self.context, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.channel.flush()
    }
}

impl Drop for SshStream {
    fn drop(&mut self) {
        // The farewell must not outlast the fetch. A timeout of 0 would mean no limit.
        let left = self.context.remaining().unwrap_or(Duration::from_millis(1));
        self.session.set_timeout(millis(left.min(Duration::from_secs(1))));
    }
}

fn connect(context: &FetchContext) -> io::Result<TcpStream> {
    context.now_doing("resolving the host's name");
    let unreachable = |cause: String| {
        context.fail(SourceError::Connect { host: context.host(), cause });
        failed()
    };
    let addresses: Vec<SocketAddr> = (context.url.host(), context.url.port())
        .to_socket_addrs()
        .map_err(|error| {
            unreachable(format!("its name cannot be resolved: {}", one_line(&error.to_string())))
        })?
        .collect();
    context.now_doing("connecting");
    let mut last = unreachable_cause(&addresses);
    let mut left: VecDeque<_> = addresses.into_iter().filter(|address| !is_forbidden(address.ip())).collect();
    while let Some(address) = left.pop_front() {
        match TcpStream::connect_timeout(&address, share(context.remaining()?, left.len())) {
            Ok(socket) => {
                // Git's negotiation is a dialogue of small packets.
                let _ = socket.set_nodelay(true);
                context.watch(socket.try_clone()?);
                return Ok(socket);
            }
            Err(error) => last = one_line(&error.to_string()),
        }
    }
    context.remaining()?;
    Err(unreachable(last))
}

/// The time that one address may take to answer while there are `others` to try: a silent one leaves them
/// their part.
fn share(remaining: Duration, others: usize) -> Duration {
    let parts = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
    (remaining / parts).min(ADDRESS).max(Duration::from_millis(1))
}

fn unreachable_cause(addresses: &[SocketAddr]) -> String {
    match addresses.first() {
        None => "its name has no address".into(),
        Some(address) => format!("its address {} is a link-local or special one", address.ip()),
    }
}

fn handshake(context: &FetchContext, socket: TcpStream, credentials: &SshCredentials) -> io::Result<Session> {
    let mut session = Session::new().map_err(|error| broken(context, &error))?;
    let known = credentials.known_hosts.lookup(context.url.host(), context.url.port());
    session.method_pref(MethodType::HostKey, &known.algorithms()).map_err(|error| broken(context, &error))?;
    session.set_timeout(millis(context.remaining()?));
    session.set_tcp_stream(socket);
    session.handshake().map_err(|error| match error.code() {
        // A peer that breaks off has this code, and so has a peer that knows none of the algorithms, which
        // closes too.
        ErrorCode::Session(KEX_FAILURE | METHOD_NONE) => {
            let cause = "the SSH handshake failed: it broke off, or has no algorithm in common with lockgate";
            cut_off(context, cause.to_owned())
        }
        _ => broken(context, &error),
    })?;
    let (key, _) = session.host_key().ok_or_else(|| {
        context.fail(SourceError::HostKey(format!("{} shows no host key", context.host())));
        failed()
    })?;
    known.check(key, &credentials.source).map_err(|reason| {
        context.fail(SourceError::HostKey(reason));
        failed()
    })?;
    Ok(session)
}

fn authenticate(context: &FetchContext, session: &Session, credentials: &SshCredentials) -> io::Result<()> {
    let user = context.url.user().unwrap_or(DEFAULT_USER);
    session.set_timeout(millis(context.remaining()?));
    let identity = &credentials.identity;
    let result = session.userauth_pubkey_memory(user, None, identity.pem().expose(), identity.passphrase());
    let Err(error) = result else { return Ok(()) };
    match NotIn::of(&error) {
        NotIn::Rejected => {
            let key = identity.fingerprint();
            let key = key.as_deref().unwrap_or("with an unknown fingerprint, since it is encrypted");
            context.fail(SourceError::Rejected(format!(
                "{} does not let the key of {} in: {key} is not registered there for user {user}, or was revoked; \
                 register its public key again, read-only",
                context.host(),
                credentials.source
            )));
            Err(failed())
        }
        NotIn::Unusable => {
            context.fail(SourceError::Credentials {
                secret: credentials.source.clone(),
                problem: UNUSABLE.into(),
            });
            Err(failed())
        }
        NotIn::Broken => Err(broken(context, &error)),
    }
}

/// The message about a key that libssh2 cannot use.
pub const UNUSABLE: &str = "identity cannot be used: it is damaged, or password does not decrypt it";

/// Why the login with a key failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotIn {
    /// The host does not accept it.
    Rejected,
    /// It could not be used.
    Unusable,
    /// The connection broke.
    Broken,
}

impl NotIn {
    /// Reads the reason from libssh2's answer to an authentication.
    pub fn of(error: &ssh2::Error) -> Self {
        match error.code() {
            ErrorCode::Session(AUTHENTICATION_FAILED | PUBLICKEY_UNVERIFIED) => Self::Rejected,
            ErrorCode::Session(FILE | KEYFILE_AUTH_FAILED) => Self::Unusable,
            _ => Self::Broken,
        }
    }
}

/// The remote command, with the path quoted as Git quotes it for a shell.
pub fn command(path: &str) -> String {
    // `/~user/repository` is how an address writes a path below a home folder.
    let path = if path.starts_with("/~") { &path[1..] } else { path };
    let quoted = path.replace('\'', r"'\''").replace('!', r"'\!'");
    format!("git-upload-pack '{quoted}'")
}

fn broken(context: &FetchContext, error: &ssh2::Error) -> io::Error {
    lost(context, &io::Error::other(error.message().to_owned()))
}

fn lost(context: &FetchContext, error: &io::Error) -> io::Error {
    cut_off(context, format!("the connection broke: {}", one_line(&error.to_string())))
}

/// A connection that failed: it was cut, or out of time.
fn cut_off(context: &FetchContext, cause: String) -> io::Error {
    const NEARLY: Duration = Duration::from_millis(50);
    // libssh2 gives up a little before its limit, so almost no time left means the fetch's limit too.
    let is_spent = context.remaining().map_or(true, |left| left < NEARLY);
    context.fail(if is_spent {
        context.timeout()
    } else {
        SourceError::Connect { host: context.host(), cause }
    });
    failed()
}

/// The error for libgit2; the reason is in the context.
fn failed() -> io::Error {
    io::Error::other("the connection failed")
}

/// Milliseconds, libssh2's unit. At least 1, since 0 means no limit.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_address_leaves_the_others_their_time() {
        let seconds = Duration::from_secs;
        for (remaining, others, expected) in [
            (seconds(60), 0, seconds(10)),
            (seconds(60), 1, seconds(10)),
            (seconds(60), 9, seconds(6)),
            (seconds(5), 0, seconds(5)),
            (seconds(4), 1, seconds(2)),
            // The system refuses a timeout of zero.
            (Duration::from_nanos(1), 7, Duration::from_millis(1)),
        ] {
            assert_eq!(share(remaining, others), expected, "{remaining:?} {others}");
        }
    }

    #[test]
    fn a_path_cannot_leave_its_quotes() {
        let cases = [
            ("/o/r.git", "git-upload-pack '/o/r.git'"),
            ("/~me/r", "git-upload-pack '~me/r'"),
            ("/a';id;'b", r"git-upload-pack '/a'\'';id;'\''b'"),
            ("/a!b", r"git-upload-pack '/a'\!'b'"),
        ];
        for (path, expected) in cases {
            assert_eq!(command(path), expected);
        }
    }
}
