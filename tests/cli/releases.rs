//! HelmReleases in `lockgate build` and in `lockgate diff` between two revisions.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::charts::packed;
use harness::sample::{CHARTS, SampleChart};
use harness::{ChartServer, ChartServerOptions, Registry, RegistryOptions};
use tempfile::TempDir;

use super::diff::{git, write};
use super::{Ended, lockgate};

const CHART: &str = "apiVersion: v2\nname: demo\nversion: VERSION\n";
const MAP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}', namespace: '{{ .Release.Namespace }}'}
data: {message: '{{ .Values.message }}'}
";
const SECRET: &str = "\
{{- $password := randAlphaNum 16 }}
apiVersion: v1
kind: Secret
metadata: {name: made, annotations: {sum: '{{ sha256sum $password }}'}}
stringData: {user: USER, password: '{{ $password }}'}
";
const HOOK: &str = "\
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: pre-upgrade}}
spec: {image: 'hook:TAG'}
";
const RELEASE: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: shop}
spec:
  interval: 1m
  chart: {spec: {chart: PATH, version: VERSION, sourceRef: {kind: KIND, name: source}}}
  values: {message: from-the-release}
";

fn release(kind: &str, path: &str, version: &str) -> String {
    RELEASE.replace("KIND", kind).replace("PATH", path).replace("VERSION", version)
}

fn repository(url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: source, namespace: shop}}\n\
         spec: {{url: '{url}', interval: 1h}}\n"
    )
}

/// A repository whose release takes a chart of it.
fn in_tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "cluster/release.yaml", &release("GitRepository", "./charts/demo", "'*'"));
    write(root, "charts/demo/Chart.yaml", &CHART.replace("VERSION", "1.0.0"));
    write(root, "charts/demo/templates/map.yaml", MAP);
    write(root, "charts/demo/templates/hook.yaml", &HOOK.replace("TAG", "1"));
    git(root, &["init", "-q"]);
    folder
}

/// A repository whose release takes a chart of a repository of charts.
fn from_repository(url: &str, version: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "cluster/release.yaml", &release("HelmRepository", "demo", version));
    write(folder.path(), "cluster/source.yaml", &repository(url));
    git(folder.path(), &["init", "-q"]);
    folder
}

fn build(folder: &TempDir, more: &[&str]) -> Ended {
    lockgate(folder.path(), &[&["build"], more].concat(), "")
}

const BUILT: &str = "\
# HelmRelease/shop/web in cluster/release.yaml, chart demo@1.0.0
# Source: demo/templates/map.yaml
apiVersion: v1
data:
  message: from-the-release
kind: ConfigMap
metadata:
  annotations:
    meta.helm.sh/release-name: web
    meta.helm.sh/release-namespace: shop
  labels:
    app.kubernetes.io/managed-by: Helm
    helm.toolkit.fluxcd.io/name: web
    helm.toolkit.fluxcd.io/namespace: shop
  name: web
  namespace: shop
";

#[test]
fn a_release_is_built_by_name_or_file_with_a_chart_of_the_tree() {
    let folder = in_tree();
    for wanted in ["web", "shop/web", "cluster/release.yaml"] {
        let run = build(&folder, &["--helmrelease", wanted]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{wanted}");
        let (map, hook) = run.stdout.split_once("---\n").unwrap();
        assert_eq!(map, BUILT, "{wanted}");
        assert!(
            hook.starts_with("# Hook: pre-upgrade\n# Source: demo/templates/hook.yaml\napiVersion"),
            "{hook}"
        );
    }
    let run = build(&folder, &["--helmrelease", "nosuch"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, "✗ there is no HelmRelease 'nosuch' in the tree\n"));
    let run = build(&folder, &["--helmrelease", "web", "--kustomization", "x"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (2, "✗ build one object: a Kustomization or a HelmRelease\n")
    );
    let run = build(&folder, &["--fetch", "cluster"]);
    let told = "✗ charts are rendered for HelmReleases only\n  fix: add --helmrelease or --recursive\n";
    assert_eq!((run.code, run.stderr.as_str()), (2, told));
}

#[test]
fn a_chart_is_had_from_archives_or_fetched_and_one_that_is_not_at_hand_is_named() {
    let server = ChartServer::start(ChartServerOptions::default()).unwrap();
    server.publish("demo", "1.0.0", &[("templates/map.yaml", MAP)]).unwrap();
    let folder = from_repository(&server.url(), "1.x");
    let one = ["--helmrelease", "web"];
    let flags = "--chart-cache takes charts from a folder of archives, --fetch gets them from their sources";
    let missing = format!("chart 'demo' 1.x of HelmRepository/shop/source is not at hand: {flags}");
    let run = build(&folder, &one);
    let subject = "HelmRelease/shop/web in cluster/release.yaml";
    assert_eq!((run.code, run.stderr), (1, format!("✗ {subject}: {missing}\n")));
    let run = build(&folder, &["--recursive", "cluster"]);
    assert_eq!((run.code, run.stderr), (0, format!("! {subject}: {missing}, so it is not built\n")));

    let run = build(&folder, &[&one[..], &["--fetch"]].concat());
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, BUILT, ""));
    let cache = tempfile::tempdir().unwrap();
    let archive = packed("demo", "1.0.0", &[("templates/map.yaml", MAP)]).unwrap();
    fs::write(cache.path().join("any-name.tgz"), archive).unwrap();
    fs::write(cache.path().join("other.tgz"), "no archive").unwrap();
    let cached = ["--chart-cache", cache.path().to_str().unwrap()];
    let asked = server.asked().len();
    let run = build(&folder, &[&one[..], &cached, &["--fetch"]].concat());
    assert_eq!((run.code, run.stdout.as_str(), asked > 0), (0, BUILT, true));
    assert!(run.stderr.starts_with("! ") && run.stderr.contains("other.tgz: "), "{}", run.stderr);
    assert!(server.asked().is_empty(), "what is in the folder is not fetched");
    let run = build(&folder, &[&["--recursive", "cluster"], &cached[..]].concat());
    assert!(run.stdout.contains(BUILT), "{}", run.stdout);

    let newer = from_repository(&server.url(), "2.x");
    let run = build(&newer, &[&one[..], &cached].concat());
    let told = format!(
        "✗ {subject}: invalid chart reference: failed to get chart version for remote reference: no 'demo' chart with \
         version matching '2.x' found; the index has 1.0.0; charts are had from {} alone, --fetch gets others\n",
        cache.path().display()
    );
    assert_eq!((run.code, run.stderr.lines().last().unwrap().to_owned() + "\n"), (1, told));
}

/// A commit that raises a chart: what it changes of the objects is shown, and none of what the chart makes
/// anew each time.
#[test]
fn a_chart_bump_is_shown_without_what_is_made_anew() {
    let folder = in_tree();
    let root = folder.path();
    let chart = |path: &str| format!("charts/demo/{path}");
    write(root, &chart("templates/secret.yaml"), &SECRET.replace("USER", "admin"));
    write(
        root,
        &chart("crds/thing.yaml"),
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.io}\n",
    );
    write(
        root,
        &chart("templates/kept.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n",
    );
    write(root, &chart("templates/gone.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: gone}\n");
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "one"]);
    for path in ["crds/thing.yaml", "templates/kept.yaml", "templates/gone.yaml"] {
        fs::remove_file(root.join(chart(path))).unwrap();
    }
    write(root, &chart("Chart.yaml"), &CHART.replace("VERSION", "1.1.0"));
    write(root, &chart("templates/hook.yaml"), &HOOK.replace("TAG", "2"));
    write(root, &chart("templates/map.yaml"), &MAP.replace("message: '", "message: 'now "));
    // Another random value before it changes the one that comes after.
    let secret = format!("{{{{- $_ := randAlphaNum 5 }}}}\n{}", SECRET.replace("USER", "root"));
    write(root, &chart("templates/secret.yaml"), &secret);
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "two"]);
    let run = lockgate(root, &["diff", "--from", "HEAD~1", "--to", "HEAD", "cluster"], "");
    let lines = run.stdout.lines().map(|line| match line.split_once("  HEAD~1 (") {
        Some((subject, rest)) => {
            format!("{subject}, {}", rest.split_once(", ").map_or("", |(_, chart)| chart))
        }
        None => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    let expected = "\
cluster: no change
HelmRelease/shop/web, chart demo@1.0.0 → demo@1.1.0
# made anew at each render, and not compared: Secret/shop/made metadata.annotations.sum, Secret/shop/made stringData.password
~ Job/shop/hook (hook: pre-upgrade)
    spec:
-     image: hook:1
+     image: hook:2
~ Secret/shop/made
    stringData:
-     user: '***'
+     user: '*** (different)'
      password: '*** (same)'
~ ConfigMap/shop/web
    data:
-     message: from-the-release
+     message: now from-the-release
= CustomResourceDefinition/things.x.io: kept: definitions in crds/ are never deleted
- ConfigMap/shop/gone (pruned)
= ConfigMap/shop/kept: kept: the annotation helm.sh/resource-policy says so
web: 3 configured, 1 pruned, 2 kept";
    assert_eq!((run.code, lines.join("\n").as_str(), run.stderr.as_str()), (1, expected, ""));
    for _ in 0..2 {
        let run = lockgate(root, &["diff", "--from", "HEAD", "cluster"], "");
        assert_eq!((run.code, run.stdout.as_str()), (0, "cluster: no change\nweb: no change\n"));
    }
    let json = lockgate(root, &["diff", "--from", "HEAD~1", "--to", "HEAD", "cluster", "-o", "json"], "");
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&value["releases"][0]["kind"], &value["releases"][0]["name"]),
        (&"HelmRelease".into(), &"web".into())
    );
}

/// A chart that one of the revisions cannot have is not taken for one that comes or goes.
#[test]
fn a_release_whose_chart_is_not_at_hand_is_left_out_of_a_comparison() {
    let folder = from_repository("https://charts.example.org", "1.0.0");
    let root = folder.path();
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "one"]);
    write(root, "cluster/release.yaml", &release("GitRepository", "./charts/demo", "'*'"));
    write(root, "charts/demo/Chart.yaml", &CHART.replace("VERSION", "1.0.0"));
    write(root, "charts/demo/templates/map.yaml", MAP);
    let run = lockgate(root, &["diff", "--from", "HEAD", "cluster", "-o", "name"], "");
    assert_eq!((run.code, run.stdout.as_str()), (1, "helmrelease/shop/web\n"));
    let told = "! HelmRelease/shop/web in cluster/release.yaml: chart 'demo' 1.0.0 of HelmRepository/shop/source is not at hand: ";
    assert!(run.stderr.starts_with(told) && run.stderr.lines().count() == 1, "{}", run.stderr);
    let run = lockgate(root, &["diff", "cluster", "--fetch"], "");
    assert!(run.stderr.starts_with("✗ --chart-cache and --fetch are for two revisions"), "{}", run.stderr);
}

/// The folder of the sample platform's charts, packed.
pub(super) fn sample_charts() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in CHARTS {
        let chart = SampleChart::read(name).unwrap();
        write_archive(folder.path(), &chart);
    }
    folder
}

fn write_archive(folder: &Path, chart: &SampleChart) {
    let path = folder.join(format!("{}-{}.tgz", chart.name, chart.version));
    fs::write(path, chart.archive().unwrap()).unwrap();
}

/// A copy of the sample platform.
fn platform() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(harness::sample::folder()).arg(folder.path().join("kubernetes"));
    assert!(copy.status().unwrap().success());
    git(folder.path(), &["init", "-q"]);
    folder
}

/// Whoever serves the charts of the sample platform, the same is built of them.
#[tokio::test]
async fn the_charts_of_the_sample_platform_come_from_a_web_server_or_a_registry() {
    let server = harness::sample::chart_server(None).unwrap();
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let charts = sample_charts();
    for name in CHARTS {
        let layer = ("chart.tgz", "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
        let folder = tempfile::tempdir().unwrap();
        let chart = SampleChart::read(name).unwrap();
        fs::write(folder.path().join(layer.0), chart.archive().unwrap()).unwrap();
        registry.oras_push(&format!("charts/{name}"), &chart.version, folder.path(), &[layer]).unwrap();
    }
    let folder = platform();
    let root = folder.path();
    let build = |more: &[&str]| {
        let region = "kubernetes/production/us-east1/flux-system";
        let run = lockgate(root, &[&["build", "--recursive", region], more].concat(), "");
        assert_eq!(run.code, 0, "{}", run.stderr);
        // The password of the dashboard is made anew each time, and the repository is another one.
        let lines = run.stdout.lines().filter(|line| !line.starts_with("  password: "));
        let text = lines.collect::<Vec<_>>().join("\n");
        let (before, behind) = text.split_once("kind: HelmRepository").unwrap();
        let behind = behind.split_once("---").unwrap().1;
        assert!(
            behind.contains("chart dashboard@1.0.0") && behind.contains("chart issuer@1.0.0"),
            "{behind}"
        );
        (before.to_owned(), behind.to_owned())
    };
    let packed = build(&["--chart-cache", charts.path().to_str().unwrap()]);
    let variables = "kubernetes/production/us-east1/flux-system/cluster-variables.yaml";
    let named = |url: &str| {
        let text = fs::read_to_string(root.join(variables)).unwrap();
        let line = text.lines().find(|line| line.starts_with("  charts: ")).unwrap();
        write(root, variables, &text.replace(line, &format!("  charts: {url}")));
    };
    named(&server.url());
    let served = build(&["--fetch"]);
    let asked: Vec<String> = server.asked().into_iter().map(|asked| asked.path).collect();
    assert!(asked.contains(&"/issuer-1.0.0.tgz".to_owned()), "{asked:?}");
    named(&registry.url("charts"));
    let repository = "kubernetes/base/crds/repository.yaml";
    let text = fs::read_to_string(root.join(repository)).unwrap();
    write(root, repository, &format!("{text}  type: oci\n  insecure: true\n"));
    let pushed = build(&["--fetch"]);
    // The variables stand in the first part.
    assert_eq!((&served.1, &pushed.1), (&packed.1, &packed.1));
}

/// The commit of the demo that raises the dashboard's chart, as a reviewer sees it.
#[test]
fn a_chart_bump_of_the_sample_platform_is_shown() {
    let folder = platform();
    let root = folder.path();
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "one"]);
    let path = "kubernetes/base/foobar/dashboard/release.yaml";
    let before = fs::read_to_string(root.join(path)).unwrap();
    write(root, path, &before.replace("version: 1.0.0", "version: 1.1.0"));
    let charts = sample_charts();
    write_archive(charts.path(), &SampleChart::read("dashboard").unwrap().raised_to("1.1.0").unwrap());
    let region = "kubernetes/production/eu-west9/flux-system";
    let cache = charts.path().to_str().unwrap();
    let run = lockgate(root, &["diff", "--from", "HEAD", region, "--chart-cache", cache, "-o", "name"], "");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    let expected = "helmrelease/foobar/dashboard\nsecret/foobar/dashboard\nservice/foobar/dashboard\n\
                    deployment/foobar/dashboard\njob/foobar/dashboard-migration\n";
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(sorted(&run.stdout), sorted(expected));
}
