//! `urlParse` and `urlJoin`, and `getHostByName`, for which a render has no network.

use super::convert::nil_dereference;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::function::Function;
use crate::helm::go::url::Url;
use crate::helm::value::{Args, Type as T};
use crate::helm::value::{Map, Value};

type Result = std::result::Result<Value, Error>;

pub(super) const TABLE: &[Function] = &[
    Function::new("urlParse", &[T::String], url_parse),
    Function::new("urlJoin", &[T::Map], url_join),
    // helm returns an empty text if DNS is not enabled.
    Function::new("getHostByName", &[T::String], |_, _| Ok("".into())),
];

fn url_parse(_: &mut RenderContext<'_>, a: Args<'_>) -> Result {
    let url = Url::parse(a.bytes(0)).map_err(|error| Error::new(format!("unable to parse url: {error}")))?;
    let hostname = url.hostname().to_vec();
    let userinfo = url.userinfo();
    Ok(Value::map([
        ("scheme", Value::from(url.scheme)),
        ("host", url.host.into()),
        ("hostname", hostname.into()),
        ("path", url.path.into()),
        ("query", url.query.into()),
        ("opaque", url.opaque.into()),
        ("fragment", url.fragment.into()),
        ("userinfo", userinfo.into()),
    ]))
}

/// A text in a map; empty if the key is missing.
fn part(map: &Map, key: &str) -> std::result::Result<Vec<u8>, Error> {
    match map.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::Str(text)) => Ok(text.to_vec()),
        Some(Value::Nil) => Err(nil_dereference()),
        Some(other) => {
            let kind = other.kind().name();
            Err(Error::new(format!("unable to parse {key} key, must be of type string, but {kind} found")))
        }
    }
}

fn url_join(_: &mut RenderContext<'_>, a: Args<'_>) -> Result {
    let map = a.map(0);
    let mut url = Url {
        scheme: part(&map, "scheme")?,
        host: part(&map, "host")?,
        path: part(&map, "path")?,
        query: part(&map, "query")?,
        opaque: part(&map, "opaque")?,
        fragment: part(&map, "fragment")?,
        user: None,
    };
    let userinfo = part(&map, "userinfo")?;
    if !userinfo.is_empty() {
        let address = [b"proto://", &userinfo[..], b"@host"].concat();
        let parsed = Url::parse(&address);
        url.user =
            parsed.map_err(|error| Error::new(format!("unable to parse userinfo in dict: {error}")))?.user;
    }
    Ok(url.text().into())
}
