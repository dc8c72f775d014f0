//! The account with which a Kustomization is applied, and the references that it may have, by the flags of
//! the agent.

use crate::api::{DependsOn, Kustomization};
use crate::verdict::Common;
use lockgate_base::model::Ref;

/// The rules of the agent for all Kustomizations.
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
        self.given(kustomization.spec.service_account_name.as_deref())
    }

    /// The account that is named, or the one that is given where none is.
    pub fn given<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        named.or(self.default_service_account.as_deref())
    }

    /// [`Tenancy::account_of`], or why the agent acts for it in nobody's name.
    pub fn account<'a>(&'a self, kustomization: &'a Kustomization) -> Result<Option<&'a str>, String> {
        self.checked(self.account_of(kustomization))
    }

    /// An account, or why the agent acts in nobody's name.
    pub fn checked<'a>(&self, account: Option<&'a str>) -> Result<Option<&'a str>, String> {
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

    /// Refuses dependencies of a Kustomization in another namespace, and those that can never be ready.
    pub fn check_dependencies(&self, kustomization: &Kustomization) -> Result<(), Common> {
        self.check_named(&kustomization.reference(), &kustomization.spec.depends_on)
    }

    /// Refuses dependencies of an object in another namespace, and those that can never be ready.
    pub fn check_named(&self, own: &Ref, depends_on: &[DependsOn]) -> Result<(), Common> {
        let (mut problems, mut foreign) = (Vec::new(), Vec::new());
        for named in depends_on {
            match named.target(own) {
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
