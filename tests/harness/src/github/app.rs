//! GitHub Apps: exchanges a signed JWT for a token of an installation, which is found by its account or
//! repository.

use anyhow::Context as _;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::faults::{not_found, refusal};
use super::keys::seconds;
use super::tokens::{Access, App};
use super::{Shared, State};
use crate::process::lock;

/// Whether a path is asked for with an App's JWT.
pub(super) fn is_asked_by_apps(parts: &[&str]) -> bool {
    matches!(parts, ["app", ..] | ["users" | "orgs", _, "installation"] | ["repos", _, _, "installation"])
}

/// What an App is answered.
pub(super) fn answer(
    shared: &Shared,
    method: &str,
    parts: &[&str],
    bearer: Option<&str>,
    body: &Value,
) -> anyhow::Result<Response> {
    let issuer = match bearer.context("A JSON web token could not be decoded").and_then(issuer) {
        Ok(issuer) => issuer,
        Err(error) => return Ok(refusal(401, &format!("{error:#}"), &[])),
    };
    let mut state = lock(&shared.state);
    let known = |fits: &dyn Fn(&App) -> bool| {
        state.tokens.apps.iter().find(|app| app.id == issuer && fits(app)).cloned()
    };
    let one = |app: Option<App>| app.map_or_else(not_found, |app| Json(installation(&app)).into_response());
    Ok(match (method, parts) {
        ("GET", ["app"]) => match known(&|_| true) {
            Some(app) => Json(json!({"slug": format!("app-{}", app.id), "permissions": permissions(&app)}))
                .into_response(),
            None => refusal(401, "Integration not found", &[]),
        },
        ("GET", ["app", "installations"]) => {
            let of_it = state.tokens.apps.iter().filter(|app| app.id == issuer);
            Json(of_it.map(installation).collect::<Value>()).into_response()
        }
        ("GET", ["users" | "orgs", owner, "installation"] | ["repos", owner, _, "installation"]) => {
            one(known(&|app| app.owner.eq_ignore_ascii_case(owner)))
        }
        ("POST", ["app", "installations", number, "access_tokens"]) => {
            let Some(app) = known(&|app| app.installation.to_string() == *number) else {
                return Ok(not_found());
            };
            token(shared, &mut state, &app, body)?
        }
        _ => not_found(),
    })
}

fn permissions(app: &App) -> Map<String, Value> {
    let mut permissions = Map::new();
    permissions.extend(app.administration.word().map(|word| ("administration".into(), word.into())));
    permissions.extend(["contents", "metadata"].map(|name| (name.into(), "read".into())));
    permissions
}

/// Whether some permissions hold one, or more than it.
fn has(granted: &Map<String, Value>, name: &str, access: &Value) -> bool {
    granted.get(name).is_some_and(|granted| granted == access || granted == "write")
}

fn installation(app: &App) -> Value {
    json!({
        "id": app.installation,
        "account": {"login": app.owner},
        "repository_selection": "selected",
        "permissions": permissions(app),
        "suspended_at": null,
    })
}

/// A token with the permissions that the body asks for, or with all that the App has.
fn token(shared: &Shared, state: &mut State, app: &App, body: &Value) -> anyhow::Result<Response> {
    let names: Option<Vec<String>> =
        body.get("repositories").cloned().map(serde_json::from_value).transpose()?;
    let is_there = |name: &String| shared.git.has_repo(&format!("{}/{name}", app.owner));
    if names.as_ref().is_some_and(|names| !names.iter().all(is_there)) {
        let message = "There is at least one repository that does not exist or is not accessible to the parent installation.";
        return Ok(refusal(422, message, &[]));
    }
    let mut app = app.clone();
    let mut granted = permissions(&app);
    if let Some(asked) = body.get("permissions").and_then(Value::as_object) {
        if asked.iter().any(|(name, access)| !has(&granted, name, access)) {
            let message = "The permissions requested are not granted to this installation.";
            return Ok(refusal(422, message, &[]));
        }
        if !asked.contains_key("administration") {
            app.administration = Access::None;
        }
        granted.retain(|name, _| name == "metadata" || asked.contains_key(name));
    }
    let (token, end) = state.tokens.issue(&app, names.as_deref());
    let body = json!({
        "token": token,
        "expires_at": seconds(end)?,
        "permissions": granted,
        "repository_selection": "selected",
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Checks the form of an app's JWT, not its signature, and gives its issuer.
fn issuer(jwt: &str) -> anyhow::Result<String> {
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
