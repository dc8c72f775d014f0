//! GitHub Apps: a signed JWT is changed for a token of an installation.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Checks the form of an app's JWT, not its signature, and gives its issuer.
pub(super) fn issuer(jwt: &str) -> anyhow::Result<String> {
    let parts: Vec<&str> = jwt.split('.').collect();
    let &[header, claims, signature] = parts.as_slice() else { anyhow::bail!("a JWT has three parts") };
    let (header, claims) = (json(header)?, json(claims)?);
    anyhow::ensure!(header.get("alg").and_then(Value::as_str) == Some("RS256"), "the algorithm is not RS256");
    anyhow::ensure!(URL_SAFE_NO_PAD.decode(signature)?.len() >= 256, "no RS256 signature");
    let time = |name: &str| claims.get(name).and_then(Value::as_i64).with_context(|| format!("no {name}"));
    let (start, end) = (time("iat")?, time("exp")?);
    anyhow::ensure!(end > start, "'exp' is not after 'iat'");
    anyhow::ensure!(end - start <= 660, "'Expiration time' claim ('exp') is too far in the future");
    match claims.get("iss") {
        Some(Value::String(issuer)) => Ok(issuer.clone()),
        Some(Value::Number(issuer)) => Ok(issuer.to_string()),
        _ => anyhow::bail!("'Issuer' claim ('iss') must be provided"),
    }
}

fn json(part: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}
