//! Situations for `lockgate diff`, each at another decision of the chain.

use serde_json::{Value, json};

use super::super::stage::config_map;

/// A change by Git, or by somebody else, to the objects that a Kustomization has applied.
pub(super) struct Situation {
    pub(super) name: &'static str,
    /// The spec's fields besides the usual ones.
    pub(super) spec: Value,
    /// The files of its folder, before and after. A file that is missing after is removed.
    pub(super) before: Vec<(&'static str, String)>,
    pub(super) after: Vec<(&'static str, String)>,
    /// An edit of a ConfigMap by kubectl, in between.
    pub(super) edit: Option<(&'static str, Value)>,
    /// The announced changes: `action Kind/name`.
    pub(super) announced: &'static [&'static str],
    /// The changes that happen, if they differ from the announced writes.
    pub(super) done: Option<&'static [&'static str]>,
}

impl Situation {
    fn new(name: &'static str, announced: &'static [&'static str]) -> Self {
        let (before, after) = (Vec::new(), Vec::new());
        Self { name, spec: json!({}), before, after, edit: None, announced, done: None }
    }

    fn spec(self, spec: Value) -> Self {
        Self { spec, ..self }
    }

    fn before(self, before: &[(&'static str, String)]) -> Self {
        Self { before: before.to_vec(), ..self }
    }

    fn after(self, after: &[(&'static str, String)]) -> Self {
        Self { after: after.to_vec(), ..self }
    }

    fn edit(self, name: &'static str, patch: Value) -> Self {
        Self { edit: Some((name, patch)), ..self }
    }

    fn done(self, done: &'static [&'static str]) -> Self {
        Self { done: Some(done), ..self }
    }
}

fn map(name: &str, value: &str, more: &Value) -> String {
    let mut object: Value = serde_json::from_str(&config_map(name, value)).unwrap();
    json_patch::merge(&mut object, more);
    object.to_string()
}

fn asking(name: &str, value: &str, wish: &str) -> String {
    let wish = json!({"kustomize.toolkit.fluxcd.io/ssa": wish});
    map(name, value, &json!({"metadata": {"annotations": wish}}))
}

fn immutable(value: &str) -> [(&'static str, String); 1] {
    [("a.yaml", map("", value, &json!({"immutable": true})))]
}

fn named(files: &[(&'static str, String)], name: &str) -> Vec<(&'static str, String)> {
    let rename = |text: &str| text.replace("\"name\":\"\"", &format!("\"name\":\"{name}\""));
    files.iter().map(|(path, text)| (*path, rename(text))).collect()
}

fn plain(name: &'static str, value: &str) -> (&'static str, String) {
    (name, config_map(name, value))
}

/// A definition of the stage, its first object, a namespace and an object in that.
fn brought(namespace: &str) -> Vec<(&'static str, String)> {
    let group = format!("{namespace}.example.com");
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "versions": [version],
                 "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"}}});
    let thing = json!({"apiVersion": format!("{group}/v1"), "kind": "Thing",
                       "metadata": {"name": "first", "namespace": namespace}});
    let extra = format!("{namespace}-extra");
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": extra}});
    let inside = map("inside", "1", &json!({"metadata": {"namespace": extra}}));
    vec![
        ("crd.yaml", definition.to_string()),
        ("thing.yaml", thing.to_string()),
        ("ns.yaml", space.to_string()),
        ("inside.yaml", inside),
    ]
}

pub(super) const CANARY: [&str; 2] = ["canary-before", "canary-after"];

/// All situations, for a stage with this namespace.
pub(super) fn situations(namespace: &str) -> Vec<Situation> {
    [written(), refused(namespace), left_alone(), brought_along(namespace)].into_iter().flatten().collect()
}

fn written() -> Vec<Situation> {
    let secret = |value: &str| {
        let data = json!({"kept": CANARY[0], "changed": value});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "stringData": data})
            .to_string()
    };
    vec![
        Situation::new("create", &["created ConfigMap/new"])
            .before(&[plain("old", "1")])
            .after(&[plain("old", "1"), plain("new", "1")]),
        Situation::new("change", &["configured ConfigMap/changed"])
            .before(&[plain("changed", "1")])
            .after(&[plain("changed", "2")]),
        Situation::new("drift", &["configured ConfigMap/drifted"])
            .before(&[plain("drifted", "1")])
            .after(&[plain("drifted", "1")])
            .edit("drifted", json!({"data": {"value": "edited", "foreign": "x"}})),
        Situation::new("immutable", &["refused ConfigMap/frozen"])
            .before(&named(&immutable("1"), "frozen"))
            .after(&named(&immutable("2"), "frozen")),
        Situation::new("force", &["recreated ConfigMap/forced"])
            .spec(json!({"force": true}))
            .before(&named(&immutable("1"), "forced"))
            .after(&named(&immutable("2"), "forced")),
        Situation::new("prune", &["pruned ConfigMap/gone"])
            .before(&[plain("gone", "1"), plain("stays", "1")])
            .after(&[plain("stays", "1")]),
        Situation::new("secret", &["configured Secret/secret"])
            .before(&[("a.yaml", secret(CANARY[0]))])
            .after(&[("a.yaml", secret(CANARY[1]))]),
    ]
}

fn refused(namespace: &str) -> Vec<Situation> {
    let names = ["g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8", "g9", "g10"];
    let many = names.map(|name| plain(name, "1"));
    let bad = |name: &str| map(name, "1", &json!({"dataa": {}}));
    let homed = ("a.yaml", map("homed", "1", &json!({"metadata": {"namespace": namespace}})));
    vec![
        Situation::new("guard", &[]).before(&many).after(&[("kustomization.yaml", "resources: []\n".into())]),
        Situation::new("placement", &["refused ConfigMap/homeless"])
            .spec(json!({"targetNamespace": null}))
            .before(std::slice::from_ref(&homed))
            .after(&[homed.clone(), plain("homeless", "1")]),
        Situation::new(
            "refusals",
            &["created ConfigMap/good", "refused ConfigMap/bad", "refused ConfigMap/worse"],
        )
        .before(&[plain("sound", "1")])
        .after(&[plain("sound", "1"), plain("good", "1"), ("b.yaml", bad("bad")), ("w.yaml", bad("worse"))])
        .done(&[]),
    ]
}

fn left_alone() -> Vec<Situation> {
    let disabled = json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    vec![
        Situation::new("mover", &["kept ConfigMap/moved"])
            .before(&[plain("moved", "1"), plain("rest", "1")])
            .after(&[plain("rest", "1")])
            .done(&[]),
        Situation::new("taker", &["configured ConfigMap/moved"])
            .before(&[plain("own", "1")])
            .after(&[plain("own", "1"), plain("moved", "1")]),
        Situation::new("once", &[])
            .before(&[("a.yaml", asking("once", "1", "IfNotPresent"))])
            .after(&[("a.yaml", asking("once", "2", "IfNotPresent"))]),
        Situation::new("merge", &["configured ConfigMap/merged"])
            .before(&[("a.yaml", asking("merged", "1", "Merge"))])
            .after(&[("a.yaml", asking("merged", "2", "Merge"))])
            .edit("merged", json!({"data": {"foreign": "x"}})),
        Situation::new("ignore", &["kept ConfigMap/ignored"])
            .before(&[plain("ignored", "1")])
            .after(&[("ignored", asking("ignored", "2", "Ignore"))])
            .done(&[]),
        Situation::new("keep", &["kept ConfigMap/left"])
            .spec(json!({"prune": false}))
            .before(&[plain("left", "1"), plain("still", "1")])
            .after(&[plain("still", "1")]),
        Situation::new("disabled", &["kept ConfigMap/spared"])
            .before(&[("a.yaml", map("spared", "1", &disabled)), plain("usual", "1")])
            .after(&[plain("usual", "1")]),
    ]
}

fn brought_along(namespace: &str) -> Vec<Situation> {
    let before = ("a.yaml", map("before", "1", &json!({"metadata": {"namespace": namespace}})));
    vec![
        Situation::new(
            "definition",
            &[
                "created CustomResourceDefinition/",
                "created Thing/first",
                "created Namespace/",
                "created ConfigMap/inside",
            ],
        )
        .spec(json!({"targetNamespace": null}))
        .before(std::slice::from_ref(&before))
        .after(&[vec![before.clone()], brought(namespace)].concat()),
    ]
}
