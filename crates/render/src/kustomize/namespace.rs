//! `namespace`: moves objects into a namespace, and updates the fields that refer to them.

use serde_json::Value;

use super::fieldspec::{self, Create, Field};
use super::file::FieldSpec;
use super::id::text_of;
use super::res::Res;
use super::resmap::ResMap;
use crate::error::{Fault, Result};
use lockgate_base::model::field;

/// The subjects of role bindings that get the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Subjects {
    /// Subjects that are named `default`.
    #[default]
    DefaultOnly,
    /// All service accounts.
    AllServiceAccounts,
    /// None.
    None,
}

/// Sets the namespace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    /// Fields besides the metadata.
    pub(crate) specs: Vec<FieldSpec>,
    /// Whether an existing namespace stays.
    pub(crate) unset_only: bool,
    /// The subjects that get it.
    pub(crate) subjects: Subjects,
}

const IN_METADATA: &str = "metadata/namespace";

impl Subjects {
    /// Reads the value of `setRoleBindingSubjects`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "defaultOnly" => Ok(Self::DefaultOnly),
            "allServiceAccounts" => Ok(Self::AllServiceAccounts),
            "none" => Ok(Self::None),
            other => {
                let message = format!("expected defaultOnly, allServiceAccounts or none, found '{other}'");
                Err(Fault::new(message).in_field("setRoleBindingSubjects").into())
            }
        }
    }
}

impl Namespace {
    /// Changes every resource, and checks that their identities stay distinct.
    pub(crate) fn run(&self, map: &mut ResMap) -> Result<()> {
        if self.name.is_empty() {
            return Ok(());
        }
        let fields = Field::all(&self.specs);
        for res in map.items_mut() {
            res.remember();
            self.set_in(res, &fields)?;
        }
        map.check_unique().map_err(|error| error.in_field(&format!("namespace '{}'", self.name)))
    }

    /// Changes one resource: its metadata, and the given fields.
    pub(crate) fn set_in(&self, res: &mut Res, fields: &[Field<'_>]) -> Result<()> {
        if !res.is_cluster_scoped() {
            let spec = FieldSpec { path: IN_METADATA.into(), create: true, ..FieldSpec::default() };
            res.visit([&Field::new(&spec)], Create::Scalar, &mut |field| self.set(field))?;
        }
        let is_binding = matches!(res.kind(), "RoleBinding" | "ClusterRoleBinding");
        if is_binding {
            self.set_subjects(res)?;
        }
        let is_core = field(&res.value, "apiVersion").and_then(Value::as_str) == Some("v1");
        let fields = fields.iter().filter(|Field { spec, .. }| {
            let of_subjects = is_binding
                && spec.path == "subjects/namespace"
                && matches!(spec.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
            spec.path != IN_METADATA && (spec.path != "metadata/name" || is_core) && !of_subjects
        });
        res.visit(fields, Create::Scalar, &mut |field| self.set(field))
    }

    fn set(&self, field: &mut Value) -> Result<(), Fault> {
        if self.unset_only && !text_of(field).is_empty() {
            return Ok(());
        }
        fieldspec::set_scalar(field, self.name.as_str().into())
    }

    fn set_subjects(&self, res: &mut Res) -> Result<()> {
        let (key, wanted) = match self.subjects {
            Subjects::None => return Ok(()),
            Subjects::DefaultOnly => ("name", "default"),
            Subjects::AllServiceAccounts => ("kind", "ServiceAccount"),
        };
        let subject = res.subject();
        let place = |fault: Fault| fault.in_field("subjects").on_object(subject.clone());
        let Some(subjects) = res.value.get_mut("subjects") else { return Ok(()) };
        let found = lockgate_base::model::type_name(subjects);
        let subjects = match subjects {
            Value::Null => return Ok(()),
            Value::Array(subjects) => subjects,
            _ => return Err(place(Fault::new(format!("expected a list, found {found}"))).into()),
        };
        for subject in subjects {
            match subject {
                Value::Object(map) => {
                    if map.get(key).is_some_and(|value| text_of(value) == wanted) {
                        self.set(map.entry("namespace").or_insert(Value::Null)).map_err(place)?;
                    }
                }
                Value::Null => {}
                _ => return Err(place(Fault::new("expected a list of mappings")).into()),
            }
        }
        Ok(())
    }
}
