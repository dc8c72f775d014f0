//! `lockgate build` over a small repository and over the sample platform.

use std::fs;
use std::path::Path;

use lockgate_base::model::yaml::{Dialect, documents};
use serde_json::Value;
use tempfile::TempDir;

use super::{Ended, lockgate};

const APP: &str = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: flux-system}
spec:
  interval: 1m
  prune: true
  path: ./app
  targetNamespace: shop
  dependsOn: [{name: base}]
  sourceRef: {kind: GitRepository, name: infra}
  images: [{name: nginx, newTag: '1.29'}]
  commonMetadata: {labels: {team: a}, annotations: {note: b}}
  patches:
    - target: {kind: Deployment}
      patch: |
        - {op: add, path: /spec/replicas, value: 3}
  postBuild:
    substitute: {tier: inline}
    substituteFrom:
      - {kind: ConfigMap, name: cluster-variables}
      - {kind: Secret, name: cluster-secrets, optional: true}
";
const BASE: &str = "\
apiVersion: kustomize.toolkit.fluxcd.io/v1beta2
kind: Kustomization
metadata: {name: base, namespace: flux-system}
spec: {interval: 1m, prune: true, path: ./base, sourceRef: {kind: GitRepository, name: infra}}
";
const VARIABLES: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: cluster-variables, namespace: flux-system}
data: {region: REGION, tier: map}
";
const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: nginx, args: ['${region}', '${tier}', '${mode:=plain}']}]}}}
";

/// A repository of two regions.
fn repository() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("east/app.yaml", APP.to_owned()),
        ("east/base.yaml", BASE.to_owned()),
        ("east/variables.yaml", VARIABLES.replace("REGION", "east")),
        ("west/app.yaml", APP.to_owned()),
        ("west/base.yaml", BASE.to_owned()),
        ("west/variables.yaml", VARIABLES.replace("REGION", "west")),
        ("app/deployment.yaml", DEPLOYMENT.to_owned()),
        ("base/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\n".to_owned()),
        ("base/left-out.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: left-out}\n".to_owned()),
        (".sourceignore", "left-out.yaml\n".to_owned()),
        ("broken/ks.yaml", BASE.replace("./base", "./nowhere")),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir(folder.path().join(".git")).unwrap();
    folder
}

fn objects(run: &Ended) -> Vec<Value> {
    assert_eq!(run.code, 0, "{}", run.stderr);
    let documents = documents(&run.stdout, Dialect::V2).unwrap();
    documents.into_iter().map(|document| document.value).collect()
}

/// The arguments of the Deployment's container, which are the substituted values.
fn arguments(run: &Ended) -> Vec<String> {
    let objects = objects(run);
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    arguments
        .iter()
        .map(|argument| argument.as_str().map_or_else(|| argument.to_string(), Into::into))
        .collect()
}

#[test]
fn a_kustomization_is_built_with_all_its_fields() {
    let repository = repository();
    let run = lockgate(repository.path(), &["build", "--kustomization", "east/app.yaml"], "");
    let expected = "\
# Kustomization/flux-system/app in east/app.yaml
# Source: app/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  annotations:
    note: b
  labels:
    kustomize.toolkit.fluxcd.io/name: app
    kustomize.toolkit.fluxcd.io/namespace: flux-system
    team: a
  name: web
  namespace: shop
spec:
  replicas: 3
  template:
    spec:
      containers:
      - args:
        - east
        - inline
        - plain
        image: nginx:1.29
        name: web
";
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, expected, ""));
}

#[test]
fn values_come_from_files_standard_input_and_flags() {
    let repository = repository();
    let root = repository.path();
    let map = VARIABLES.replace("REGION", "cluster");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", map.replace('\n', "\n  "));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: cluster-secrets}\ndata: {mode: ZGVidWc=}\n";
    fs::write(root.join("values.yaml"), "region: file\ntier: file\nmode: true\n").unwrap();
    fs::write(root.join("values.env"), "# a comment\nregion=env=1\n\n").unwrap();
    let utf16 = "\u{feff}region: file\r\n".encode_utf16().flat_map(u16::to_le_bytes);
    fs::write(root.join("utf16.yaml"), utf16.collect::<Vec<u8>>()).unwrap();
    let app = ["build", "--kustomization", "east/app.yaml"];
    for (more, input, expected) in [
        (&["--substitute-from", "-"][..], map.as_str(), ["cluster", "inline", "plain"]),
        (&["--substitute-from", "-"], &list, ["cluster", "inline", "plain"]),
        (&["--substitute-from", "-"], secret, ["east", "inline", "debug"]),
        (&["--substitute-from", "values.yaml"], "", ["file", "inline", "true"]),
        (
            &["--substitute-from", "values.yaml", "--substitute-from", "values.env"],
            "",
            ["env=1", "inline", "true"],
        ),
        (&["--substitute-from", "values.yaml", "--set", "tier=flag"], "", ["file", "flag", "true"]),
        (&["--substitute-from", "utf16.yaml"], "", ["file", "inline", "plain"]),
        (&["--recursive", "--substitute-from", "-"], &map, ["cluster", "inline", "plain"]),
    ] {
        let run = lockgate(root, &[&app[..], more].concat(), input);
        assert_eq!(arguments(&run), expected, "{more:?}");
    }
    // Given values win over values of objects that were built on the way.
    let run = lockgate(root, &["build", "--recursive", "east", "--substitute-from", "-"], &map);
    assert_eq!(arguments(&run), ["cluster", "inline", "plain"]);
}

#[test]
fn a_name_is_looked_for_below_the_folder() {
    let repository = repository();
    let root = repository.path();
    let run = lockgate(root, &["build", "--kustomization", "app", "west"], "");
    assert_eq!(arguments(&run)[0], "west");
    let run = lockgate(root, &["build", "--kustomization", "-"], APP);
    assert!(run.code == 1 && run.stderr.contains("ConfigMap/cluster-variables"), "{}", run.stderr);
    // The repository is the one that contains the file, wherever the command runs.
    let file = root.join("west/app.yaml");
    let run = lockgate(Path::new("/"), &["build", "--kustomization", file.to_str().unwrap()], "");
    assert_eq!(arguments(&run)[0], "west");
}

#[test]
fn a_region_is_built_whole_in_order() {
    let repository = repository();
    let run = lockgate(repository.path(), &["build", "--recursive", "west"], "");
    let headings: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with('#')).collect();
    let expected = [
        "# west",
        "# Source: west/app.yaml",
        "# Source: west/base.yaml",
        "# Source: west/variables.yaml",
        "# Kustomization/flux-system/base in west/base.yaml",
        "# Source: base/map.yaml",
        "# Kustomization/flux-system/app in west/app.yaml",
        "# Source: app/deployment.yaml",
    ];
    assert_eq!(headings, expected, "{}", run.stderr);
    assert_eq!((arguments(&run)[0].as_str(), run.stderr.as_str()), ("west", ""));
    let from_one = ["build", "--recursive", "--kustomization", "west/app.yaml"];
    let run = lockgate(repository.path(), &from_one, "");
    assert!(run.stderr.contains("depends on flux-system/base, which does not exist here"), "{}", run.stderr);
    assert_eq!(objects(&run).len(), 1);
}

/// Without --keep-going nothing is printed if a part does not build.
#[test]
fn what_builds_is_printed_beside_what_does_not() {
    let repository = repository();
    let root = repository.path();
    fs::write(
        root.join("west/lost.yaml"),
        BASE.replace("name: base", "name: lost").replace("./base", "./nowhere"),
    )
    .unwrap();
    let told = "✗ Kustomization/flux-system/lost in west/lost.yaml: kustomization path not found: nowhere\n";
    let run = lockgate(root, &["build", "--recursive", "west"], "");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (1, "", told));
    let run = lockgate(root, &["build", "--recursive", "--keep-going", "west"], "");
    assert_eq!((run.code, run.stderr.as_str()), (1, told));
    let headings = run.stdout.lines().filter(|line| line.starts_with("# Kustomization/")).count();
    assert_eq!(headings, 2, "{}", run.stdout);
    let run = lockgate(root, &["build", "--keep-going", "west"], "");
    assert!(run.code == 2 && run.stderr.contains("--recursive"), "{}", run.stderr);
}

/// A build of one Kustomization alone shows what its parent would have changed, and that its files are
/// elsewhere.
#[test]
fn a_kustomization_alone_is_told_what_is_missing() {
    let repository = repository();
    let root = repository.path();
    let parent = BASE.replace("name: base", "name: parent").replace(
        "path: ./base,",
        "path: ./west, patches: [{patch: '[{\"op\": \"add\", \"path\": \"/spec/wait\", \"value\": true}]', target: {name: app}}],",
    );
    fs::write(root.join("parent.yaml"), parent).unwrap();
    let run = lockgate(root, &["build", "--kustomization", "west/app.yaml"], "");
    let told = "! Kustomization/flux-system/app in west/app.yaml: Kustomization/flux-system/parent in \
        parent.yaml changes its spec.wait before the agent sees it; build that parent with --recursive\n";
    assert_eq!((run.code, run.stderr.as_str()), (0, told));
    let sources = ["infra", "other"].map(|name| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, namespace: flux-system}}\n\
             spec: {{interval: 1m, url: 'https://git.example/{name}'}}\n"
        )
    });
    fs::write(root.join("sources.yaml"), sources.join("---\n")).unwrap();
    fs::write(
        root.join("west/app.yaml"),
        APP.replace("name: infra}", "name: other}").replace("./app", "./theirs"),
    )
    .unwrap();
    let run = lockgate(root, &["build", "--kustomization", "west/app.yaml"], "");
    assert!(run.code == 1 && run.stderr.contains("path not found: theirs"), "{}", run.stderr);
    assert!(
        run.stderr.contains("its source is another repository, https://git.example/other"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_file_and_the_links_to_it_are_built_once() {
    let repository = repository();
    let root = repository.path();
    for (link, target) in [("a.yaml", "map.yaml"), ("y.yaml", "../app/deployment.yaml"), ("z.yaml", "y.yaml")]
    {
        std::os::unix::fs::symlink(target, root.join("base").join(link)).unwrap();
    }
    let run = lockgate(root, &["build", "--recursive", "--kustomization", "base", "west"], "");
    let built: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("# Source: base/")).collect();
    assert_eq!(built, ["# Source: base/map.yaml", "# Source: base/y.yaml"], "{}", run.stderr);
}

#[test]
fn what_is_wrong_names_object_file_and_cure() {
    let repository = repository();
    let root = repository.path();
    std::os::unix::fs::symlink("/etc/hostname", root.join("base/leak.yaml")).unwrap();
    fs::write(root.join("two.yaml"), format!("{APP}---\n{BASE}")).unwrap();
    for (arguments, code, told) in [
        (
            &["--kustomization", "base", "west"][..],
            1,
            "base/leak.yaml: leads outside the source ('/etc/hostname')",
        ),
        (
            &["--kustomization", "broken/ks.yaml"],
            1,
            "✗ Kustomization/flux-system/base in broken/ks.yaml: kustomization path not found: nowhere",
        ),
        (
            &["--kustomization", "app"],
            1,
            "east/app.yaml, two.yaml, west/app.yaml; name a file, or the folder it is in",
        ),
        (&["--kustomization", "nope"], 1, "there is no Kustomization 'nope' in the tree"),
        (&["--kustomization", "nope.yaml"], 2, "nope.yaml: there is no such file"),
        (&["--kustomization", "two.yaml"], 2, "fix: name one instead: app, base"),
        (&["--kustomization", "app/deployment.yaml"], 2, "contains 0 Kustomization objects"),
        (&["--kustomization", "-", "--substitute-from", "-"], 2, "standard input can be read only once"),
        (&["east", "--set", "a=b"], 2, "add --kustomization or --recursive"),
        (&["--recursive", "east", "--set", "a"], 2, "write NAME=VALUE"),
        (&["nowhere"], 2, "nowhere does not exist"),
        (&["/"], 2, "with --root"),
        (&["--root", "east", "west"], 2, "west is outside "),
        (&["app/deployment.yaml"], 1, "is a file, not a folder"),
    ] {
        let run = lockgate(root, &[&["build"], arguments].concat(), "");
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{arguments:?}: {}", run.stderr);
    }
}

/// A path that climbs out of the root and back in, or is absolute, leads only to files inside the root.
#[test]
fn a_path_may_leave_the_root_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().canonicalize().unwrap();
    let root = outside.join("repo");
    for name in ["repo/in", "repo/out", "repo/base", "secret"] {
        let folder = outside.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("kustomization.yaml"), "resources: [map.yaml]\n").unwrap();
        let map = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}}}\n",
            folder.file_name().unwrap().display()
        );
        fs::write(folder.join("map.yaml"), map).unwrap();
    }
    let write =
        |name: &str, text: String| fs::write(root.join(name).join("kustomization.yaml"), text).unwrap();
    write("in", format!("resources: [../../repo/base, {}/in/map.yaml]\n", root.display()));
    write("out", "resources: [../../secret]\n".into());
    let run = lockgate(&root, &["build", "--root", ".", "in"], "");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(objects(&run).len(), 2);
    let run = lockgate(&root, &["build", "--root", ".", "out"], "");
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("../../secret: leads outside the source"), "{}", run.stderr);
}

/// Both regions of the sample platform: every layer comes after the one below it, with its own values, and
/// the result is the same every time.
#[test]
fn the_sample_platform_is_built_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (region, domain, other) in [("eu-west9", "api.eu.", "us-east1"), ("us-east1", "api.us.", "eu-west9")]
    {
        let folder = format!("kubernetes/production/{region}/flux-system");
        let arguments = ["build", "--root", ".", "--recursive", folder.as_str()];
        let charts = super::releases::sample_charts();
        let arguments = [&arguments[..], &["--chart-cache", charts.path().to_str().unwrap()]].concat();
        let run = lockgate(root, &arguments, "");
        let looked_up = "HelmRelease/foobar/dashboard in kubernetes/base/foobar/dashboard/release.yaml: the chart looks up Secret \
                         foobar/dashboard, which is not there without a cluster";
        assert_eq!((run.code, run.stderr.clone()), (0, format!("! {looked_up}\n")));
        let heading =
            |line: &&str| line.starts_with("# Kustomization/") || line.starts_with("# HelmRelease/");
        let names: Vec<&str> =
            run.stdout.lines().filter(heading).map(|line| line.rsplit('/').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "crds.yaml",
                "kube-network.yaml",
                "kube-security.yaml",
                "foobar.yaml",
                "issuer.yaml, chart issuer@1.0.0",
                "release.yaml, chart dashboard@1.0.0",
            ]
        );
        assert!(run.stdout.contains(domain) && !run.stdout.contains(other) && !run.stdout.contains("${"));
        let count = objects(&run).len();
        let sources = ["kubernetes/", "issuer/", "dashboard/"].map(|from| format!("# Source: {from}"));
        let sources = sources.iter().map(|source| run.stdout.matches(source.as_str()).count());
        assert_eq!(sources.sum::<usize>(), count);
        for hook in ["# Hook: pre-upgrade\n", "# Hook: test\n"] {
            assert_eq!(run.stdout.matches(hook).count(), 1, "{hook}");
        }
        let plain = |text: &str| {
            // The password of the dashboard is made anew each time.
            let lines = text.lines().filter(|line| !line.starts_with("  password: "));
            lines.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(plain(&lockgate(root, &arguments, "").stdout), plain(&run.stdout));
    }
}

/// A version that the named release no longer serves is reported, and its objects are built all the same.
#[test]
fn versions_that_a_release_serves_no_more_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let ingress = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: i, namespace: n}\n";
    fs::write(folder.path().join("i.yaml"), ingress).unwrap();
    fs::write(folder.path().join("kustomization.yaml"), "resources: [i.yaml]\n").unwrap();
    let path = folder.path().to_str().unwrap();
    for (version, is_gone) in [("1.21", false), ("v1.22.3", true), ("1.35", true)] {
        let built = lockgate(folder.path(), &["build", "--root", path, "--kube-version", version, path], "");
        let told = "Ingress/n/i: extensions/v1beta1 is gone since Kubernetes 1.22, use networking.k8s.io/v1";
        assert_eq!(built.stderr.contains(told), is_gone, "{version}: {}", built.stderr);
        assert!(built.stdout.contains("kind: Ingress"), "{}", built.stdout);
    }
    let built = lockgate(folder.path(), &["build", "--root", path, "--kube-version", "x", path], "");
    assert!(built.stderr.contains("invalid kube version 'x'"), "{}", built.stderr);
}
