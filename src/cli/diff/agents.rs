//! The flags of the agents: those of their Deployments, and those that are given instead.

use super::arguments::AgentFlags;
use crate::bootstrap::manifests;
use crate::cli::agent::rules_of;
use crate::cli::input::warn;
use crate::cli::output::CommandError;
use crate::cluster::Reader;
use crate::preview::{AgentRules, Agents};
use lockgate_core::pipeline::ports::ApiFailure;

/// The agents of a cluster. Where their Deployments may not be read, or are not there, one without flags
/// stands for them; what is given goes before what they say.
pub(super) async fn agents(reader: &Reader, given: &AgentFlags) -> Result<Agents, CommandError> {
    let found = match reader.labelled("apps/v1", "Deployment", manifests::AGENT).await {
        Ok(found) => found,
        Err(ApiFailure::Forbidden(denied)) => {
            warn(&[format!(
                "{denied}: the agent is taken to run without flags; say --lockdown, --drift, --default-service-account or \
                 --allow-insecure-registries as it does"
            )]);
            Vec::new()
        }
        Err(failure) => return Err(CommandError::unreachable(failure.to_string())),
    };
    let mut known = Vec::new();
    for deployment in &found {
        match rules_of(deployment) {
            Ok(rules) => known.push(rules),
            Err(problem) => warn(&[format!(
                "{}: its flags cannot be read, so it is taken to run without any: {problem}",
                deployment.id().subject()
            )]),
        }
    }
    // An agent without flags stands for what no Deployment serves.
    if known.iter().all(|rules| rules.watch_namespace.is_some()) {
        known.push(AgentRules::default());
    }
    for rules in &mut known {
        given.lay_over(rules);
    }
    Ok(Agents::of(known))
}
