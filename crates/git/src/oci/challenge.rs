//! A registry's demand for a login: the header `WWW-Authenticate` (RFC 7235), and the token that answers it
//! (the token specification of CNCF distribution).

use serde::Deserialize;

use super::login::Login;
use lockgate_base::model::Secret;

/// The login that a registry demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// The user name and password with each request.
    Basic,
    /// A token from another server.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Reads the header; `None` if it demands no known login.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let find = |name: &str| {
            let mut found = parameters(rest).filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value)
        };
        Some(Self::Bearer { realm: find("realm")?, service: find("service"), scope: find("scope") })
    }
}

/// `key="value"` pairs with commas between them; a comma in quotes is part of the value.
fn parameters(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (key, tail) = rest.trim_start_matches([' ', ',']).split_once('=')?;
        let (value, after) = if let Some(quoted) = tail.strip_prefix('"') {
            let (value, after) = quoted.split_once('"')?;
            (value, after)
        } else {
            let end = tail.find(',').unwrap_or(tail.len());
            (tail[..end].trim(), &tail[end..])
        };
        rest = after;
        Some((key.trim(), value.to_owned()))
    })
}

/// The request for a token.
#[derive(Debug)]
pub(super) enum TokenRequest {
    /// A GET of this address, with an `Authorization` header if there is one.
    Get { url: String, authorization: Option<Secret<String>> },
    /// A POST of this form.
    Post { url: String, form: Secret<String> },
}

/// The request for a token that allows reading a repository.
pub(super) fn token_request(
    realm: &str,
    service: Option<&str>,
    scope: Option<&str>,
    name: &str,
    login: Option<&Login>,
) -> TokenRequest {
    let scope = scope.map_or_else(|| format!("repository:{name}:pull"), ToOwned::to_owned);
    let mut pairs = vec![("scope", scope.as_str())];
    pairs.extend(service.map(|service| ("service", service)));
    if let Some(token) = login.and_then(|login| login.identity_token.as_ref()) {
        pairs.extend([
            ("grant_type", "refresh_token"),
            ("client_id", "lockgate"),
            ("refresh_token", token.expose().as_str()),
        ]);
        return TokenRequest::Post { url: realm.to_owned(), form: Secret::new(encoded(&pairs)) };
    }
    let sign = if realm.contains('?') { '&' } else { '?' };
    let url = format!("{realm}{sign}{}", encoded(&pairs));
    TokenRequest::Get { url, authorization: login.and_then(Login::basic) }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = pairs.iter().map(|(key, value)| format!("{key}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The token in the answer of its server.
pub(super) fn token(answer: &[u8]) -> Option<Secret<String>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        token: String,
        #[serde(default)]
        access_token: String,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    let is_clean = !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
    is_clean.then(|| Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.docker.io/token".into(),
            service: Some("registry.docker.io".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(Challenge::parse(header), Some(expected));
        assert_eq!(Challenge::parse("basic realm=\"x\""), Some(Challenge::Basic));
        let open = Challenge::Bearer { realm: "https://h/t".into(), service: None, scope: None };
        assert_eq!(Challenge::parse("bearer realm=https://h/t"), Some(open));
        for strange in ["", "Digest realm=\"x\"", "Bearer service=\"x\"", "Bearer realm=\"x"] {
            assert_eq!(Challenge::parse(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_token_is_asked_for_by_password_or_by_identity() {
        let login = |identity: Option<&str>| Login {
            username: "u".into(),
            password: Secret::new("p".into()),
            identity_token: identity.map(|token| Secret::new(token.into())),
            registry_token: None,
        };
        let request = token_request("https://h/t", Some("s"), None, "a/b", Some(&login(None)));
        let TokenRequest::Get { url, authorization } = request else { panic!("{request:?}") };
        assert_eq!(url, "https://h/t?scope=repository%3Aa%2Fb%3Apull&service=s");
        assert_eq!(authorization.unwrap().expose(), "Basic dTpw");
        let request = token_request("https://h/t", None, Some("x"), "a/b", Some(&login(Some("id/1"))));
        assert!(!format!("{request:?}").contains("id"), "{request:?}");
        let TokenRequest::Post { form, .. } = request else { panic!() };
        assert_eq!(
            form.expose(),
            "scope=x&grant_type=refresh%5Ftoken&client_id=lockgate&refresh_token=id%2F1"
        );
        let request = token_request("https://h/t?x=y", None, None, "a", None);
        assert!(
            matches!(request, TokenRequest::Get { url, authorization: None } if url.starts_with("https://h/t?x=y&"))
        );
    }

    #[test]
    fn a_token_that_could_end_a_header_is_none() {
        let read = |text: &str| token(text.as_bytes()).map(|token| token.expose().clone());
        assert_eq!(read(r#"{"token": "a.b"}"#).as_deref(), Some("a.b"));
        assert_eq!(read(r#"{"access_token": "c"}"#).as_deref(), Some("c"));
        for strange in ["", "{}", r#"{"token": "a\r\nX: y"}"#] {
            assert_eq!(read(strange), None);
        }
    }
}
