//! Builds of small trees, with values from each place that they can come from.

use super::*;

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

fn host(rendered: &Rendered) -> &str {
    rendered.objects.iter().find_map(|object| object.text("/data/host")).unwrap()
}

#[test]
fn one_is_built_as_the_agent_would() {
    let tree = tree(&[("vars.yaml", VARS)]);
    let values = Values { objects: values_in(&tree, "clusters/a/apps.yaml"), set: BTreeMap::new() };
    let built = kustomization(&tree, &find(&tree, "apps").unwrap().1, &values).unwrap();
    assert_eq!(built.subject, "Kustomization/flux-system/apps");
    let [object] = built.objects.as_slice() else { panic!("{built:?}") };
    assert_eq!(object.id().to_string(), "shop_app__ConfigMap");
    assert_eq!(object.text("/data/host"), Some("west.example.org"));
    assert_eq!((object.label("team"), object.label(api::keys::OWNER_NAME)), (Some("a"), Some("apps")));
}

#[test]
fn values_that_are_not_at_hand_are_named_unless_some_are_set() {
    let tree = tree(&[]);
    let (file, object) = find(&tree, "flux-system/apps").unwrap();
    assert_eq!(file, "clusters/a/apps.yaml");
    let error = kustomization(&tree, &object, &Values::default()).unwrap_err().to_string();
    assert!(
        error.starts_with("Kustomization/flux-system/apps: substitute from ConfigMap/vars: not found"),
        "{error}"
    );
    let set = BTreeMap::from([
        ("domain".to_owned(), "set.org".to_owned()),
        ("region".to_owned(), "east".to_owned()),
    ]);
    let built = kustomization(&tree, &object, &Values { objects: Vec::new(), set }).unwrap();
    assert_eq!(host(&built), "east.set.org");
}

#[test]
fn a_secret_is_decoded() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: Yg==}\nstringData: {c: d}\n";
    let values = values_in(&tree(&[("s.yml", secret)]), "");
    let object = values.iter().find(|object| object.kind() == "Secret").unwrap();
    let expected = BTreeMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d".to_owned())]);
    assert_eq!(data(object), expected);
}

#[test]
fn of_two_with_one_name_the_nearer_is_taken_and_no_guess_is_made() {
    let other = VARS.replace("example.org", "example.com");
    let tree = Tree::in_memory([("c/a/vars.yaml", VARS), ("c/b/vars.yaml", other.as_str())]);
    let domain = |near: &str| {
        values_in(&tree, near)
            .iter()
            .filter(|o| o.id().name == "vars")
            .map(|o| data(o)["domain"].clone())
            .next()
    };
    assert_eq!(domain("c/a/x.yaml").as_deref(), Some("example.org"));
    assert_eq!(domain("c/b/x.yaml").as_deref(), Some("example.com"));
    assert_eq!(domain("c/other/x.yaml"), None);
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
    let all = recursive(&tree, "clusters/a", &Values::default()).unwrap();
    let mut subjects: Vec<&str> = all.iter().map(|built| built.subject.as_str()).collect();
    subjects.sort_unstable();
    let name = |name: &str| format!("Kustomization/flux-system/{name}");
    // targetNamespace moves what root applies, so the objects in it are others than those at the top.
    assert!(subjects.contains(&"clusters/a") && subjects.contains(&name("apps").as_str()), "{subjects:?}");
    let apps = all.iter().find(|built| built.subject == name("apps")).unwrap();
    assert_eq!(host(apps), "west.example.org");
    let bucket = all.iter().find(|built| built.subject == name("bucket")).unwrap();
    assert!(bucket.objects.is_empty() && bucket.warnings[0].contains("not a GitRepository"), "{bucket:?}");
}

#[test]
fn a_name_that_is_nowhere_or_twice_is_told() {
    let tree = tree(&[("clusters/b/apps.yaml", APPS)]);
    let error = find(&tree, "apps").unwrap_err().to_string();
    assert!(error.contains("clusters/a/apps.yaml, clusters/b/apps.yaml"), "{error}");
    assert_eq!(find(&tree, "nope").unwrap_err().to_string(), "the tree has no Kustomization 'nope'");
}
