//! Patches, images, metadata and labels on the output of a chart.

use super::*;

fn rendered() -> Manifests {
    let files = BTreeMap::from([
        (
            "demo/templates/a.yaml".to_owned(),
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
             containers: [{name: web, image: 'nginx:1'}]\n---\n# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: \
             {name: web, labels: {a: b}}\n"
                .to_owned(),
        ),
        (
            "demo/templates/hook.yaml".to_owned(),
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hook\n  annotations: {helm.sh/hook: pre-install}\n".to_owned(),
        ),
    ]);
    manifest::sort(files).unwrap()
}

#[test]
fn all_is_done_in_fluxs_order() {
    let patch =
        "- {op: add, path: /metadata/labels/team, value: patched}\n- {op: add, path: /spec, value: {x: 1}}";
    let wanted = PostRender {
        kustomize: vec![
            json!({"images": [{"name": "nginx", "newTag": "2"}]}),
            json!({"patches": [{"target": {"kind": "Service"}, "patch": patch}]}),
        ],
        labels: BTreeMap::from([("team".to_owned(), "common".to_owned())]),
        annotations: BTreeMap::from([("note".to_owned(), "n".to_owned())]),
        owner: Some(("apps".into(), "demo".into())),
    };
    let done = apply(&rendered(), &wanted, &crate::Budget::default()).unwrap();
    let kinds: Vec<&str> = done.plain.iter().map(|manifest| &*manifest.kind).collect();
    assert_eq!(kinds, ["Service", "Deployment"]);
    assert_eq!(done.plain[0].path, "demo/templates/a.yaml");
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  annotations:\n    note: \"n\"\n  labels:\n    a: b\n    \
                   helm.toolkit.fluxcd.io/name: demo\n    helm.toolkit.fluxcd.io/namespace: apps\n    team: common\n  \
                   name: web\nspec:\n  x: 1\n";
    assert_eq!(done.plain[0].text, service);
    assert_eq!(
        done.plain[1].value().unwrap()["spec"]["template"]["spec"]["containers"][0]["image"],
        "nginx:2"
    );
    assert_eq!(done.hooks.len(), 1);
    assert_eq!(done.hooks[0].value().unwrap()["metadata"]["labels"]["helm.toolkit.fluxcd.io/name"], "demo");
}

#[test]
fn a_document_may_be_deleted_and_a_broken_patch_fails() {
    let delete = json!({"patches": [{"patch": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n$patch: delete"}]});
    let wanted = PostRender { kustomize: vec![delete], ..PostRender::default() };
    let done = apply(&rendered(), &wanted, &crate::Budget::default()).unwrap();
    assert_eq!(done.plain.len(), 1);
    assert_eq!(done.plain[0].value().unwrap()["metadata"], json!({"name": "web"}));
    let broken =
        json!({"patches": [{"target": {"kind": "Service"}, "patch": "- {op: test, path: /x, value: 1}"}]});
    let wanted = PostRender { kustomize: vec![broken], ..PostRender::default() };
    let error = apply(&rendered(), &wanted, &crate::Budget::default()).unwrap_err().text();
    assert!(error.starts_with("error while running post render on files: "), "{error}");
}
