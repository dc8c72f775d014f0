//! Addresses as Go's `net/url` reads and writes them.

use core::net::Ipv6Addr;

use super::quote::quote;

/// Go's `url.URL`, as far as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Url {
    /// In lower case.
    pub scheme: Vec<u8>,
    /// The text behind the scheme if it has no slash.
    pub opaque: Vec<u8>,
    /// The user, and the password if there is one.
    pub user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    /// The host with its port.
    pub host: Vec<u8>,
    /// Decoded.
    pub path: Vec<u8>,
    /// Encoded, without the question mark.
    pub query: Vec<u8>,
    /// Decoded, without the number sign.
    pub fragment: Vec<u8>,
}

/// The part of an address that contains a text, which decides the escaped characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

fn is_escaped(byte: u8, part: Part) -> bool {
    let in_host = matches!(part, Part::Host | Part::Zone);
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => false,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'[' | b']'
        | b'<' | b'>' | b'"'
            if in_host =>
        {
            false
        }
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::User => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Fragment => false,
            Part::Host | Part::Zone => true,
        },
        b'!' | b'(' | b')' | b'*' => part != Part::Fragment,
        _ => true,
    }
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if is_escaped(*byte, part) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
    out
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&quote(text, false)).into_owned()
}

/// The byte of two hex digits after a percent sign.
fn hex_at(text: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let in_host = matches!(part, Part::Host | Part::Zone);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'%' {
            if in_host && text[at].is_ascii() && is_escaped(text[at], part) {
                return Err(format!("invalid character {} in host name", quoted(&text[at..=at])));
            }
            out.push(text[at]);
            at += 1;
            continue;
        }
        let shown = &text[at..text.len().min(at + 3)];
        let invalid = || format!("invalid URL escape {}", quoted(shown));
        let byte = hex_at(text, at + 1).ok_or_else(invalid)?;
        let is_percent = shown == b"%25";
        // Only characters outside of ASCII may be escaped in a host.
        if part == Part::Host && byte < 0x80 && !is_percent {
            return Err(invalid());
        }
        if part == Part::Zone && !is_percent && byte != b' ' && is_escaped(byte, Part::Host) {
            return Err(invalid());
        }
        out.push(byte);
        at += 3;
    }
    Ok(out)
}

impl Url {
    /// `url.Parse`. Errors have Go's words.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let (before, fragment) = cut(text, b'#');
        let told = |text: &[u8], error: String| format!("parse {}: {error}", quoted(text));
        let mut url = Self::parse_without_fragment(before).map_err(|error| told(before, error))?;
        if let Some(fragment) = fragment {
            url.fragment = unescape(fragment, Part::Fragment).map_err(|error| told(text, error))?;
        }
        Ok(url)
    }

    fn parse_without_fragment(text: &[u8]) -> Result<Self, String> {
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        let mut url = Self::default();
        if text == b"*" {
            url.path = text.to_vec();
            return Ok(url);
        }
        let (scheme, rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = cut(rest, b'?');
        url.query = query.unwrap_or_default().to_vec();
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        let has_authority = !url.scheme.is_empty() || !rest.starts_with(b"///");
        if let Some(after) = rest.strip_prefix(b"//").filter(|_| has_authority) {
            let end = after.iter().position(|byte| *byte == b'/').unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            (url.user, url.host) = parse_authority(&url.scheme, authority)?;
            rest = path;
        }
        url.path = unescape(rest, Part::Path)?;
        Ok(url)
    }

    /// The host without its port and brackets.
    pub fn hostname(&self) -> &[u8] {
        let mut host = &self.host[..];
        if let Some(colon) = host.iter().rposition(|byte| *byte == b':')
            && is_port(&host[colon..])
        {
            host = &host[..colon];
        }
        host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
    }

    /// The user and the password in the notation of an address.
    pub fn userinfo(&self) -> Vec<u8> {
        let Some((name, password)) = &self.user else { return Vec::new() };
        let mut out = escape(name, Part::User);
        if let Some(password) = password {
            out.push(b':');
            out.extend(escape(password, Part::User));
        }
        out
    }

    /// `u.String()` of an address that was built from its parts.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            if !self.host.is_empty()
                || self.user.is_some()
                || (!self.scheme.is_empty() && !self.path.is_empty())
            {
                out.extend_from_slice(b"//");
            }
            if self.user.is_some() {
                out.extend(self.userinfo());
                out.push(b'@');
            }
            out.extend(escape(&self.host, Part::Host));
            let path = if self.path == b"*" { self.path.clone() } else { escape(&self.path, Part::Path) };
            if !self.host.is_empty() && path.first().is_some_and(|first| *first != b'/') {
                out.push(b'/');
            }
            // The first part of the path would be taken for a scheme.
            if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
                out.extend_from_slice(b"./");
            }
            out.extend(path);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(escape(&self.fragment, Part::Fragment));
        }
        out
    }
}

/// The text before a byte, and the text behind it if the byte occurs.
fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == at) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

fn split_scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok((&[], text))
}

/// The user with the password, and the host.
type Authority = (Option<(Vec<u8>, Option<Vec<u8>>)>, Vec<u8>);

fn parse_authority(scheme: &[u8], authority: &[u8]) -> Result<Authority, String> {
    let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else {
        return Ok((None, parse_host(scheme, authority)?));
    };
    let (info, host) = (&authority[..at], parse_host(scheme, &authority[at + 1..])?);
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
    if !info.iter().all(fits) {
        return Err("net/url: invalid userinfo".into());
    }
    let (name, password) = cut(info, b':');
    let name = unescape(name, Part::User)?;
    let password = password.map(|password| unescape(password, Part::User)).transpose()?;
    Ok((Some((name, password)), host))
}

/// Whether a text is empty, or a colon and digits.
fn is_port(text: &[u8]) -> bool {
    text.strip_prefix(b":").map_or(text.is_empty(), |digits| digits.iter().all(u8::is_ascii_digit))
}

fn checked_port(port: &[u8]) -> Result<(), String> {
    if is_port(port) { Ok(()) } else { Err(format!("invalid port {} after host", quoted(port))) }
}

fn parse_host(scheme: &[u8], host: &[u8]) -> Result<Vec<u8>, String> {
    match host.iter().rposition(|byte| *byte == b'[') {
        Some(0) => return parse_literal(host),
        Some(_) => return Err("invalid IP-literal".into()),
        None => {}
    }
    let first = host.iter().position(|byte| *byte == b':');
    let last = host.iter().rposition(|byte| *byte == b':');
    // Lists of hosts have several colons, and are no web addresses.
    let is_strict = scheme == b"http" || scheme == b"https";
    if let Some(colon) = if is_strict { first } else { last } {
        checked_port(&host[colon..])?;
    }
    unescape(host, Part::Host)
}

/// An IPv6 address in brackets, perhaps with a zone and a port.
fn parse_literal(host: &[u8]) -> Result<Vec<u8>, String> {
    let close = host.iter().rposition(|byte| *byte == b']').ok_or("missing ']' in host")?;
    let (name, port) = (&host[1..close], &host[close + 1..]);
    checked_port(port)?;
    let zone = name.windows(3).position(|part| part == b"%25");
    let (address, zone) = name.split_at(zone.unwrap_or(name.len()));
    let mut unescaped = unescape(address, Part::Host)?;
    unescaped.extend(unescape(zone, Part::Zone)?);
    let text = String::from_utf8_lossy(&unescaped).into_owned();
    let (plain, zone) =
        text.split_once('%').map_or((text.as_str(), None), |(plain, zone)| (plain, Some(zone)));
    if plain.parse::<core::net::Ipv4Addr>().is_ok() && zone.is_none() {
        return Err("invalid IP-literal".into());
    }
    if plain.parse::<Ipv6Addr>().is_err() || zone == Some("") {
        return Err(format!("invalid host: ParseAddr({}): unable to parse IP", quoted(&unescaped)));
    }
    Ok([b"[", &unescaped[..], b"]", port].concat())
}
