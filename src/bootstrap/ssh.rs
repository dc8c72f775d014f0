//! SSH from this machine: reads a server's host keys, and checks whether it accepts a key.
//!
//! libssh2 is used directly and not through libgit2, because it lets the caller choose the key type, and
//! takes host keys and the private key from memory.

use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use ssh2::{HostKeyType, MethodType, Session};

use super::branches::{self, Lists, packets};
use super::hosts::SshUrl;
use lockgate_git::SshCredentials;
use lockgate_git::ssh::{NotIn, UNUSABLE, command};

/// The time limit for a connection, and for each answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The requested key types, by their names in the protocol.
const HOST_KEY_TYPES: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512"];

/// Why a server could not be reached, or did not accept the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// No connection, or no SSH on it.
    #[error("{server} cannot be reached: {message}")]
    Unreachable {
        /// `host` or `[host]:port`.
        server: String,
        /// The message of the network or the library.
        message: String,
    },
    /// The key is not registered at the server.
    #[error("{server} does not accept the key")]
    Denied {
        /// `host` or `[host]:port`.
        server: String,
    },
    /// The server's host key is not in the Secret; the text has the presented and the expected ones.
    #[error("{0}")]
    HostKey(String),
    /// The private key is unusable.
    #[error("{secret}: {UNUSABLE}")]
    Identity {
        /// `Secret namespace/name`.
        secret: String,
    },
    /// The server accepted the key, but does not serve the repository to it.
    #[error("{server} does not serve {path}: {message}")]
    Repository {
        /// `host` or `[host]:port`.
        server: String,
        /// Path of the repository.
        path: String,
        /// The server's message.
        message: String,
    },
}

/// The host keys of a server as `known_hosts` lines, one for each type. This blocks.
pub fn scan(url: &SshUrl) -> Result<Vec<String>, SshError> {
    scan_over(url, || connect(url))
}

fn scan_over(
    url: &SshUrl,
    mut connect: impl FnMut() -> Result<TcpStream, SshError>,
) -> Result<Vec<String>, SshError> {
    let mut lines = Vec::new();
    let mut last_error = None;
    for name in HOST_KEY_TYPES {
        let stream = match connect() {
            Ok(stream) => stream,
            // Another type of key belongs to the same host.
            Err(error) => {
                last_error = Some(error);
                break;
            }
        };
        match greet(url, stream, name) {
            Ok(session) => lines.extend(host_key_line(url, &session)),
            // A server without a key of this type ends the handshake.
            Err(error) => last_error = Some(error),
        }
    }
    match (lines.is_empty(), last_error) {
        (true, Some(error)) => Err(error),
        _ => Ok(lines),
    }
}

/// The branches of the repository and their commits, if the server accepts the key. This blocks.
pub fn branches(url: &SshUrl, credentials: &SshCredentials) -> Result<Vec<(String, String)>, SshError> {
    let known = credentials.known_hosts.lookup(url.git().host(), url.git().port());
    let session = greet(url, connect(url)?, &known.algorithms())?;
    let (shown, _) = session
        .host_key()
        .ok_or_else(|| SshError::HostKey(format!("{} shows no host key", url.known_as())))?;
    known.check(shown, &credentials.source).map_err(SshError::HostKey)?;
    let identity = &credentials.identity;
    let (pem, passphrase) = (identity.pem().expose(), identity.passphrase());
    session.userauth_pubkey_memory(url.user(), None, pem, passphrase).map_err(|error| {
        match NotIn::of(&error) {
            NotIn::Rejected => SshError::Denied { server: url.known_as() },
            NotIn::Unusable => SshError::Identity { secret: credentials.source.clone() },
            NotIn::Broken => unreachable(url, &error),
        }
    })?;
    advertised(url, &session)
}

fn connect(url: &SshUrl) -> Result<TcpStream, SshError> {
    let failed = |error: std::io::Error| unreachable(url, &error);
    let addresses = (url.git().host(), url.git().port()).to_socket_addrs().map_err(failed)?;
    let mut last_error = std::io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last_error = error,
        }
    }
    Err(unreachable(url, &last_error))
}

fn greet(url: &SshUrl, stream: TcpStream, host_key_types: &str) -> Result<Session, SshError> {
    let failed = |error: ssh2::Error| unreachable(url, &error);
    let mut session = Session::new().map_err(failed)?;
    session.set_timeout(u32::try_from(TIMEOUT.as_millis()).unwrap_or(u32::MAX));
    session.method_pref(MethodType::HostKey, host_key_types).map_err(failed)?;
    session.set_tcp_stream(stream);
    session.handshake().map_err(failed)?;
    Ok(session)
}

fn host_key_line(url: &SshUrl, session: &Session) -> Option<String> {
    use base64::Engine as _;
    let (key, kind) = session.host_key()?;
    let kind = match kind {
        HostKeyType::Rsa => "ssh-rsa",
        HostKeyType::Ecdsa256 => "ecdsa-sha2-nistp256",
        HostKeyType::Ecdsa384 => "ecdsa-sha2-nistp384",
        HostKeyType::Ecdsa521 => "ecdsa-sha2-nistp521",
        HostKeyType::Ed25519 => "ssh-ed25519",
        HostKeyType::Dss | HostKeyType::Unknown => return None,
    };
    Some(format!("{} {kind} {}", url.known_as(), base64::engine::general_purpose::STANDARD.encode(key)))
}

/// Runs `git-upload-pack`, which lists the references first, and reads no further.
fn advertised(url: &SshUrl, session: &Session) -> Result<Vec<(String, String)>, SshError> {
    let path = url.git().path();
    let refused =
        |message: String| SshError::Repository { server: url.known_as(), path: path.to_owned(), message };
    let mut channel = session.channel_session().map_err(|error| refused(error.message().into()))?;
    channel.exec(&command(path)).map_err(|error| refused(error.message().into()))?;
    let lines = packets(&mut channel, Lists::First).map_err(|error| refused(error.to_string()))?;
    if lines.is_empty() {
        let mut message = String::new();
        let _ = channel.stderr().take(2000).read_to_string(&mut message);
        let message = message.trim();
        let message = if message.is_empty() { "there is no Git repository" } else { message };
        return Err(refused(message.lines().last().unwrap_or_default().into()));
    }
    Ok(branches::of(&lines))
}

fn unreachable(url: &SshUrl, error: &impl std::fmt::Display) -> SshError {
    SshError::Unreachable { server: url.known_as(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_host_that_cannot_be_reached_is_not_tried_for_each_type_of_key() {
        let url: SshUrl = "ssh://git@127.0.0.1:1/r".parse().unwrap();
        let mut tries = 0;
        let ended = scan_over(&url, || {
            tries += 1;
            Err(unreachable(&url, &"timed out"))
        });
        assert_eq!((ended, tries), (Err(unreachable(&url, &"timed out")), 1));
        // A server that was reached may lack one type of key and have the next.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut tries = 0;
        let ended = scan_over(&url, || {
            tries += 1;
            let stream = TcpStream::connect(address).unwrap();
            drop(listener.accept().unwrap());
            Ok(stream)
        });
        assert!(ended.is_err());
        assert_eq!(tries, HOST_KEY_TYPES.len());
    }
}
