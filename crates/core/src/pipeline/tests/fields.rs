//! Every field of every kind that is acted on is served, or refused by its name; none is passed over in silence.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::supported;
use crate::api::{
    GitRepositorySpec, KINDS, Kind, KustomizationSpec, OciRepositorySpec, Resource, decode, tests,
};

use Fate::{Inert, Refused, Served};

/// What becomes of a field, and of all that is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It does what it does in Flux.
    Served,
    /// An object that sets it is refused, and told so by the field's name.
    Refused,
    /// It does nothing in Flux either.
    Inert,
}

/// By field of `spec`, the longest path first where one is below another.
const KUSTOMIZATION: &[(&str, Fate)] = &[
    ("buildMetadata", Served),
    ("commonMetadata", Served),
    ("components", Served),
    ("decryption", Refused),
    ("deletionPolicy", Served),
    ("dependsOn[].readyExpr", Refused),
    ("dependsOn", Served),
    ("force", Served),
    ("healthCheckExprs", Refused),
    ("healthChecks", Served),
    ("ignore", Refused),
    ("ignoreMissingComponents", Served),
    ("images", Served),
    ("interval", Served),
    ("kubeConfig", Refused),
    ("namePrefix", Served),
    ("nameSuffix", Served),
    ("patches", Served),
    ("patchesJson6902", Served),
    ("patchesStrategicMerge", Served),
    ("path", Served),
    ("postBuild", Served),
    ("prune", Served),
    ("retryInterval", Served),
    ("serviceAccountName", Served),
    ("sourceRef", Served),
    ("suspend", Served),
    ("targetNamespace", Served),
    ("timeout", Served),
    ("validation", Inert),
    ("wait", Served),
];

const GIT_REPOSITORY: &[(&str, Fate)] = &[
    ("accessFrom", Inert),
    ("gitImplementation", Inert),
    ("ignore", Served),
    ("include", Refused),
    ("interval", Served),
    ("provider", Refused),
    ("proxySecretRef", Refused),
    ("recurseSubmodules", Refused),
    ("ref", Served),
    ("secretRef", Served),
    ("serviceAccountName", Refused),
    ("sparseCheckout", Refused),
    ("suspend", Served),
    ("timeout", Served),
    ("url", Served),
    ("verify", Refused),
];

const OCI_REPOSITORY: &[(&str, Fate)] = &[
    ("certSecretRef", Served),
    ("ignore", Served),
    ("insecure", Served),
    ("interval", Served),
    ("layerSelector", Served),
    ("provider", Refused),
    ("proxySecretRef", Served),
    ("ref", Served),
    ("secretRef", Served),
    ("serviceAccountName", Served),
    ("suspend", Served),
    ("timeout", Served),
    ("url", Served),
    ("verify", Refused),
];

fn table(plural: &str) -> Option<&'static [(&'static str, Fate)]> {
    match plural {
        "kustomizations" => Some(KUSTOMIZATION),
        "gitrepositories" => Some(GIT_REPOSITORY),
        "ocirepositories" => Some(OCI_REPOSITORY),
        _ => None,
    }
}

/// The line of a table that decides about a path such as `dependsOn[].name`.
fn decides<'t>(table: &'t [(&'t str, Fate)], path: &str) -> Option<&'t (&'t str, Fate)> {
    let is_below = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[', '{']);
    table.iter().find(|(field, _)| path.strip_prefix(field).is_some_and(is_below))
}

/// The same value without the fields that are not wanted.
fn only(path: &str, value: &Value, is_wanted: &impl Fn(&str) -> bool) -> Value {
    match value {
        Value::Object(fields) => {
            let of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let wanted = fields.iter().filter(|(name, _)| is_wanted(&of(name)));
            wanted.map(|(name, field)| (name.clone(), only(&of(name), field, is_wanted))).collect()
        }
        Value::Array(items) => items.iter().map(|item| only(&format!("{path}[]"), item, is_wanted)).collect(),
        _ => value.clone(),
    }
}

/// What the chain says of the first object of a kind's fixture, less the fields that are not wanted.
fn asked<K: Kind>(is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    let fixture = tests::objects(K::INFO).remove(0);
    let edited = fixture.edit(|value| value["spec"] = only("", &value["spec"], &is_wanted)).unwrap();
    let object: Resource<K> = decode(&edited).unwrap();
    supported(&object).err().map(|refused| format!("{refused:?}"))
}

fn each_fate_is_true<K: Kind>() {
    let table = table(K::INFO.plural).unwrap();
    let fate = |path: &str| decides(table, path).map(|(_, fate)| *fate);
    assert_eq!(asked::<K>(|path| fate(path) != Some(Refused)), None);
    let names: BTreeMap<&str, Fate> = table.iter().copied().collect();
    for (refused, _) in names.iter().filter(|(_, fate)| **fate == Refused) {
        let told = asked::<K>(|path| {
            fate(path) != Some(Refused) || decides(table, path).is_some_and(|line| line.0 == *refused)
        });
        let expected = format!("spec.{refused} is not supported yet; remove it");
        assert!(told.as_ref().is_some_and(|told| told.contains(&expected)), "{refused}: {told:?}");
    }
}

#[test]
fn every_field_of_every_schema_is_served_or_refused_by_its_name() {
    for info in KINDS {
        let Some(table) = table(info.plural) else {
            assert!(!info.is_acted_on, "{} has no table of its fields", info.plural);
            continue;
        };
        let fields = tests::fields(info);
        let spec: BTreeSet<&str> = fields.iter().filter_map(|path| path.strip_prefix("spec.")).collect();
        let undecided: Vec<&&str> = spec.iter().filter(|path| decides(table, path).is_none()).collect();
        assert!(undecided.is_empty(), "{}: {undecided:?}", info.plural);
        let gone: Vec<&str> =
            table.iter().map(|(field, _)| *field).filter(|field| !spec.contains(field)).collect();
        assert!(gone.is_empty(), "{}: {gone:?} are no fields", info.plural);
    }
    each_fate_is_true::<KustomizationSpec>();
    each_fate_is_true::<GitRepositorySpec>();
    each_fate_is_true::<OciRepositorySpec>();
}
