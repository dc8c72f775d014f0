//! The address of a Git repository, parsed against an allow-list before any connection.
//!
//! Only `ssh://`, `https://` and, without credentials, `http://` are allowed. An address that could reach a
//! command line, a local file or a cloud's metadata service is refused here, so the code below needs no check
//! of its own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::SourceError;

/// The protocol of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// SSH, authenticated by a key.
    Ssh,
    /// HTTP over TLS.
    Https,
    /// Plain HTTP.
    Http,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Ssh => 22,
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// A repository's address. It never holds a password. Printing it leaves out the user of an `https://`
/// address, which may be a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitUrl {
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

impl GitUrl {
    /// Reads an address, and refuses addresses that lockgate never connects to.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        Self::read(text).map_err(|problem| SourceError::InvalidUrl { url: redact(text), problem })
    }

    /// Reads a web address, whose path may be empty, and refuses addresses that lockgate never connects to.
    pub fn site(text: &str) -> Result<Self, SourceError> {
        let invalid = |problem: String| SourceError::InvalidUrl { url: redact(text), problem };
        // Any text behind the slash is a path.
        let url = Self::read(&format!("{}/.", text.trim_end_matches('/'))).map_err(invalid)?;
        match url.scheme {
            Scheme::Ssh => Err(invalid("write https://".into())),
            Scheme::Https | Scheme::Http => Ok(url),
        }
    }

    /// The protocol of the repository.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user before the `@`.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host's name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, from the address or the scheme.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }

    /// The path, with its leading `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `host` for the scheme's default port, `host:port` for another.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) if port != self.scheme.default_port() => format!("{host}:{port}"),
            _ => host,
        }
    }

    /// Whether the host is this machine itself.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return Err("it contains a space, a control character or a letter outside ASCII".into());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(without_scheme(text));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ssh" => Scheme::Ssh,
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            other => {
                return Err(format!("'{}' is not allowed; write ssh:// or https://", other.escape_debug()));
            }
        };
        if rest.contains(['?', '#']) {
            return Err("a query or fragment has no meaning in a repository's address".into());
        }
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => return Err("it names no repository after the host".into()),
        };
        let (user, host_and_port) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(read_user(user)?), host),
            None => (None, authority),
        };
        let (host, port) = read_host(host_and_port)?;
        Ok(Self { scheme, user, host, port, path: read_path(&path)? })
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.name())?;
        if let (Scheme::Ssh, Some(user)) = (self.scheme, &self.user) {
            write!(f, "{user}@")?;
        }
        write!(f, "{}{}", self.authority(), self.path)
    }
}

/// Whether lockgate must never connect to an address: link-local ones, where clouds keep the machine's own
/// credentials.
pub(crate) fn is_forbidden(address: IpAddr) -> bool {
    fn forbidden_v4(address: Ipv4Addr) -> bool {
        address.is_link_local()
            || address.is_unspecified()
            || address.is_broadcast()
            || address.is_multicast()
    }
    fn forbidden_v6(address: Ipv6Addr) -> bool {
        const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
        address.is_unicast_link_local()
            || address.is_unspecified()
            || address.is_multicast()
            || address == AWS_METADATA
            || address.to_ipv4_mapped().is_some_and(forbidden_v4)
    }
    match address {
        IpAddr::V4(address) => forbidden_v4(address),
        IpAddr::V6(address) => forbidden_v6(address),
    }
}

fn without_scheme(text: &str) -> String {
    if text.contains("::") {
        return "remote helpers are not allowed; write ssh:// or https://".into();
    }
    let (user, address) = text.rsplit_once('@').unwrap_or(("git", text));
    match address.split_once(':') {
        // A user with a ':' in it holds a password, which messages must not repeat.
        Some((host, path))
            if !host.is_empty() && !path.is_empty() && !host.contains('/') && !user.contains(':') =>
        {
            let path = path.trim_start_matches('/');
            format!("the form host:path is not allowed; write \"ssh://{user}@{host}/{path}\"")
        }
        _ => "it has no scheme; write ssh:// or https://".into(),
    }
}

fn read_user(user: &str) -> Result<String, String> {
    if user.contains(':') {
        return Err("a password in the address can be read by everyone who may read the object; \
                    put it in a Secret and name that in spec.secretRef"
            .into());
    }
    let user = percent_decode(user)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(allowed) {
        return Err("the user name is empty, begins with '-' or has a character that is not allowed".into());
    }
    Ok(user)
}

fn read_host(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| "the brackets do not hold an IPv6 address")?;
        match (port.strip_prefix(':'), port.is_empty()) {
            (Some(port), _) => (host, Some(port)),
            (None, true) => (host, None),
            (None, false) => return Err("the port must follow the bracket after a ':'".into()),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        None => None,
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(format!("'{port}' is not a port")),
        },
        Some(_) => {
            return Err("what follows ':' is not a port; separate host and repository with '/'".into());
        }
    };
    let host = host.to_ascii_lowercase();
    check_host(&host)?;
    Ok((host, port))
}

fn check_host(host: &str) -> Result<(), String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        if is_forbidden(address) {
            return Err(format!("{address} is a link-local or special address"));
        }
        return Ok(());
    }
    if host == "metadata.google.internal" {
        return Err("it is the metadata service of a cloud".into());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if host.is_empty() || host.starts_with(['-', '.']) || host.len() > 253 || !host.chars().all(allowed) {
        return Err("the host is empty, begins with '-' or has a character that is not allowed".into());
    }
    // Resolvers read 2852039166, 0xa9fea9fe and 169.254.43518 as addresses, past the check above.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the host is a number that is not an address of the form 192.0.2.1".into());
    }
    Ok(())
}

fn read_path(path: &str) -> Result<String, String> {
    let path = percent_decode(path)?;
    let first = path.trim_start_matches('/');
    if first.is_empty() {
        return Err("it names no repository after the host".into());
    }
    if first.starts_with('-') {
        return Err("the path begins with '-', which a server could read as an option".into());
    }
    if path.split('/').any(|part| part == "..") {
        return Err("the path contains '..'".into());
    }
    Ok(path)
}

fn percent_decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let pair = tail.get(..2).and_then(|pair| hex::decode(pair).ok());
        let decoded =
            pair.and_then(|pair| pair.first().copied()).ok_or("a '%' is not followed by two hex digits")?;
        if decoded < 0x20 || decoded == 0x7f {
            return Err("it contains an escaped control character".into());
        }
        bytes.push(decoded);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| "an escaped character is not UTF-8".into())
}

/// The text without everything between `//` and the last `@` of the host, since that may be a password or
/// token.
fn redact(text: &str) -> String {
    let visible: String = text.chars().take(300).flat_map(char::escape_debug).collect();
    let Some((scheme, rest)) = visible.split_once("://") else {
        // In the form user:password@host:path the part before the last `@` may be a secret too.
        return match visible.rsplit_once('@') {
            Some((user, rest)) if user.contains(':') => format!("***@{rest}"),
            _ => visible,
        };
    };
    let end = rest.find('/').unwrap_or(rest.len());
    // A password with a raw '/' in it would end the host early, so everything up to the last `@` is removed.
    let at = rest[..end].rfind('@').or_else(|| rest.rfind('@'));
    match at {
        Some(at) if scheme == "ssh" && !rest[..at].contains(':') => visible,
        Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]),
        None => visible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_used() {
        let cases = [
            ("ssh://git@github.com/o/r.git", "ssh://git@github.com/o/r.git", 22),
            ("ssh://git@GitHub.com:22/o/r", "ssh://git@github.com/o/r", 22),
            ("ssh://git@127.0.0.1:2222/o/r", "ssh://git@127.0.0.1:2222/o/r", 2222),
            ("ssh://[::1]:2222/~me/r", "ssh://[::1]:2222/~me/r", 2222),
            ("https://github.com/o/r", "https://github.com/o/r", 443),
            ("https://ghp_token@github.com/o/r", "https://github.com/o/r", 443),
            ("http://10.0.0.1:8080/o/r%20s", "http://10.0.0.1:8080/o/r s", 8080),
        ];
        for (text, printed, port) in cases {
            let url = GitUrl::parse(text).unwrap();
            assert_eq!((url.to_string().as_str(), url.port()), (printed, port), "{text}");
        }
        assert!(GitUrl::parse("http://127.0.0.2/x").unwrap().is_loopback());
        assert!(!GitUrl::parse("http://10.0.0.1/x").unwrap().is_loopback());
    }

    #[test]
    fn addresses_that_are_refused_each_with_its_reason() {
        let cases = [
            ("file:///etc", "'file' is not allowed"),
            ("git://github.com/o/r", "'git' is not allowed"),
            ("ext::sh -c id", "a space"),
            ("ext::sh", "remote helpers"),
            ("git@github.com:o/r.git", "write \"ssh://git@github.com/o/r.git\""),
            ("github.com:o/r.git", "write \"ssh://git@github.com/o/r.git\""),
            ("ssh://git@github.com:o/r.git", "separate host and repository with '/'"),
            ("/srv/git/r", "no scheme"),
            ("", "no scheme"),
            ("ssh://-oProxyCommand=id/r", "begins with '-'"),
            ("ssh://-x@h/r", "begins with '-'"),
            ("ssh://%2dx@h/r", "begins with '-'"),
            ("ssh://h/-r", "as an option"),
            ("ssh://h/%2d-upload-pack=id", "as an option"),
            ("ssh://h/a/../../etc", "'..'"),
            ("ssh://h/r%0aid", "control"),
            ("ssh://h/r%zz", "two hex digits"),
            ("ssh://h$(id)/r", "not allowed"),
            ("ssh://h", "names no repository"),
            ("ssh://h/", "names no repository"),
            ("ssh://h:0/r", "not a port"),
            ("ssh://h:99999/r", "not a port"),
            ("ssh://[::1/r", "not closed"),
            ("https://h/r?x=1", "query"),
            ("http://169.254.169.254/latest", "link-local"),
            ("http://[::ffff:169.254.169.254]/x", "link-local"),
            ("http://[fe80::1]/x", "link-local"),
            ("http://[fd00:ec2::254]/x", "link-local"),
            ("http://0.0.0.0/x", "link-local"),
            ("http://2852039166/x", "a number"),
            ("http://0xa9fea9fe/x", "a number"),
            ("http://169.254.43518/x", "a number"),
            ("http://metadata.google.internal/x", "metadata"),
            ("https://user:hunter2@h/r", "spec.secretRef"),
        ];
        for (text, problem) in cases {
            let error = GitUrl::parse(text).unwrap_err();
            assert!(matches!(&error, SourceError::InvalidUrl { .. }), "{text}");
            assert!(error.to_string().contains(problem), "{text}: {error}");
            assert!(error.is_terminal());
        }
    }

    #[test]
    fn no_refusal_repeats_a_password() {
        for text in [
            "https://user:hunter2@h/r",
            "ftp://user:hunter2@h/r",
            "https://user:hunter2/x@h/r",
            "https://hunter2@h/r?x",
            "ssh://git:hunter2@h/r",
            "user:hunter2@h:r",
        ] {
            let message = GitUrl::parse(text).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_it_takes_reads_back(text in "(ssh|http|https)://[-a-z0-9@:/.%\\[\\]]{0,40}|.{0,60}") {
            if let Ok(url) = GitUrl::parse(&text) {
                proptest::prop_assert!(!url.host().starts_with('-') && !url.path().trim_start_matches('/').starts_with('-'));
            }
        }
    }
}
