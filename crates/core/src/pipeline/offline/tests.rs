//! Builds of small trees, with values from each place that they can come from.

mod releases;

use std::collections::BTreeMap;

use futures::FutureExt as _;
use serde_json::json;

use super::values::data;
use super::*;
use crate::api::Kustomization;
use crate::pipeline::ByHand;
use lockgate_base::model::Object;
use lockgate_base::tree::Tree;
use lockgate_render::RenderedObject;

const APPS: &str = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1beta2
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec:
  interval: 1m
  prune: true
  path: ./apps
  targetNamespace: shop
  commonMetadata: {labels: {team: a}}
  sourceRef: {kind: GitRepository, name: infra}
  postBuild:
    substitute: {region: west}
    substituteFrom: [{kind: ConfigMap, name: vars}]
";
const VARS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: vars, namespace: flux-system}
data: {domain: example.org, region: nowhere}
";
const MAP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data: {host: '${region}.${domain}'}
";

fn tree(more: &[(&str, &str)]) -> Tree {
    let mut files = vec![("clusters/a/apps.yaml", APPS), ("apps/map.yaml", MAP)];
    files.extend(more);
    Tree::in_memory(files)
}

fn host(rendered: &BuiltSet) -> &str {
    rendered.resources.iter().find_map(|resource| resource.object.text("/data/host")).unwrap()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn object(text: &str) -> Object {
    let mut documents =
        lockgate_base::model::yaml::documents(text, lockgate_base::model::yaml::Dialect::V2).unwrap();
    Object::parse(documents.swap_remove(0).value).unwrap()
}

// With nothing to look up elsewhere, there is nothing to wait for.

fn kustomization(
    tree: &Tree,
    found: &LocatedObject,
    values: &SubstituteValues,
) -> Result<BuiltSet, OfflineError> {
    super::kustomization(tree, found, values, &Nowhere).now_or_never().unwrap()
}

fn find(tree: &Tree, folder: &str, name: &str) -> Result<LocatedObject, OfflineError> {
    super::find(tree, folder, Kustomization::INFO, name)
}

fn recursive(tree: &Tree, start: Start, values: &SubstituteValues) -> Platform {
    super::recursive(tree, start, values, &Nowhere, None::<&ReleaseSetting<'_, Nowhere>>)
        .now_or_never()
        .unwrap()
}

fn whole(tree: &Tree, start: Start, values: &SubstituteValues) -> Result<Vec<BuiltSet>, Vec<OfflineError>> {
    recursive(tree, start, values).whole()
}

fn folder(path: &str) -> Start {
    Start::Folder(path.into())
}

/// The subjects of the built objects, without their files.
fn subjects(rendered: &[BuiltSet]) -> Vec<&str> {
    rendered.iter().map(|built| built.subject.split(" in ").next().unwrap()).collect()
}

fn told(errors: &[OfflineError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// A Kustomization of its own folder, and one object in it.
fn stage(name: &str, depends_on: &[&str]) -> [(String, String); 2] {
    let depends_on: Vec<String> = depends_on.iter().map(|name| format!("{{name: {name}}}")).collect();
    let kustomization = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
         spec: {{interval: 1m, prune: true, path: ./stages/{name}, dependsOn: [{}], \
         sourceRef: {{kind: GitRepository, name: infra}}}}\n",
        depends_on.join(", ")
    );
    let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    [(format!("clusters/a/{name}.yaml"), kustomization), (format!("stages/{name}/map.yaml"), map)]
}

fn stages(stages: &[(&str, &[&str])]) -> Tree {
    Tree::in_memory(stages.iter().flat_map(|(name, depends_on)| stage(name, depends_on)))
}

#[test]
fn one_is_built_as_the_agent_would() {
    let tree = tree(&[("vars.yaml", VARS)]);
    let values = SubstituteValues { tree: values_in(&tree).unwrap(), ..SubstituteValues::default() };
    let built = kustomization(&tree, &find(&tree, "", "apps").unwrap(), &values).unwrap();
    assert_eq!(built.subject, "Kustomization/flux-system/apps in clusters/a/apps.yaml");
    let [RenderedObject { object, origin, .. }] = built.resources.as_slice() else { panic!("{built:?}") };
    assert_eq!((object.id().to_string().as_str(), origin.as_str()), ("shop_app__ConfigMap", "apps/map.yaml"));
    assert_eq!(object.text("/data/host"), Some("west.example.org"));
    assert_eq!(
        (object.label("team"), object.label(lockgate_base::keys::OWNER_NAME)),
        (Some("a"), Some("apps"))
    );
}

#[test]
fn values_that_are_not_at_hand_are_named_unless_some_are_set() {
    let tree = tree(&[]);
    let found = find(&tree, "", "flux-system/apps").unwrap();
    assert_eq!(found.file, "clusters/a/apps.yaml");
    let error = kustomization(&tree, &found, &SubstituteValues::default()).unwrap_err().to_string();
    let expected =
        "Kustomization/flux-system/apps in clusters/a/apps.yaml: substitute from ConfigMap/vars: not found";
    assert!(error.starts_with(expected), "{error}");
    let set = map(&[("domain", "set.org"), ("region", "east")]);
    let by_hand = ByHand { over: set, ..ByHand::default() };
    let built =
        kustomization(&tree, &found, &SubstituteValues { by_hand, ..SubstituteValues::default() }).unwrap();
    assert_eq!(host(&built), "east.set.org");
}

#[test]
fn the_nearest_and_most_deliberate_value_wins() {
    let tree = tree(&[("vars.yaml", VARS)]);
    let found = find(&tree, "", "apps").unwrap();
    let vars = |domain: &str| object(&VARS.replace("example.org", domain));
    let own = SubstituteValues { tree: values_in(&tree).unwrap(), ..SubstituteValues::default() };
    let built = SubstituteValues { built: vec![vars("built.org")], ..own.clone() };
    let given = SubstituteValues { given: vec![vars("first.org"), vars("given.org")], ..built.clone() };
    let instead = map(&[("domain", "file.org"), ("region", "file")]);
    let by_hand = ByHand { instead, ..ByHand::default() };
    let file = SubstituteValues { by_hand: by_hand.clone(), ..given.clone() };
    let over = map(&[("domain", "set.org"), ("region", "set")]);
    let set = SubstituteValues { by_hand: ByHand { over, ..by_hand }, ..given.clone() };
    for (values, expected) in [
        (own, "west.example.org"),
        (built, "west.built.org"),
        (given, "west.given.org"),
        (file, "west.file.org"),
        (set, "set.set.org"),
    ] {
        assert_eq!(host(&kustomization(&tree, &found, &values).unwrap()), expected);
    }
}

#[test]
fn a_secret_is_decoded() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: Yg==}\nstringData: {c: d}\n";
    let values = values_in(&tree(&[("s.yml", secret)])).unwrap();
    let found = values.iter().find(|found| found.object.kind() == "Secret").unwrap();
    let texts = data(&found.object)
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8(value.expose().clone()).unwrap()));
    assert_eq!(texts.collect::<BTreeMap<_, _>>(), map(&[("a", "b"), ("c", "d")]));
}

#[test]
fn of_two_with_one_name_the_nearer_is_taken_and_no_guess_is_made() {
    let other = VARS.replace("example.org", "example.com");
    let json = format!(
        "{{\"a\": 1}}\n---\n{}",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    );
    let tree = tree(&[("c/a/vars.yaml", VARS), ("c/b/vars.yaml", other.as_str()), ("c/j.yaml", &json)]);
    let values = SubstituteValues { tree: values_in(&tree).unwrap(), ..SubstituteValues::default() };
    assert_eq!(values.tree.iter().filter(|found| found.file == "c/j.yaml").count(), 1);
    let object = find(&tree, "", "apps").unwrap().object;
    let built = |file: &str| {
        kustomization(&tree, &LocatedObject { file: file.into(), object: object.clone() }, &values)
    };
    assert_eq!(host(&built("c/a/x.yaml").unwrap()), "west.example.org");
    assert_eq!(host(&built("c/b/x.yaml").unwrap()), "west.example.com");
    assert!(matches!(built("c/other/x.yaml"), Err(OfflineError::MissingValues { .. })));
}

#[test]
fn a_folder_is_followed_to_the_end_and_no_further() {
    let itself = APPS.replace("name: apps", "name: root").replace("path: ./apps", "path: ./clusters/a");
    let elsewhere = APPS.replace("name: apps", "name: bucket").replace("kind: GitRepository", "kind: Bucket");
    let tree = tree(&[
        ("clusters/a/vars.yaml", VARS),
        ("clusters/a/root.yaml", itself.as_str()),
        ("clusters/a/bucket.yaml", elsewhere.as_str()),
    ]);
    let all = whole(&tree, folder("clusters/a"), &SubstituteValues::default()).unwrap();
    let name = |name: &str| format!("Kustomization/flux-system/{name}");
    // targetNamespace moves what root applies, so the objects in it are others than those at the top.
    let subjects = subjects(&all);
    assert!(subjects.contains(&"clusters/a") && subjects.contains(&name("apps").as_str()), "{subjects:?}");
    let built = |name: String| all.iter().find(|built| built.subject.starts_with(&name)).unwrap();
    assert_eq!(host(built(name("apps"))), "west.example.org");
    let bucket = built(name("bucket"));
    assert!(bucket.resources.is_empty() && bucket.warnings[0].contains("not a GitRepository"), "{bucket:?}");
}

#[test]
fn each_comes_after_those_it_depends_on() {
    let tree = stages(&[("a", &["c"]), ("b", &[]), ("c", &["d", "gone"]), ("d", &[])]);
    let all = whole(&tree, folder("clusters/a"), &SubstituteValues::default()).unwrap();
    let order: Vec<&str> = subjects(&all)[1..].iter().map(|name| name.rsplit('/').next().unwrap()).collect();
    assert_eq!(order, ["b", "d", "c", "a"]);
    let warnings: Vec<&str> = all.iter().flat_map(|built| &built.warnings).map(String::as_str).collect();
    let expected = "Kustomization/flux-system/c in clusters/a/c.yaml: depends on flux-system/gone, which \
        does not exist here";
    assert_eq!(warnings, [expected]);
}

#[test]
fn dependencies_of_other_kinds_are_looked_for_too() {
    let source = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: there, namespace: flux-system}\n\
                  spec: {interval: 1m, url: 'oci://example.org/there'}\n";
    let [(path, text), map] = stage("a", &[]);
    let depends = "dependsOn: [{kind: OCIRepository, name: there}, {kind: OCIRepository, name: gone}, \
                   {kind: Alert, name: podinfo}]";
    let text = text.replace("dependsOn: []", depends);
    let files = [(path, text), map, ("clusters/a/there.yaml".into(), source.into())];
    let all = whole(&Tree::in_memory(files), folder("clusters/a"), &SubstituteValues::default()).unwrap();
    let warnings: Vec<&str> = all.iter().flat_map(|built| &built.warnings).map(String::as_str).collect();
    assert!(
        warnings[0].ends_with("depends on OCIRepository/flux-system/gone, which does not exist here"),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("so Alert/flux-system/podinfo never becomes ready"), "{warnings:?}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut files: Vec<(String, String)> = Vec::new();
    for (name, depends_on) in
        [("a", &["b"][..]), ("b", &["a"]), ("behind", &["a"]), ("good", &[]), ("lost", &[])]
    {
        files.extend(stage(name, depends_on));
    }
    files.retain(|(path, _)| path != "stages/lost/map.yaml");
    let errors =
        whole(&Tree::in_memory(files), folder("clusters/a"), &SubstituteValues::default()).unwrap_err();
    let told = told(&errors);
    assert_eq!(told.len(), 2, "{told:?}");
    let named = |name: &str| format!("Kustomization/flux-system/{name} in clusters/a/{name}.yaml: ");
    assert!(told[0].starts_with(&named("lost")) && told[0].contains("stages/lost"), "{told:?}");
    assert_eq!(told[1], named("a") + "dependsOn is a cycle: a -> b -> a");
}

/// A Kustomization that builds another one that differs each time would never end.
#[test]
fn nesting_ends() {
    let endless = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: 'x${X}', namespace: flux-system}
spec:
  interval: 1m
  prune: true
  path: ./endless
  sourceRef: {kind: GitRepository, name: infra}
  postBuild: {substitute: {X: 'a${X}'}}
";
    let tree = Tree::in_memory([("endless/x.yaml", endless)]);
    let start = object(&endless.replace("${X}", ""));
    let start = Start::Object(Box::new(LocatedObject { file: "endless/x.yaml".into(), object: start }));
    let errors = told(&whole(&tree, start, &SubstituteValues::default()).unwrap_err());
    assert!(errors.len() == 1 && errors[0].ends_with("nested deeper than 32"), "{errors:?}");
}

#[test]
fn files_of_another_repository_are_not_looked_for_here() {
    let repository = |name: &str, url: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\n\
             spec: {{interval: 1m, url: {url}}}\n"
        )
    };
    let [infra, other, same] = [
        repository("infra", "ssh://git@h/infra"),
        repository("other", "ssh://git@h/other"),
        repository("same", "ssh://git@h/infra"),
    ];
    let from = |name: &str, source: &str| {
        let [(path, text), map] = stage(name, &[]);
        [(path, text.replace("name: infra", &format!("name: {source}"))), map]
    };
    let root = stage("root", &[])[0].1.replace("./stages/root", "./clusters/a");
    let sources = format!("{infra}---\n{other}---\n{same}");
    let files = [("clusters/a/sources.yaml".to_owned(), sources), ("clusters/a/root.yaml".to_owned(), root)];
    let files =
        files.into_iter().chain(from("theirs", "other")).chain(from("ours", "same")).chain(from("any", "x"));
    let all = whole(&Tree::in_memory(files), folder("clusters/a"), &SubstituteValues::default()).unwrap();
    let built =
        |name: &str| all.iter().find(|built| built.subject.contains(&format!("/{name} in "))).unwrap();
    for name in ["ours", "any", "root"] {
        assert!(!built(name).resources.is_empty(), "{name}");
    }
    let theirs = built("theirs");
    let expected = "its source is another repository, ssh://git@h/other, so it is not built";
    assert!(theirs.resources.is_empty() && theirs.warnings[0].ends_with(expected), "{theirs:?}");
}

#[test]
fn a_draft_is_built_and_told_what_it_lacks() {
    let draft = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: d}\nspec: {path: apps}\n";
    let found = LocatedObject { file: String::new(), object: object(draft) };
    let built = kustomization(&tree(&[]), &found, &SubstituteValues::default()).unwrap();
    assert_eq!(built.resources[0].object.label(lockgate_base::keys::OWNER_NAMESPACE), Some("flux-system"));
    for field in ["interval", "prune", "sourceRef"] {
        let expected = format!(
            "Kustomization/flux-system/d: spec.{field} is missing, so the API server would refuse it"
        );
        assert!(built.warnings.contains(&expected), "{:?}", built.warnings);
    }
}

#[test]
fn a_name_that_is_nowhere_or_twice_is_told() {
    let tree = tree(&[("clusters/b/apps.yaml", APPS)]);
    let error = find(&tree, "", "apps").unwrap_err().to_string();
    assert!(error.contains("clusters/a/apps.yaml, clusters/b/apps.yaml"), "{error}");
    assert_eq!(find(&tree, "clusters/b", "apps").unwrap().file, "clusters/b/apps.yaml");
    let nowhere = |folder: &str| find(&tree, folder, "nope").unwrap_err().to_string();
    assert_eq!(nowhere(""), "there is no Kustomization 'nope' in the tree");
    // A folder's name is no prefix of a file's.
    assert_eq!(
        find(&tree, "clusters/", "apps").unwrap_err().to_string(),
        "there is no Kustomization 'apps' in clusters/"
    );
}

#[test]
fn a_path_that_climbs_out_stops_at_the_root() {
    let climbs = APPS.replace("path: ./apps", "path: ../../apps/../apps");
    let tree = tree(&[("vars.yaml", VARS), ("climbs.yaml", &climbs)]);
    let found = LocatedObject { file: "climbs.yaml".into(), object: object(&climbs) };
    let values = SubstituteValues { tree: values_in(&tree).unwrap(), ..SubstituteValues::default() };
    assert_eq!(host(&kustomization(&tree, &found, &values).unwrap()), "west.example.org");
}

#[test]
fn what_builds_is_there_beside_what_does_not() {
    let mut files: Vec<(String, String)> = Vec::new();
    for (name, depends_on) in [("good", &["lost"][..]), ("lost", &[])] {
        files.extend(stage(name, depends_on));
    }
    files.retain(|(path, _)| path != "stages/lost/map.yaml");
    let platform = recursive(&Tree::in_memory(files), folder("clusters/a"), &SubstituteValues::default());
    assert_eq!(subjects(&platform.rendered), ["clusters/a", "Kustomization/flux-system/good"]);
    assert_eq!(platform.errors.len(), 1, "{:?}", platform.errors);
    assert!(platform.whole().is_err());
}

/// The hints for the Kustomization `apps` of a tree whose root Kustomization has these fields besides.
fn hints_below(root: &str, more: &[(&str, &str)]) -> Vec<String> {
    let root = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: root, namespace: flux-system}}\n\
         spec:\n  interval: 1m\n  prune: true\n  path: ./clusters/a\n{root}"
    );
    let mut files = vec![("clusters/a/root.yaml", root.as_str()), ("clusters/a/vars.yaml", VARS)];
    files.extend(more);
    let tree = tree(&files);
    let values = SubstituteValues { tree: values_in(&tree).unwrap(), ..SubstituteValues::default() };
    hints(&tree, &find(&tree, "", "apps").unwrap(), &values).now_or_never().unwrap()
}

#[test]
fn a_parent_that_changes_what_is_built_is_named() {
    let own = "  sourceRef: {kind: GitRepository, name: infra}\n";
    assert_eq!(hints_below(own, &[]), [""; 0]);
    let patches = "  patches:\n  - target: {kind: Kustomization}\n    patch: |\n      - {op: add, path: /spec/wait, value: true}\n";
    let told = hints_below(&format!("{own}{patches}"), &[]);
    let expected = "Kustomization/flux-system/apps in clusters/a/apps.yaml: Kustomization/flux-system/root in \
                    clusters/a/root.yaml changes its spec.wait before the agent sees it; build that parent \
                        with --recursive";
    assert_eq!(told, [expected]);
}

#[test]
fn a_source_that_is_not_the_tree_is_named() {
    let repository = |name: &str, url: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\n\
             spec: {{interval: 1m, url: {url}}}\n"
        )
    };
    let root = "  sourceRef: {kind: GitRepository, name: platform}\n";
    let sources =
        |url: &str| format!("{}---\n{}", repository("infra", url), repository("platform", "ssh://git@h/p"));
    assert_eq!(hints_below(root, &[("s.yaml", &sources("ssh://git@h/p"))]), [""; 0]);
    let told = hints_below(root, &[("s.yaml", &sources("ssh://git@h/infra"))]);
    let expected = "Kustomization/flux-system/apps in clusters/a/apps.yaml: its source is another repository, \
                    ssh://git@h/infra, but this build uses the files given here";
    assert_eq!(told, [expected]);
}

/// The variables of another cluster are not taken in silence.
#[test]
fn values_of_another_part_of_the_tree_are_told_of() {
    let warned = |file: &str| {
        let tree = tree(&[(file, VARS)]);
        let found = find(&tree, "", "apps").unwrap();
        let values = SubstituteValues { tree: values_in(&tree).unwrap(), ..SubstituteValues::default() };
        kustomization(&tree, &found, &values).unwrap().warnings.join("\n")
    };
    let told = "ConfigMap/vars is read from clusters/b/vars.yaml, since no build here contains it";
    assert!(warned("clusters/b/vars.yaml").contains(told), "{}", warned("clusters/b/vars.yaml"));
    for file in ["vars.yaml", "clusters/vars.yaml", "clusters/a/vars.yaml"] {
        assert!(!warned(file).contains("is read from"), "{file}");
    }
}

#[test]
fn what_flux_does_not_have_is_told_of() {
    let odd =
        APPS.replace("  interval: 1m", "  interval: 1m\n  waitt: true").replace("name: apps", "name: odd");
    let kind = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepo\nmetadata: {name: g, namespace: flux-system}\n";
    let tree = tree(&[
        ("clusters/a/odd.yaml", odd.as_str()),
        ("clusters/a/kind.yaml", kind),
        ("clusters/a/vars.yaml", VARS),
    ]);
    let warnings: Vec<String> = whole(&tree, folder("clusters/a"), &SubstituteValues::default())
        .unwrap()
        .into_iter()
        .flat_map(|built| built.warnings)
        .filter(|warning| !warning.contains("nowhere"))
        .collect();
    assert_eq!(
        warnings,
        [
            "GitRepo/flux-system/g in clusters/a/kind.yaml: source.toolkit.fluxcd.io has no kind GitRepo; \
             it has \
             Bucket, ExternalArtifact, GitRepository, HelmChart, HelmRepository, OCIRepository",
            "Kustomization/flux-system/odd in clusters/a/odd.yaml: a Kustomization has no field spec.waitt",
        ]
    );
}
