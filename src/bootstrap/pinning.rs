//! The host keys of the repository's host for the Secret: those that GitHub publishes over TLS, or those that
//! the host presents, for the user to compare.

use std::time::Instant;

use super::deploy_key::blocking;
use super::github::GitHub;
use super::hosts::{self, SshUrl};
use super::problem::{FailedStep, Problem};
use super::progress::{ProgressEvent, ProgressLog, at};
use super::put::PutOutcome;
use super::secret::{self, SecretPlan, Stored};
use super::ssh;
use crate::cluster::objects::Objects;
use lockgate_git::KnownHosts;

/// The step whose messages are about host keys.
const STEP: &str = "host keys";

/// The authorities for a host key.
#[derive(Clone, Copy)]
pub(crate) struct Pins<'p> {
    /// GitHub, if it hosts the repository. Most Enterprise servers publish no host keys.
    pub github: Option<&'p GitHub>,
    /// The fingerprint that the user has compared, `SHA256:…`.
    pub accepted: Option<&'p str>,
}

impl Pins<'_> {
    /// The lines of `known_hosts` for GitHub's published keys; none if nobody publishes any.
    async fn published(&self, url: &SshUrl) -> Result<Vec<String>, FailedStep> {
        let Some(github) = self.github else { return Ok(Vec::new()) };
        let published = github.host_keys().await;
        let published = published.map_err(|error| at(STEP)(Problem::github(error, &github.repository)))?;
        Ok(hosts::lines(url, &published))
    }

    /// The lines of `known_hosts` for the keys that the host presents; only the accepted key if the user has
    /// accepted one.
    async fn shown(&self, url: &SshUrl, progress: &mut ProgressLog<'_>) -> Result<Vec<String>, FailedStep> {
        let began = Instant::now();
        let detail = format!("for the host keys of {}", url.known_as());
        progress.tell(ProgressEvent::Waiting { name: STEP, detail, since: began.elapsed() });
        let server = url.clone();
        let lines = blocking(move || ssh::scan(&server)).await.map_err(|error| at(STEP)(error.into()))?;
        let Some(accepted) = self.accepted else { return Ok(lines) };
        let prints = |line: &str| -> Vec<String> {
            url.keys_in(&KnownHosts::parse(line)).into_iter().map(hosts::fingerprint).collect()
        };
        let is_accepted = |print: &String| print == accepted || print.rsplit(' ').next() == Some(accepted);
        let (taken, others): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| prints(line).iter().any(is_accepted));
        if taken.is_empty() {
            let shown = others.iter().flat_map(|line| prints(line)).collect();
            let (server, accepted) = (url.known_as(), accepted.to_owned());
            return Err(at(STEP)(Problem::OtherHostKey { server, accepted, shown }));
        }
        Ok(taken)
    }
}

/// The lines of `known_hosts` for a new Secret.
pub(crate) async fn pin(
    url: &SshUrl,
    pins: &Pins<'_>,
    progress: &mut ProgressLog<'_>,
) -> Result<Vec<String>, FailedStep> {
    let began = Instant::now();
    let published = pins.published(url).await?;
    if !published.is_empty() {
        let detail = format!("{} pinned from the API's /meta: {}", url.known_as(), kinds(url, &published));
        progress.done(STEP, began, detail, None);
        return Ok(published);
    }
    let lines = pins.shown(url, progress).await?;
    let detail = format!("{} as presented by the host: {}", url.known_as(), kinds(url, &lines));
    progress.done(STEP, began, detail, None);
    if pins.accepted.is_none() {
        let known = KnownHosts::parse(&lines.join("\n"));
        for fingerprint in url.keys_in(&known).into_iter().map(hosts::fingerprint) {
            let note = format!("compare with the keys that the server's owner publishes: {fingerprint}");
            progress.tell(ProgressEvent::Note(note));
        }
    }
    Ok(lines)
}

/// Writes new host keys into an existing Secret, if one of its keys is no longer published or the user has
/// accepted another. Its lines for other hosts stay.
pub(crate) async fn renew(
    objects: &Objects,
    wanted: &SecretPlan<'_>,
    url: &SshUrl,
    stored: Stored,
    pins: &Pins<'_>,
    progress: &mut ProgressLog<'_>,
) -> Result<Stored, FailedStep> {
    let began = Instant::now();
    let published = pins.published(url).await?;
    let lines = if published.is_empty() && pins.accepted.is_some() {
        pins.shown(url, progress).await?
    } else {
        published
    };
    let known = KnownHosts::parse(&lines.join("\n"));
    let good = url.keys_in(&known);
    let pinned = url.keys_in(&stored.credentials.known_hosts);
    let is_good = lines.is_empty()
        || pinned.iter().all(|key| good.iter().any(|good| good.key_data() == key.key_data()));
    if is_good {
        let detail = format!("{} as the Secret has them: {}", url.known_as(), hosts::kinds(&pinned));
        progress.done(STEP, began, detail, None);
        return Ok(stored);
    }
    let of_others =
        stored.known_hosts.iter().filter(|line| url.keys_in(&KnownHosts::parse(line)).is_empty()).cloned();
    let text: Vec<String> = of_others.chain(lines.iter().cloned()).collect();
    let renewed = secret::put_known_hosts(objects, wanted, url, &text).await.map_err(at(STEP))?;
    let detail = format!("{} renewed: {}", url.known_as(), kinds(url, &lines));
    progress.done(STEP, began, detail, Some(PutOutcome::Configured));
    Ok(renewed)
}

fn kinds(url: &SshUrl, lines: &[String]) -> String {
    hosts::kinds(&url.keys_in(&KnownHosts::parse(&lines.join("\n"))))
}
