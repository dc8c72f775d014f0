//! `vars`: copies fields of objects into fields of others, as `$(NAME)`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::accumulator::Accumulator;
use super::build::BuildShared;
use super::fieldpath;
use super::fieldspec::{Create, Field};
use super::file::{ObjectRef, Var};
use super::id::{split_api_version, text_of};
use super::res::Res;
use crate::budget::{Budget, Spent};
use crate::error::{Fault, Result};

/// Adds the variables of one kustomization and marks their objects, which may be renamed afterwards.
pub(crate) fn collect(all: &mut Accumulator, vars: &[Var]) -> Result<()> {
    for var in vars {
        let mut var = var.clone();
        if var.fieldref.field_path.is_empty() {
            var.fieldref.field_path = "metadata.name".into();
        }
        let meant: Vec<usize> =
            (0..all.map.items().len()).filter(|at| means(&var.objref, &all.map.items()[*at])).collect();
        match meant.as_slice() {
            [] => {}
            [only] => all.map.content_mut(*only).variables.push(var.name.clone()),
            several => {
                let subjects: Vec<String> = several.iter().map(|at| all.map.items()[*at].subject()).collect();
                let message = format!("could mean several objects: {}", subjects.join(", "));
                return Err(Fault::new(message).in_field(format!("vars '{}'", var.name)).into());
            }
        }
        all.add_var(var.name.clone(), var)?;
    }
    Ok(())
}

fn means(reference: &ObjectRef, res: &Res) -> bool {
    let (mut group, mut version) = (reference.group.as_str(), reference.version.as_str());
    if !reference.api_version.is_empty() {
        match split_api_version(&reference.api_version) {
            ("", only) => version = only,
            both => (group, version) = both,
        }
    }
    res.previous_ids().chain([res.id()]).any(|id| {
        id.group == group
            && id.version == version
            && id.kind == reference.kind
            && id.name == reference.name
            && (reference.namespace.is_empty() || id.namespace == reference.namespace)
    })
}

/// Replaces all variables by their values.
pub(crate) fn run(all: &mut Accumulator, build: &BuildShared<'_>) -> Result<()> {
    if all.vars.is_empty() {
        return Ok(());
    }
    let mut values = BTreeMap::new();
    for (name, var) in &all.vars {
        values.insert(name.clone(), value_of(all, name, var)?);
    }
    let mut used = BTreeSet::new();
    let config = Arc::clone(&all.config);
    let fields = Field::all(&config.var_reference);
    for res in all.map.items_mut() {
        res.visit(&fields, Create::Nothing, &mut |field| replace(field, &values, &mut used, build.budget))?;
    }
    for name in values.keys().filter(|name| !used.contains(*name)) {
        build.warn(format!("the variable '{name}' is defined but never used"));
    }
    Ok(())
}

fn value_of(all: &Accumulator, name: &str, var: &Var) -> Result<Value> {
    let fault = |message: String| Fault::new(message).in_field(format!("vars '{name}'"));
    let marked = all.map.items().iter().find(|res| res.variables.iter().any(|marked| marked == name));
    let res = marked.ok_or_else(|| {
        let reference = &var.objref;
        fault(format!(
            "its object {} {}/{} does not exist",
            reference.api_version, reference.kind, reference.name
        ))
    })?;
    let path = fieldpath::with_indexes(fieldpath::split(&var.fieldref.field_path));
    let found = fieldpath::lookup(&res.value, &path).ok().flatten();
    let found = found.ok_or_else(|| {
        fault(format!("its field '{}' does not exist", var.fieldref.field_path)).on_object(res.subject())
    })?;
    Ok(found.clone())
}

fn replace(
    field: &mut Value,
    values: &BTreeMap<String, Value>,
    used: &mut BTreeSet<String>,
    budget: &Budget,
) -> Result<(), Fault> {
    match field {
        Value::String(text) => *field = expand(text, values, used, budget)?,
        Value::Object(map) => {
            for value in map.values_mut() {
                if let Value::String(text) = value {
                    *value = expand(text, values, used, budget)?;
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let Value::String(text) = item else {
                    let found = lockgate_base::model::type_name(item);
                    return Err(Fault::new(format!("expected a list of strings, found {found}")));
                };
                *item = expand(text, values, used, budget)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Replaces `$(NAME)`. A text that consists only of one variable takes over the type of the value; `$$`
/// stands for `$`.
fn expand(
    text: &str,
    values: &BTreeMap<String, Value>,
    used: &mut BTreeSet<String>,
    budget: &Budget,
) -> Result<Value, Spent> {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$').filter(|at| at + 1 < rest.len()) {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            result.push('$');
            rest = tail;
            continue;
        }
        let name = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let Some((name, tail)) = name else {
            result.push('$');
            rest = after;
            if let Some(next) = after.chars().next() {
                result.push(next);
                rest = &after[next.len_utf8()..];
            }
            continue;
        };
        let whole = format!("$({name})");
        let value =
            values.get(name).filter(|value| !value.is_object() && !value.is_array() && !value.is_null());
        match value {
            Some(value) => {
                used.insert(name.into());
                if text == whole {
                    budget.copy(value)?;
                    return Ok(value.clone());
                }
                budget.copy_text(&text_of(value))?;
                result.push_str(&text_of(value));
            }
            None => result.push_str(&whole),
        }
        rest = tail;
    }
    result.push_str(rest);
    Ok(result.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_expanded() {
        let values = BTreeMap::from([("A".to_owned(), json!("x")), ("N".to_owned(), json!(8080))]);
        let mut used = BTreeSet::new();
        for (text, expected) in [
            ("$(A)", json!("x")),
            ("$(N)", json!(8080)),
            ("http://$(A):$(N)/", json!("http://x:8080/")),
            ("$$(A)", json!("$(A)")),
            ("$(B)", json!("$(B)")),
            ("$(A", json!("$(A")),
            ("a$", json!("a$")),
            ("$x$(A)", json!("$xx")),
        ] {
            assert_eq!(expand(text, &values, &mut used, &Budget::default()), Ok(expected), "{text}");
        }
    }
}
