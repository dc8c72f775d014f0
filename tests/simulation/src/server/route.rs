//! Reads the path and the query of a request.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// The target of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: String,
    /// Empty for all objects.
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) query: BTreeMap<String, String>,
}

impl Route {
    /// `None` if the path leads to no object and no set of objects.
    pub(crate) fn parse(path_and_query: &str) -> Option<Self> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        let parts: Vec<String> = path.trim_start_matches('/').split('/').map(decode).collect();
        let mut parts = parts.into_iter();
        let (group, version) = match parts.next()?.as_str() {
            "api" => (String::new(), parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let mut rest: Vec<String> = parts.collect();
        let mut namespace = String::new();
        if rest.len() > 2 && rest[0] == "namespaces" && !matches!(rest[2].as_str(), "status" | "finalize") {
            namespace = rest.remove(1);
            rest.remove(0);
        }
        let mut rest = rest.into_iter();
        let plural = rest.next().filter(|plural| !plural.is_empty())?;
        let (name, subresource) = (rest.next().unwrap_or_default(), rest.next().unwrap_or_default());
        Some(Self { group, version, plural, namespace, name, subresource, query })
    }

    pub(crate) fn asks(&self, parameter: &str) -> Option<&str> {
        self.query.get(parameter).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.asks("watch") == Some("true")
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.asks("dryRun") == Some("All")
    }
}
