//! The flags of the agents: those of their Deployments, and those that are given instead.

use serde_json::Value;

use super::arguments::AgentFlags;
use crate::bootstrap::manifests;
use crate::cli::agent::rules;
use crate::cli::input::warn;
use crate::cli::output::CommandError;
use crate::cluster::Reader;
use crate::preview::{AgentRules, Agents};
use lockgate_base::model::Object;
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
        match rules(&arguments_of(deployment)) {
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

/// The arguments of the container that runs the agent.
fn arguments_of(deployment: &Object) -> Vec<String> {
    let containers = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let of = |container: &Value| {
        let arguments = container["args"].as_array()?.iter().filter_map(Value::as_str);
        let arguments: Vec<String> = arguments.map(ToOwned::to_owned).collect();
        (arguments.first().map(String::as_str) == Some("agent")).then_some(arguments)
    };
    containers.into_iter().flatten().find_map(of).unwrap_or_else(|| vec!["agent".to_owned()])
}
