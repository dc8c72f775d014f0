//! What the agents of a cluster hold Kustomizations to, by the flags that they run with.

use lockgate_core::pipeline::Tenancy;
use lockgate_core::plan::DriftPolicy;

/// What one agent does, by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AgentRules {
    /// The one namespace whose objects it serves; `None` for all.
    pub(crate) watch_namespace: Option<String>,
    /// In whose name it applies Kustomizations, and what they may refer to.
    pub(crate) tenancy: Tenancy,
    /// What it does about drift, where nobody says otherwise.
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

    /// What the agent does that serves a namespace: the one that serves nothing else, or the one that serves
    /// all; one without flags where neither is known.
    pub(crate) fn serving(&self, namespace: &str) -> AgentRules {
        let own = self.0.iter().find(|rules| rules.watch_namespace.as_deref() == Some(namespace));
        let found = own.or_else(|| self.0.iter().find(|rules| rules.watch_namespace.is_none()));
        found.cloned().unwrap_or_default()
    }

    /// Whether any of them reaches registries on other machines by `spec.insecure`.
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
