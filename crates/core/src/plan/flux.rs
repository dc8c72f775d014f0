//! Flux's own parts in a repository of `flux bootstrap`: the parts that lockgate replaces are left alone.

use crate::api;
use lockgate_base::model::Object;

/// The label of Flux's parts, set by the flux CLI's `install`, and of lockgate's own.
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "flux");
const LOCKGATE: (&str, &str) = ("app.kubernetes.io/name", "lockgate");

/// Whether Git's object is a part of Flux that lockgate replaces: one of its controllers, or its definition
/// of a kind that lockgate acts on, which has fewer versions.
pub(super) fn is_replaced(object: &Object) -> bool {
    let has = |(label, value): (&str, &str)| object.label(label) == Some(value);
    let is_controller = (object.group(), object.kind()) == ("apps", "Deployment")
        && api::is_rival(object.name())
        && has(PART_OF);
    is_controller || (api::defined_by(object).is_some_and(|info| info.is_acted_on) && !has(LOCKGATE))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_lockgate_stands_in_for_is_replaced() {
        let crd = "apiextensions.k8s.io/v1 CustomResourceDefinition";
        let cases = [
            ("apps/v1 Deployment", "source-controller", "part-of=flux", true),
            ("apps/v1 Deployment", "kustomize-controller", "part-of=flux", true),
            ("apps/v1 Deployment", "helm-controller", "part-of=flux", true),
            ("apps/v1 Deployment", "notification-controller", "part-of=flux", false),
            ("apps/v1 Deployment", "source-controller", "part-of=other", false),
            ("v1 Service", "source-controller", "part-of=flux", false),
            (crd, "kustomizations.kustomize.toolkit.fluxcd.io", "part-of=flux", true),
            (crd, "gitrepositories.source.toolkit.fluxcd.io", "part-of=flux", true),
            (crd, "gitrepositories.source.toolkit.fluxcd.io", "name=lockgate", false),
            (crd, "helmreleases.helm.toolkit.fluxcd.io", "part-of=flux", true),
            (crd, "alerts.notification.toolkit.fluxcd.io", "part-of=flux", false),
            (crd, "kustomizations.example.com", "part-of=flux", false),
        ];
        for (kind, name, label, replaced) in cases {
            let (api_version, kind) = kind.split_once(' ').unwrap();
            let (label, value) = label.split_once('=').unwrap();
            let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {
                "name": name, "labels": {format!("app.kubernetes.io/{label}"): value},
            }});
            assert_eq!(
                is_replaced(&Object::parse(object).unwrap()),
                replaced,
                "{kind} {name} {label}={value}"
            );
        }
    }
}
