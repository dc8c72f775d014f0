//! The content of a repository: its branches, files and trees, as the API shows them.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::faults::{not_found, refusal};
use super::routes::Parameters;
use crate::git::Repo;

pub(super) fn branch_of(repo: &Repo, branch: &str) -> anyhow::Result<Response> {
    let Ok(sha) = repo.rev_parse(&format!("refs/heads/{branch}")) else {
        return Ok(refusal(404, "Branch not found", &[]));
    };
    let subject = repo.git(&["log", "-1", "--format=%B", &sha])?;
    let commit = json!({ "sha": sha, "commit": { "message": subject } });
    Ok(Json(json!({ "name": branch, "commit": commit, "protected": false })).into_response())
}

pub(super) fn contents(repo: &Repo, path: &str, query: &Parameters) -> anyhow::Result<Response> {
    let revision = query.get("ref").map_or("HEAD", String::as_str);
    let object = format!("{revision}:{path}");
    let Ok(sha) = repo.rev_parse(&object) else { return Ok(not_found()) };
    if repo.git(&["cat-file", "-t", &sha])? == "tree" {
        let entries = list(repo, &sha, false)?;
        let entry = |(kind, sha, name): &(String, String, String)| {
            let path = format!("{path}/{name}").trim_matches('/').to_owned();
            json!({ "type": if kind == "tree" { "dir" } else { "file" }, "name": name, "path": path, "sha": sha })
        };
        return Ok(Json(entries.iter().map(entry).collect::<Value>()).into_response());
    }
    let content = repo.blob(&sha)?;
    let name = path.rsplit('/').next();
    Ok(Json(json!({
        "type": "file", "encoding": "base64", "size": content.len(), "name": name, "path": path, "sha": sha,
        "content": STANDARD.encode(content),
    }))
    .into_response())
}

pub(super) fn tree(repo: &Repo, revision: &str, query: &Parameters) -> anyhow::Result<Response> {
    let Ok(sha) = repo.rev_parse(&format!("{revision}^{{tree}}")) else { return Ok(not_found()) };
    let entries = list(repo, &sha, query.contains_key("recursive"))?;
    let entry =
        |(kind, sha, path): &(String, String, String)| json!({ "path": path, "type": kind, "sha": sha });
    let entries = entries.iter().map(entry).collect::<Value>();
    Ok(Json(json!({ "sha": sha, "tree": entries, "truncated": false })).into_response())
}

/// The type, id and path of a tree's entries.
fn list(repo: &Repo, tree: &str, recursive: bool) -> anyhow::Result<Vec<(String, String, String)>> {
    let mut arguments = vec!["ls-tree", "-z"];
    if recursive {
        arguments.extend(["-r", "-t"]);
    }
    arguments.push(tree);
    let output = repo.git(&arguments)?;
    let entry = |line: &str| {
        let (head, path) = line.split_once('\t')?;
        let mut words = head.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned(), path.to_owned()))
    };
    Ok(output.split('\0').filter_map(entry).collect())
}
