//! Gathers the inputs of a build besides the tree: the values to substitute, from the cluster or from files.

use std::collections::{BTreeMap, BTreeSet};

use super::ports::{ApiFailure, Data, DataKind, Lookup};
use crate::api::{Kustomization, SubstituteFrom, SubstituteStrategy};
use crate::verdict::{Common, Redactor};
use lockgate_base::model::Digest;
use lockgate_render::Variables;
use lockgate_render::substitute::SubstituteError;

/// The inputs of a render besides the tree.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// Variables for substitution; `None` if nothing is substituted.
    variables: Option<BTreeMap<String, String>>,
    /// The variables that come from a Secret.
    secret: BTreeSet<String>,
    /// The digest of all inputs.
    pub(super) digest: Digest,
}

/// Values that the user of a command gives.
#[derive(Debug, Clone, Default)]
pub struct ByHand {
    /// Values that replace those of `substituteFrom`, by name. The Kustomization's own values win over them.
    pub instead: BTreeMap<String, String>,
    /// Single values, which win over all others.
    pub over: BTreeMap<String, String>,
}

impl ByHand {
    /// No values.
    pub const NOTHING: Self = Self { instead: BTreeMap::new(), over: BTreeMap::new() };
}

/// Why the values are not available: all problems of one sort, a line for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatherError {
    /// References that cannot name an object.
    #[error("{}", .0.join("\n"))]
    Malformed(Vec<String>),
    /// Rights are missing.
    #[error("{}", .0.join("\n"))]
    Denied(Vec<String>),
    /// Referenced objects that do not exist.
    #[error("{}", missing(.names, .namespace))]
    Missing {
        /// `Kind/name` of each.
        names: Vec<String>,
        /// The namespace of the references.
        namespace: String,
    },
    /// The server could not be reached.
    #[error("{0}")]
    Unreachable(String),
}

fn missing(names: &[String], namespace: &str) -> String {
    let line = |name: &String| {
        format!(
            "substitute from '{name}' error: not found in namespace {namespace}; create it, or mark the reference optional"
        )
    };
    names.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl From<GatherError> for Common {
    fn from(error: GatherError) -> Self {
        let message = error.to_string();
        match error {
            GatherError::Malformed(_) => Self::Malformed { message },
            GatherError::Denied(_) => Self::AccessDenied { message },
            GatherError::Missing { .. } => Self::InputMissing { message },
            GatherError::Unreachable(_) => Self::Unreachable { message },
        }
    }
}

impl Gathered {
    /// No inputs besides the tree.
    pub fn none() -> Self {
        Self { variables: None, secret: BTreeSet::new(), digest: Digest::of(b"") }
    }

    /// The variables for substitution. Flux has been strict about undefined ones by default since
    /// kustomize-controller 1.9.
    pub(super) fn variables(self) -> Result<Option<Variables>, SubstituteError> {
        self.variables.map(|values| Variables::new(values, self.secret, true)).transpose()
    }
}

/// Looks up the variables of a Kustomization's build in Flux's order: the values of `substituteFrom`, of
/// which the later win, then those of the object itself. Secret values are added to `redactor`.
pub async fn gather(
    lookup: &impl Lookup,
    kustomization: &Kustomization,
    by_hand: &ByHand,
    redactor: &mut Redactor,
) -> Result<Gathered, GatherError> {
    let Some(post_build) = &kustomization.spec.post_build else { return Ok(Gathered::none()) };
    let namespace = &kustomization.metadata.namespace;
    let mut variables = BTreeMap::new();
    let mut secret = BTreeSet::new();
    let (mut malformed, mut denied, mut names) = (Vec::new(), Vec::new(), Vec::new());
    // A user who gives values may mean them to replace missing objects.
    let is_replaced = !by_hand.instead.is_empty() || !by_hand.over.is_empty();
    for from in &post_build.substitute_from {
        let subject = format!("{}/{}", from.kind, from.name);
        let Some(kind) = kind_of(from) else {
            malformed.push(format!(
                "spec.postBuild.substituteFrom: '{subject}': kind must be ConfigMap or Secret"
            ));
            continue;
        };
        match lookup.data(kind, namespace, &from.name).await {
            Ok(Some(data)) => take(kind, data, &mut variables, &mut secret, redactor),
            Ok(None) if from.optional || is_replaced => {}
            Ok(None) => names.push(subject),
            Err(ApiFailure::Forbidden(right)) => {
                denied.push(format!("substitute from '{subject}' error: {right}"));
            }
            Err(failure) => return Err(GatherError::Unreachable(failure.to_string())),
        }
    }
    if !malformed.is_empty() {
        return Err(GatherError::Malformed(malformed));
    }
    if !denied.is_empty() {
        return Err(GatherError::Denied(denied));
    }
    if !names.is_empty() {
        return Err(GatherError::Missing { names, namespace: namespace.clone() });
    }
    for (name, value) in by_hand.instead.iter().chain(&post_build.substitute).chain(&by_hand.over) {
        secret.remove(name);
        variables.insert(name.clone(), value.clone());
    }
    let always = post_build.substitute_strategy == Some(SubstituteStrategy::Always);
    let parts = variables.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    let digest = Digest::of_parts(parts);
    let variables = (always || !variables.is_empty()).then_some(variables);
    Ok(Gathered { variables, secret, digest })
}

fn kind_of(from: &SubstituteFrom) -> Option<DataKind> {
    [DataKind::ConfigMap, DataKind::Secret].into_iter().find(|kind| kind.to_string() == from.kind)
}

fn take(
    kind: DataKind,
    data: Data,
    variables: &mut BTreeMap<String, String>,
    secret: &mut BTreeSet<String>,
    redactor: &mut Redactor,
) {
    for (name, value) in data {
        if kind == DataKind::Secret {
            redactor.add(value.expose());
            secret.insert(name.clone());
        } else {
            secret.remove(&name);
        }
        variables.insert(name, String::from_utf8_lossy(value.expose()).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::decode;
    use crate::plan::Denied;
    use futures::FutureExt as _;
    use lockgate_base::model::{Object, Secret};
    use serde_json::json;

    /// A namespace in which some objects exist, some are missing, and some may not be read.
    struct Shelf;

    impl Lookup for Shelf {
        async fn data(&self, kind: DataKind, _: &str, name: &str) -> Result<Option<Data>, ApiFailure> {
            match name {
                "there" => Ok(Some(Data::from([("a".into(), Secret::new(b"from-there".to_vec()))]))),
                "hidden" => Err(ApiFailure::Forbidden(Denied {
                    account: "someone".into(),
                    verb: "get".into(),
                    resource: format!("{}s", kind.to_string().to_lowercase()),
                    namespace: "n".into(),
                })),
                _ => Ok(None),
            }
        }
    }

    fn gathered(from: &[&str], by_hand: &ByHand) -> Result<Gathered, GatherError> {
        let from: Vec<_> = from
            .iter()
            .map(|text| text.split_once('/').unwrap())
            .map(|(kind, name)| json!({"kind": kind, "name": name}))
            .collect();
        let kustomization = decode(
            &Object::parse(json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "apps", "namespace": "n"},
                "spec": {"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "r"},
                         "postBuild": {"substitute": {"b": "own"}, "substituteFrom": from}},
            }))
            .unwrap(),
        );
        gather(&Shelf, &kustomization.unwrap(), by_hand, &mut Redactor::default()).now_or_never().unwrap()
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let error = gathered(&["ConfigMap/a", "ConfigMap/there", "Secret/b"], &ByHand::NOTHING).unwrap_err();
        assert_eq!(
            error.to_string(),
            "substitute from 'ConfigMap/a' error: not found in namespace n; create it, or mark the reference optional\n\
             substitute from 'Secret/b' error: not found in namespace n; create it, or mark the reference optional"
        );
        let error = gathered(&["ConfigMap/hidden", "ConfigMap/a", "Secret/hidden"], &ByHand::NOTHING);
        let GatherError::Denied(lines) = error.unwrap_err() else { panic!("not denied") };
        assert_eq!(lines.len(), 2, "{lines:?}");
        let error = gathered(&["Job/a", "ConfigMap/hidden"], &ByHand::NOTHING).unwrap_err();
        assert_eq!(
            error,
            GatherError::Malformed(vec![
                "spec.postBuild.substituteFrom: 'Job/a': kind must be ConfigMap or Secret".into()
            ])
        );
    }

    #[test]
    fn values_by_hand_stand_for_what_is_missing_and_win_as_they_say() {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let by_hand =
            ByHand { instead: pairs(&[("a", "hand"), ("b", "hand")]), over: pairs(&[("c", "flag")]) };
        let found = gathered(&["Secret/there", "ConfigMap/a"], &by_hand).unwrap();
        assert_eq!(found.variables.unwrap(), pairs(&[("a", "hand"), ("b", "own"), ("c", "flag")]));
        assert!(found.secret.is_empty());
        let found = gathered(&["Secret/there"], &ByHand::NOTHING).unwrap();
        assert_eq!(found.variables.unwrap(), pairs(&[("a", "from-there"), ("b", "own")]));
        assert_eq!(found.secret, BTreeSet::from(["a".to_owned()]));
    }
}
