//! The fields that the transformers change: the built-in table, and the additions of `configurations` and
//! `crds`.

use std::sync::{Arc, OnceLock};

use super::decode::record;
use super::file::FieldSpec;
use super::id::{KindRef, ResourceId};
use crate::error::{Fault, Result};

record! {
    /// The fields that refer to objects of one kind by name.
    pub(crate) BackReference {
        /// API group of the referenced object.
        group: String = "group",
        /// API version of the referenced object.
        version: String = "version",
        /// Kind of the referenced object.
        kind: String = "kind",
        /// The fields.
        referrers: Vec<FieldSpec> = "fieldSpecs",
    }
}

record! {
    /// The fields that transformers change.
    pub(crate) Config {
        /// The fields of `namePrefix`.
        name_prefix: Vec<FieldSpec> = "namePrefix",
        /// The fields of `nameSuffix`.
        name_suffix: Vec<FieldSpec> = "nameSuffix",
        /// The fields of `namespace`.
        namespace: Vec<FieldSpec> = "namespace",
        /// The fields of `commonLabels` and of labels with selectors.
        common_labels: Vec<FieldSpec> = "commonLabels",
        /// The fields of all `labels`.
        labels: Vec<FieldSpec> = "labels",
        /// The fields of labels with templates.
        template_labels: Vec<FieldSpec> = "templateLabels",
        /// The fields of `commonAnnotations`.
        common_annotations: Vec<FieldSpec> = "commonAnnotations",
        /// The fields that refer to other objects by name.
        name_reference: Vec<BackReference> = "nameReference",
        /// The fields in which variables are replaced.
        var_reference: Vec<FieldSpec> = "varReference",
        /// The fields of `images`.
        images: Vec<FieldSpec> = "images",
        /// The fields of `replicas`.
        replicas: Vec<FieldSpec> = "replicas",
    }
}

/// Kinds that sort before all others.
pub(crate) const ORDER_FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that sort after all others.
pub(crate) const ORDER_LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// A text that sorts kinds: absent parts sort after named ones.
pub(crate) fn kind_sort_key(gvk: KindRef<'_>) -> String {
    let or = |part: &str, absent: &str| if part.is_empty() { absent.to_owned() } else { part.to_owned() };
    format!("{}_{}_{}", or(gvk.group, "~G"), or(gvk.version, "~V"), or(gvk.kind, "~K"))
}

fn rank(gvk: KindRef<'_>) -> (isize, String) {
    let first = ORDER_FIRST.iter().position(|kind| *kind == gvk.kind);
    let last = ORDER_LAST.iter().position(|kind| *kind == gvk.kind);
    let order = match (first, last) {
        (Some(at), _) => at.cast_signed() - ORDER_FIRST.len().cast_signed(),
        (None, Some(at)) => at.cast_signed() + 1,
        (None, None) => 0,
    };
    (order, kind_sort_key(gvk))
}

impl FieldSpec {
    /// The kinds that it selects.
    pub(crate) fn gvk(&self) -> KindRef<'_> {
        KindRef { group: &self.group, version: &self.version, kind: &self.kind }
    }

    /// Whether it selects objects of this identity.
    pub(crate) fn gvk_selects(&self, id: &ResourceId) -> bool {
        id.gvk().is_selected(&self.group, &self.version, &self.kind)
    }
}

/// Adds `incoming` to `specs`, unless it selects the kinds of an existing specification with the same path.
pub(crate) fn merge_spec(specs: &mut Vec<FieldSpec>, incoming: &FieldSpec) -> Result<()> {
    let same = specs.iter().find(|spec| {
        spec.path == incoming.path
            && spec.gvk().is_selected(&incoming.group, &incoming.version, &incoming.kind)
    });
    match same {
        Some(spec) if spec.create != incoming.create => {
            let message = format!(
                "two field specifications of '{}' for {} disagree about create",
                incoming.path,
                if incoming.kind.is_empty() { "all kinds" } else { &incoming.kind }
            );
            Err(Fault::new(message).into())
        }
        Some(_) => Ok(()),
        None => {
            specs.push(incoming.clone());
            Ok(())
        }
    }
}

/// Adds all of `incoming` to `specs`.
pub(crate) fn merge_specs(specs: &mut Vec<FieldSpec>, incoming: &[FieldSpec]) -> Result<()> {
    incoming.iter().try_for_each(|spec| merge_spec(specs, spec))
}

fn merge_references(references: &mut Vec<BackReference>, incoming: &[BackReference]) -> Result<()> {
    for other in incoming {
        let same = references.iter_mut().filter(|reference| {
            (&reference.group, &reference.version, &reference.kind)
                == (&other.group, &other.version, &other.kind)
        });
        let mut found = false;
        for reference in same {
            merge_specs(&mut reference.referrers, &other.referrers)?;
            found = true;
        }
        if !found {
            references.push(other.clone());
        }
    }
    Ok(())
}

impl Config {
    /// The built-in fields.
    pub(crate) fn built_in() -> Arc<Self> {
        static BUILT_IN: OnceLock<Arc<Config>> = OnceLock::new();
        Arc::clone(BUILT_IN.get_or_init(|| {
            let table = Self::of_table(include_str!("fields.txt"));
            let mut config = Self::default();
            // The table is consistent, which a test checks.
            let merged = config.merge(&table);
            debug_assert!(merged.is_ok());
            Arc::new(config)
        }))
    }

    fn of_table(table: &str) -> Self {
        let mut config = Self::default();
        let mut section = "";
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                continue;
            }
            let mut parts = line.split(' ').map(|part| if part == "-" { "" } else { part });
            let mut next = || parts.next().unwrap_or_default().to_owned();
            let kind = next();
            if kind == ">" {
                let (kind, version, group) = (next(), next(), next());
                config.name_reference.push(BackReference { group, version, kind, referrers: Vec::new() });
                continue;
            }
            let spec =
                FieldSpec { kind, version: next(), group: next(), path: next(), create: !next().is_empty() };
            if let Some(specs) = config.section_mut(section) {
                specs.push(spec);
            }
        }
        config.sort();
        config
    }

    fn section_mut(&mut self, section: &str) -> Option<&mut Vec<FieldSpec>> {
        Some(match section {
            "namePrefix" => &mut self.name_prefix,
            "nameSuffix" => &mut self.name_suffix,
            "namespace" => &mut self.namespace,
            "commonLabels" => &mut self.common_labels,
            "labels" => &mut self.labels,
            "templateLabels" => &mut self.template_labels,
            "commonAnnotations" => &mut self.common_annotations,
            "varReference" => &mut self.var_reference,
            "images" => &mut self.images,
            "replicas" => &mut self.replicas,
            "nameReference" => &mut self.name_reference.last_mut()?.referrers,
            _ => return None,
        })
    }

    fn lists(&self) -> [&Vec<FieldSpec>; 10] {
        [
            &self.name_prefix,
            &self.name_suffix,
            &self.namespace,
            &self.common_labels,
            &self.labels,
            &self.template_labels,
            &self.common_annotations,
            &self.var_reference,
            &self.images,
            &self.replicas,
        ]
    }

    fn lists_mut(&mut self) -> [&mut Vec<FieldSpec>; 10] {
        [
            &mut self.name_prefix,
            &mut self.name_suffix,
            &mut self.namespace,
            &mut self.common_labels,
            &mut self.labels,
            &mut self.template_labels,
            &mut self.common_annotations,
            &mut self.var_reference,
            &mut self.images,
            &mut self.replicas,
        ]
    }

    /// Adds the fields of `other`.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        for (mine, theirs) in self.lists_mut().into_iter().zip(other.lists()) {
            merge_specs(mine, theirs)?;
        }
        merge_references(&mut self.name_reference, &other.name_reference)?;
        self.sort();
        Ok(())
    }

    /// Merges shared configurations. The common case that both are the built-in one costs nothing.
    pub(crate) fn merge_shared(mine: &mut Arc<Self>, other: &Arc<Self>) -> Result<()> {
        if Arc::ptr_eq(mine, other) {
            return Ok(());
        }
        if **mine == Self::default() && Arc::ptr_eq(other, &Self::built_in()) {
            *mine = Arc::clone(other);
            return Ok(());
        }
        // A merge drops a specification if an earlier and narrower one has the same path, even within one
        // list.
        Arc::make_mut(mine).merge(other)
    }

    /// Orders every list by kind, as kustomize does.
    pub(crate) fn sort(&mut self) {
        for list in self.lists_mut() {
            list.sort_by_cached_key(|spec| rank(spec.gvk()));
        }
        self.name_reference.sort_by_cached_key(|reference| {
            rank(KindRef { group: &reference.group, version: &reference.version, kind: &reference.kind })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole_and_agrees_with_itself() {
        let table = Config::of_table(include_str!("fields.txt"));
        let referrers: usize = table.name_reference.iter().map(|reference| reference.referrers.len()).sum();
        assert_eq!((table.name_reference.len(), referrers), (16, 167));
        assert_eq!(table.var_reference.len(), 72);
        assert_eq!(table.common_labels.len(), table.template_labels.len() + 22);
        assert!(Config::default().merge(&table).is_ok());
    }

    #[test]
    fn a_wider_specification_adds_nothing_and_a_contradiction_is_told() {
        let spec = |kind: &str, create| FieldSpec {
            kind: kind.into(),
            path: "a/b".into(),
            create,
            ..FieldSpec::default()
        };
        let mut specs = vec![spec("Foo", true)];
        merge_spec(&mut specs, &spec("", true)).unwrap();
        assert_eq!(specs.len(), 1);
        merge_spec(&mut specs, &spec("Bar", true)).unwrap();
        assert_eq!(specs.len(), 2);
        let error = merge_spec(&mut specs, &spec("Foo", false)).unwrap_err();
        assert_eq!(error.to_string(), "two field specifications of 'a/b' for Foo disagree about create");
    }
}
