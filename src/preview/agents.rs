//! The rules of a cluster's agents, from the flags of their Deployments.

use lockgate_core::pipeline::Tenancy;
use lockgate_core::plan::DriftPolicy;

/// The rules of one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AgentRules {
    /// The only namespace whose objects it reconciles; `None` for all.
    pub(crate) watch_namespace: Option<String>,
    /// The accounts that it impersonates, and the references that it allows.
    pub(crate) tenancy: Tenancy,
    /// The drift policy, unless a Kustomization or an object sets another.
    pub(crate) drift: DriftPolicy,
    /// Whether `spec.insecure` reaches registries on other machines.
    pub(crate) allows_insecure_registries: bool,
}

impl AgentRules {
    /// Whether the agent serves the objects of a namespace.
    pub(crate) fn serves(&self, namespace: &str) -> bool {
        self.watch_namespace.as_deref().is_none_or(|watched| watched == namespace)
    }
}

/// The agents of a cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agents(Vec<AgentRules>);

impl Agents {
    /// The agents with these rules.
    pub(crate) const fn of(known: Vec<AgentRules>) -> Self {
        Self(known)
    }

    /// The rules of the agent that reconciles a namespace: of the agent for this namespace only, or of the
    /// one for all; without a known agent, the rules of one without flags.
    pub(crate) fn serving(&self, namespace: &str) -> AgentRules {
        let own = self.0.iter().find(|rules| rules.watch_namespace.as_deref() == Some(namespace));
        let found = own.or_else(|| self.0.iter().find(|rules| rules.watch_namespace.is_none()));
        found.cloned().unwrap_or_default()
    }

    /// Whether any of the agents reaches registries on other machines by `spec.insecure`.
    pub(crate) fn allow_insecure_registries(&self) -> bool {
        self.0.iter().any(|rules| rules.allows_insecure_registries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_of_a_namespace_comes_before_the_one_of_all() {
        let rules = |namespace: Option<&str>, drift: DriftPolicy| AgentRules {
            watch_namespace: namespace.map(ToOwned::to_owned),
            drift,
            ..AgentRules::default()
        };
        let team = rules(Some("team"), DriftPolicy::Report);
        let both = Agents::of(vec![rules(None, DriftPolicy::Interval), team.clone()]);
        assert_eq!(both.serving("team").drift, DriftPolicy::Report);
        assert_eq!(both.serving("other").drift, DriftPolicy::Interval);
        assert_eq!(Agents::of(vec![team]).serving("other"), AgentRules::default());
    }
}
