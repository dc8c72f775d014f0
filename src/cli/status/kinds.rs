//! The part of `lockgate status` about kinds that lockgate does not reconcile.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::table::{plain, trimmed};
use crate::cli::output::CommandError;
use crate::cluster::Client;
use crate::cluster::flux::{self, FluxController};
use crate::cluster::objects::Objects;
use lockgate_base::model::Object;
use lockgate_core::api::{Actors, KINDS, KindInfo};
use lockgate_core::pipeline::ports::ApiFailure;

/// The objects of a kind that lockgate does not reconcile.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Others {
    pub(super) info: &'static KindInfo,
    pub(super) count: usize,
    pub(super) actor: Actor,
}

/// The controller of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Actor {
    /// No controller.
    Nobody,
    /// A controller of Flux, as `namespace/name`.
    Flux(String),
    /// Unknown, since the user may not list controllers.
    Unseen,
}

impl Actor {
    fn word(&self) -> String {
        match self {
            Self::Nobody => "no controller acts on them".into(),
            Self::Flux(controller) => format!("left to {controller}"),
            Self::Unseen => {
                "whether Flux acts on them is unknown: Deployments or ClusterRoleBindings may not be listed"
                    .into()
            }
        }
    }
}

/// All kinds that lockgate does not reconcile and that have objects, in the order of the table of kinds. A
/// kind that the user may not list is left out.
pub(super) async fn find(
    client: &Client,
    objects: &Objects,
    namespace: Option<&str>,
) -> Result<Vec<Others>, CommandError> {
    let kinds = KINDS.iter().copied().filter(|info| !info.is_acted_on);
    let found = kinds.map(|info| async move {
        match objects.list_all_or_near(info, namespace).await {
            Ok(listed) => Ok((info, listed)),
            Err(ApiFailure::Forbidden(_)) => Ok((info, None)),
            Err(failure) => Err(CommandError::unreachable(format!("{}: {failure}", info.plural))),
        }
    });
    let found: Vec<(&KindInfo, Option<Vec<Object>>)> = futures::future::try_join_all(found).await?;
    let count = |listed: &[Object]| {
        listed.iter().filter(|object| namespace.is_none() || object.namespace() == namespace).count()
    };
    let found: Vec<_> = found
        .into_iter()
        .map(|(info, listed)| (info, count(&listed.unwrap_or_default())))
        .filter(|(_, count)| *count > 0)
        .collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let actors = match flux::flux_controllers(client).await {
        Ok(controllers) => Some(FluxController::actors(&controllers)),
        Err(ApiFailure::Forbidden(_)) => None,
        Err(failure) => return Err(CommandError::unreachable(format!("whether Flux runs: {failure}"))),
    };
    let others =
        found.into_iter().map(|(info, count)| Others { info, count, actor: actor(info, actors.as_ref()) });
    Ok(others.collect())
}

fn actor(info: &KindInfo, actors: Option<&Actors>) -> Actor {
    match actors.map(|actors| actors.of(info)) {
        None => Actor::Unseen,
        Some(None) => Actor::Nobody,
        Some(Some(controller)) => Actor::Flux(controller.into()),
    }
}

/// One line for each kind.
pub(super) fn table(others: &[Others]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let mut table = plain(&["KIND", "OBJECTS", "WHO ACTS"]);
    for other in others {
        table.add_row([other.info.id.kind.to_owned(), other.count.to_string(), other.actor.word()]);
    }
    let mut text = String::new();
    let _ = writeln!(text, "{}", trimmed(&table));
    text
}

pub(super) fn value(others: &[Others]) -> Value {
    let kinds = others.iter().map(|other| {
        let left_to = if let Actor::Flux(controller) = &other.actor { Some(controller) } else { None };
        let id = other.info.id;
        json!({"group": id.group, "kind": id.kind, "objects": other.count, "leftTo": left_to, "message": other.actor.word()})
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_core::api::named;

    #[test]
    fn each_kind_says_who_acts() {
        let actors = Actors::new([("flux-system", "image-automation-controller")]);
        let other = |kind: &str, count, actors| {
            let info = named(None, kind).unwrap();
            Others { info, count, actor: actor(info, actors) }
        };
        let others = [
            other("ImageUpdateAutomation", 2, Some(&actors)),
            other("Alert", 1, Some(&actors)),
            other("Bucket", 1, None),
        ];
        let expected = "\
KIND                   OBJECTS  WHO ACTS
ImageUpdateAutomation  2        left to flux-system/image-automation-controller
Alert                  1        no controller acts on them
Bucket                 1        whether Flux acts on them is unknown: Deployments or ClusterRoleBindings may not be listed

";
        assert_eq!(table(&others), expected);
        assert_eq!(table(&[]), "");
        let value = value(&others);
        assert_eq!(
            (&value[0]["leftTo"], &value[1]["leftTo"]),
            (&json!("flux-system/image-automation-controller"), &Value::Null)
        );
        assert_eq!(value[1]["message"], "no controller acts on them");
    }
}
