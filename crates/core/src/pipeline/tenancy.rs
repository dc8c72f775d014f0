//! In whose name a Kustomization is applied and what it may refer to, by the flags of the agent.

use crate::api::Kustomization;
use crate::verdict::Common;

/// What the agent holds all Kustomizations to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tenancy {
    /// Whether references to other namespaces are refused and a ServiceAccount must be named.
    pub lockdown: bool,
    /// The ServiceAccount of Kustomizations that name none.
    pub default_service_account: Option<String>,
}

impl Tenancy {
    /// The ServiceAccount that a Kustomization names or is given; `None` where the agent acts as itself.
    pub fn account_of<'a>(&'a self, kustomization: &'a Kustomization) -> Option<&'a str> {
        kustomization.spec.service_account_name.as_deref().or(self.default_service_account.as_deref())
    }

    /// [`Tenancy::account_of`], or why the agent acts for it in nobody's name.
    pub fn account<'a>(&'a self, kustomization: &'a Kustomization) -> Result<Option<&'a str>, String> {
        let account = self.account_of(kustomization);
        if account.is_none() && self.lockdown {
            return Err("spec.serviceAccountName must be set: the agent runs with --lockdown".into());
        }
        Ok(account)
    }

    /// Whether a Kustomization's source is in a namespace of others, of which nothing may be taken, nor told.
    pub fn forbids_source_of(&self, kustomization: &Kustomization) -> bool {
        let (own, source) = (&kustomization.metadata.namespace, &kustomization.spec.source_ref.namespace);
        self.lockdown && source.as_ref().is_some_and(|source| source != own)
    }

    /// Refuses a source in a namespace of others.
    pub fn check_source(&self, kustomization: &Kustomization) -> Result<(), Common> {
        if !self.forbids_source_of(kustomization) {
            return Ok(());
        }
        let own = &kustomization.metadata.namespace;
        let reference = &kustomization.spec.source_ref;
        let namespace = reference.namespace.as_ref().unwrap_or(own);
        let message = format!(
            "can't access '{}/{namespace}/{}', cross-namespace references have been blocked: move the source to namespace \
             {own}",
            reference.kind, reference.name
        );
        Err(Common::SourceForbidden { message })
    }

    /// Refuses what it depends on where that is in a namespace of others, or cannot be depended on at all.
    pub fn check_dependencies(&self, kustomization: &Kustomization) -> Result<(), Common> {
        let own = kustomization.reference();
        let (mut problems, mut foreign) = (Vec::new(), Vec::new());
        for named in &kustomization.spec.depends_on {
            match named.target(&own) {
                Ok(target) if self.lockdown && target.namespace != own.namespace => foreign.push(target),
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(Common::Malformed { message: problems.join("\n") });
        }
        let blocked = foreign.iter().map(|target| {
            format!("can't access '{target}', cross-namespace references have been blocked: remove it from spec.dependsOn")
        });
        let message = blocked.collect::<Vec<_>>().join("\n");
        if message.is_empty() { Ok(()) } else { Err(Common::AccessDenied { message }) }
    }
}
