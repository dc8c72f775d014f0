//! Name references: when an object is renamed, the fields that refer to it follow.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::config::Config;
use super::fieldspec::{self, Create, selects, split_path};
use super::id::{KindRef, ResourceId, text_of};
use super::res::Res;
use super::resmap::ResMap;
use crate::error::{Fault, Result};

/// A field of some kind that refers to an object of another kind by name.
struct Reference {
    path: Vec<String>,
    shown: String,
    group: String,
    version: String,
    kind: String,
}

/// The properties of a candidate that the choice depends on.
struct Candidate {
    id: ResourceId,
    original_namespace: String,
    /// The namespace in its metadata.
    namespace: String,
}

/// Changes every reference to an object that was renamed.
pub(crate) fn run(map: &mut ResMap, config: &Arc<Config>) -> Result<()> {
    let index = Index::new(map.items());
    let mut references: HashMap<(String, String, String), Arc<Vec<Reference>>> = HashMap::new();
    for at in 0..map.items().len() {
        let gvk = map.items()[at].original_gvk();
        let key = (gvk.group.to_owned(), gvk.version.to_owned(), gvk.kind.to_owned());
        let wanted = Arc::clone(references.entry(key).or_insert_with(|| Arc::new(for_kind(config, gvk))));
        if wanted.is_empty() {
            continue;
        }
        // The content is taken out, so that the other resources can be read while it is changed.
        let mut value = std::mem::take(&mut map.content_mut(at).value);
        let outcome = Referrer::new(map.items(), &index, at, &value)
            .and_then(|referrer| referrer.update(&mut value, &wanted));
        map.content_mut(at).value = value;
        outcome.map_err(|fault| {
            let res = &map.items()[at];
            fault.on_object(res.subject()).in_file(&res.file)
        })?;
    }
    Ok(())
}

/// The candidates by their earlier names, and by the namespaces in which they began.
struct Index {
    candidates: Vec<Candidate>,
    by_name: HashMap<String, Vec<usize>>,
    /// For each namespace of origin, the first candidate for each of its current namespaces.
    began_in: HashMap<String, Vec<usize>>,
}

impl Index {
    fn new(items: &[Res]) -> Self {
        let candidates: Vec<Candidate> = items.iter().map(candidate).collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut began_in: HashMap<String, Vec<usize>> = HashMap::new();
        let mut seen = HashSet::new();
        for (at, res) in items.iter().enumerate() {
            for previous in &res.previous {
                let places = by_name.entry(previous.name.clone()).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
            let began = &candidates[at].original_namespace;
            if seen.insert((began, &candidates[at].id.namespace, &candidates[at].namespace)) {
                began_in.entry(began.clone()).or_default().push(at);
            }
        }
        Self { candidates, by_name, began_in }
    }
}

fn candidate(res: &Res) -> Candidate {
    let id = res.id();
    let original_namespace = res.previous.first().map_or(&id.namespace, |first| &first.namespace).clone();
    Candidate { id, original_namespace, namespace: res.namespace().into_owned() }
}

fn for_kind(config: &Config, gvk: KindRef<'_>) -> Vec<Reference> {
    let mut references = Vec::new();
    for back in &config.name_reference {
        for spec in back.referrers.iter().filter(|spec| selects(spec, gvk)) {
            references.push(Reference {
                path: split_path(&spec.path, '/'),
                shown: spec.path.clone(),
                group: back.group.clone(),
                version: back.version.clone(),
                kind: back.kind.clone(),
            });
        }
    }
    references
}

/// An object that may refer to others.
struct Referrer<'a> {
    items: &'a [Res],
    candidates: &'a [Candidate],
    index: &'a Index,
    at: usize,
    /// The namespaces of service accounts that a role binding binds.
    bound_namespaces: HashSet<String>,
    /// Group and kind of the role that a binding grants.
    role: Option<(String, String)>,
}

impl<'a> Referrer<'a> {
    fn new(items: &'a [Res], index: &'a Index, at: usize, value: &Value) -> Result<Self, Fault> {
        let candidates = index.candidates.as_slice();
        let role = |field: &str| value.get("roleRef")?.get(field).filter(|v| !v.is_null()).map(text_of);
        let role = role("apiGroup").zip(role("kind")).map(|(group, kind)| (group.into(), kind.into()));
        let bound_namespaces =
            if candidates[at].id.kind == "RoleBinding" && !candidates[at].id.is_cluster_scoped() {
                bound_namespaces(value)?
            } else {
                HashSet::new()
            };
        Ok(Self { items, candidates, index, at, bound_namespaces, role })
    }

    fn update(&self, value: &mut Value, references: &[Reference]) -> Result<(), Fault> {
        for reference in references {
            fieldspec::walk(value, &reference.path, Create::Nothing, &mut |field| self.set(field, reference))
                .map_err(|fault| fault.in_field(&reference.shown))?;
        }
        Ok(())
    }

    fn set(&self, field: &mut Value, reference: &Reference) -> Result<(), Fault> {
        match field {
            Value::Null => Ok(()),
            Value::Object(_) => self.set_in_mapping(field, reference),
            Value::Array(items) => items.iter_mut().try_for_each(|item| match item {
                Value::Null => Ok(()),
                Value::Object(_) => self.set_in_mapping(item, reference),
                Value::Array(_) => Err(Fault::new("expected a name or a mapping with a name, found a list")),
                scalar => self.set_scalar(scalar, reference),
            }),
            scalar => self.set_scalar(scalar, reference),
        }
    }

    fn set_scalar(&self, field: &mut Value, reference: &Reference) -> Result<(), Fault> {
        let old = text_of(field).into_owned();
        let same = |a: &Candidate, b: &Candidate| a.id.name == b.id.name;
        if let Some(found) = self.select(&old, reference, None, same)? {
            let name = &self.candidates[found].id.name;
            if *name != old {
                *field = name.as_str().into();
            }
        }
        Ok(())
    }

    fn set_in_mapping(&self, field: &mut Value, reference: &Reference) -> Result<(), Fault> {
        let Value::Object(map) = field else { return Ok(()) };
        let Some(name) = map.get("name") else {
            return Err(Fault::new("a mapping that refers to an object has no 'name'"));
        };
        let old = text_of(name).into_owned();
        let namespace = map.get("namespace").map(|value| text_of(value).into_owned());
        let same = |a: &Candidate, b: &Candidate| a.id.name == b.id.name && a.namespace == b.namespace;
        let Some(found) = self.select(&old, reference, namespace.as_deref(), same)? else { return Ok(()) };
        let found = &self.candidates[found];
        if found.id.name == old && found.namespace.is_empty() {
            return Ok(());
        }
        map.insert("name".into(), found.id.name.as_str().into());
        if !found.namespace.is_empty() {
            map.insert("namespace".into(), found.namespace.as_str().into());
        }
        Ok(())
    }

    /// The object that had the name `name` and that this reference can refer to.
    fn select(
        &self,
        name: &str,
        reference: &Reference,
        namespace: Option<&str>,
        same: impl Fn(&Candidate, &Candidate) -> bool,
    ) -> Result<Option<usize>, Fault> {
        let Some(named) = self.index.by_name.get(name) else { return Ok(None) };
        let mut found: Vec<usize> = named.iter().copied().filter(|at| self.is_reachable(*at)).collect();
        if let Some(namespace) = namespace {
            found = self.in_namespace(&found, namespace);
        }
        let is_role = reference.shown.ends_with("roleRef/name");
        found.retain(|at| {
            self.was(*at, &reference.group, &reference.version, &reference.kind)
                && match &self.role {
                    Some((group, kind)) if is_role => self.was(*at, group, "", kind),
                    _ => true,
                }
                && self.is_near(*at)
        });
        if let [only] = found.as_slice() {
            return Ok(Some(*only));
        }
        for allow_empty in [true, false] {
            if allow_empty || found.len() > 1 {
                found.retain(|at| self.items[*at].same_affixes(&self.items[self.at], allow_empty));
            }
        }
        match found.as_slice() {
            [] => Ok(None),
            [first, rest @ ..] => {
                let first_candidate = &self.candidates[*first];
                if rest.iter().all(|at| same(&self.candidates[*at], first_candidate)) {
                    return Ok(Some(*first));
                }
                let subjects: Vec<String> =
                    found.iter().map(|at| self.candidates[*at].id.subject()).collect();
                Err(Fault::new(format!("'{name}' could mean several objects: {}", subjects.join(", "))))
            }
        }
    }

    /// Whether an object had a selected kind in any of its identities.
    fn was(&self, at: usize, group: &str, version: &str, kind: &str) -> bool {
        let id = &self.candidates[at].id;
        self.items[at].previous.iter().any(|previous| {
            KindRef { group: &id.group, version: &id.version, kind: &previous.kind }
                .is_selected(group, version, kind)
        })
    }

    /// Whether this object can refer to that one at all.
    fn is_reachable(&self, at: usize) -> bool {
        let (me, other) = (&self.candidates[self.at].id, &self.candidates[at]);
        me.is_cluster_scoped()
            || other.id.is_cluster_scoped()
            || me.namespace == other.id.namespace
            || self.bound_namespaces.contains(&other.namespace)
    }

    /// Whether that object has the same namespace, or none, or may be referred to from other namespaces.
    fn is_near(&self, at: usize) -> bool {
        let (me, other) = (&self.candidates[self.at].id, &self.candidates[at]);
        me.is_cluster_scoped()
            || other.id.is_cluster_scoped()
            || other.id.kind == "ServiceAccount"
            || me.namespace == other.id.namespace
    }

    /// The objects that a reference with a namespace can refer to: those that began there, or otherwise those
    /// that are there now.
    fn in_namespace(&self, found: &[usize], namespace: &str) -> Vec<usize> {
        let began = |candidate: &Candidate| candidate.original_namespace == namespace;
        let places = self.index.began_in.get(namespace);
        let any_began = places.is_some_and(|places| places.iter().any(|at| self.is_reachable(*at)));
        let keep = |at: &usize| {
            let candidate = &self.candidates[*at];
            if any_began { began(candidate) } else { candidate.id.namespace == namespace }
        };
        found.iter().copied().filter(keep).collect()
    }
}

fn bound_namespaces(value: &Value) -> Result<HashSet<String>, Fault> {
    let mut namespaces = HashSet::new();
    for subject in value.get("subjects").and_then(Value::as_array).into_iter().flatten() {
        let is_account = subject.get("kind").and_then(Value::as_str) == Some("ServiceAccount");
        match subject.get("namespace") {
            Some(Value::String(namespace)) if is_account => {
                namespaces.insert(namespace.clone());
            }
            Some(_) if is_account => {
                return Err(Fault::new("the namespace of a subject is not a string").in_field("subjects"));
            }
            _ => {}
        }
    }
    Ok(namespaces)
}
