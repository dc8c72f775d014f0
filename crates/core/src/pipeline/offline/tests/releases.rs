//! HelmReleases of small trees, with a chart that is handed to them.

use std::sync::Mutex;

use futures::FutureExt as _;

use super::super::*;
use super::{folder, object, told};
use crate::api::HelmRelease;
use crate::pipeline::Chance;
use lockgate_base::model::{Object, Revision};
use lockgate_base::tree::{Snapshot, Tree};
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::context::Now;

const RELEASE: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2beta1
kind: HelmRelease
metadata: {name: web, namespace: apps}
spec:
  interval: 1m
  targetNamespace: shop
  chart: {spec: {chart: demo, version: 1.x, sourceRef: {kind: HelmRepository, name: charts, namespace: flux-system}}}
  values: {level: own}
  valuesFrom: [{kind: ConfigMap, name: settings}, {kind: Secret, name: token, valuesKey: t, targetPath: token}]
  commonMetadata: {labels: {team: a}}
";
const SOURCES: &str = "\
apiVersion: source.toolkit.fluxcd.io/v1beta2
kind: HelmRepository
metadata: {name: charts, namespace: flux-system}
spec: {url: 'https://charts.example.org', interval: 1h}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: apps}
data: {values.yaml: '{message: built, level: below}'}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: apps}
stringData: {t: canary-token}
";

fn chart() -> Tree {
    Tree::in_memory([
        ("Chart.yaml", "{apiVersion: v2, name: demo, version: 1.2.0}"),
        ("values.yaml", "{level: default, message: default, token: none}"),
        (
            "crds/thing.yaml",
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.x.io}, \
             spec: {group: x.io, scope: Cluster, names: {kind: Thing}}}",
        ),
        (
            "templates/all.yaml",
            "kind: ConfigMap\napiVersion: v1\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {text: '{{ .Values.message }} {{ \
             .Values.level }}', token: '{{ .Values.token }}'}\n---\napiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {user: admin, password: '{{ randAlphaNum 9 }}'}\n",
        ),
        (
            "templates/hook.yaml",
            "apiVersion: batch/v1\nkind: Job\nmetadata: {name: h, annotations: {helm.sh/hook: 'pre-upgrade,pre-install', \
             helm.sh/hook-weight: '5', at: '{{ now | unixEpoch }}'}}\n",
        ),
    ])
}

/// Hands the chart out, and remembers what was asked for.
struct Shelf {
    answer: Result<Tree, NoChart>,
    asked: Mutex<Vec<String>>,
}

impl Shelf {
    fn of(answer: Result<Tree, NoChart>) -> Self {
        Self { answer, asked: Mutex::default() }
    }
}

impl Charts for Shelf {
    async fn chart(&self, wish: ChartWish<'_>) -> Result<Snapshot, NoChart> {
        let upstream = wish.upstream.as_ref().map(|source| source.reference().to_string());
        let place = if wish.tree.is_some() { "the tree" } else { "elsewhere" };
        let line = format!("{} of {} in {place}", wish.source.reference(), upstream.unwrap_or_default());
        self.asked.lock().unwrap().push(line);
        let tree = self.answer.clone()?;
        Ok(Snapshot { revision: Revision::chart("1.2.0"), tree, origin: None })
    }
}

fn setting(charts: &Shelf, is_drawn: bool) -> ReleaseSetting<'_, Shelf> {
    let now = Now { seconds: 7, nanoseconds: 0 };
    let chance = is_drawn.then_some(Chance { entropy: [3; 32], now });
    ReleaseSetting { charts, capabilities: Capabilities::default(), chance }
}

fn tree(more: &[(&str, &str)]) -> Tree {
    let mut files = vec![
        ("cluster/release.yaml", RELEASE.to_owned()),
        (
            "cluster/last.yaml",
            kustomization("last", "dependsOn: [{kind: HelmRelease, name: web, namespace: apps}]"),
        ),
        ("cluster/sources.yaml", kustomization("sources", "")),
        ("last/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: last}\n".to_owned()),
        ("sources/all.yaml", SOURCES.to_owned()),
    ];
    files.extend(more.iter().map(|(path, text)| (*path, (*text).to_owned())));
    Tree::in_memory(files)
}

fn kustomization(name: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
         spec:\n  interval: 1m\n  prune: true\n  path: ./{name}\n  sourceRef: {{kind: GitRepository, name: infra}}\n  {more}\n"
    )
}

fn recursive(tree: &Tree, shelf: &Shelf, is_drawn: bool) -> Platform {
    let (values, setting) = (SubstituteValues::default(), setting(shelf, is_drawn));
    super::super::recursive(tree, folder("cluster"), &values, &Nowhere, Some(&setting))
        .now_or_never()
        .unwrap()
}

fn release_of(platform: &Platform) -> (&BuiltSet, &BuiltRelease) {
    let found = platform.rendered.iter().find_map(|built| match &built.owner {
        BuiltOwner::Release(release) => Some((built, &**release)),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no release: {:?}", told(&platform.errors)))
}

fn objects(built: &BuiltSet) -> Vec<String> {
    built.resources.iter().map(|built| format!("{} {}", built.object.id().subject(), built.origin)).collect()
}

#[test]
fn a_release_is_rendered_between_those_before_and_behind_it_with_the_values_that_they_bring() {
    let shelf = Shelf::of(Ok(chart()));
    let platform = recursive(&tree(&[]), &shelf, true);
    let subjects: Vec<&str> = platform.rendered.iter().map(|built| built.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "cluster",
            "Kustomization/flux-system/sources in cluster/sources.yaml",
            "HelmRelease/apps/web in cluster/release.yaml",
            "Kustomization/flux-system/last in cluster/last.yaml",
        ]
    );
    let (built, release) = release_of(&platform);
    assert_eq!((release.chart.as_str(), release.definitions, built.warnings.len()), ("demo@1.2.0", 1, 0));
    assert_eq!(
        objects(built),
        [
            "CustomResourceDefinition/things.x.io demo/crds/thing.yaml",
            "Secret/shop/s demo/templates/all.yaml",
            "ConfigMap/shop/shop-web demo/templates/all.yaml",
            "Thing/t demo/templates/all.yaml",
        ]
    );
    let map = built.resources[2].object.value();
    assert_eq!(map["data"]["text"], "built own");
    assert_eq!((&map["metadata"]["labels"]["team"], built.resources[2].holds_secret), (&"a".into(), true));
    assert_eq!(map["metadata"]["labels"]["helm.toolkit.fluxcd.io/name"], "web");
    assert_eq!(map["metadata"]["annotations"]["meta.helm.sh/release-name"], "shop-web");
    assert!(!built.resources[1].holds_secret);
    let hook = &release.hooks[0];
    assert_eq!(hook.to_string(), "pre-upgrade, pre-install (weight 5)");
    assert_eq!(hook.built.object.annotation("at"), Some("7"));
    assert!(release.anew.is_empty());
    let asked = "HelmChart/flux-system/apps-web of HelmRepository/flux-system/charts in elsewhere";
    assert_eq!(*shelf.asked.lock().unwrap(), [asked]);
}

#[test]
fn without_chance_what_comes_out_otherwise_is_marked() {
    let shelf = Shelf::of(Ok(chart()));
    let (one, other) = (recursive(&tree(&[]), &shelf, false), recursive(&tree(&[]), &shelf, false));
    let (built, release) = release_of(&one);
    assert_eq!((built, release), release_of(&other), "it is the same each time");
    assert_eq!(release.anew, ["Secret/shop/s stringData.password", "Job/shop/h metadata.annotations.at"]);
    let secret = &built.resources[1].object;
    assert_eq!(
        (secret.text("/stringData/password"), secret.text("/stringData/user")),
        (Some(ANEW), Some("admin"))
    );
}

#[test]
fn a_chart_that_is_not_at_hand_is_named_and_one_that_cannot_be_had_is_a_mistake() {
    let shelf = Shelf::of(Err(NoChart::NotAtHand("chart 'demo' is not at hand: get it".into())));
    let platform = recursive(&tree(&[]), &shelf, true);
    assert_eq!(told(&platform.errors), [""; 0]);
    let left = platform.rendered.iter().find(|built| matches!(built.owner, BuiltOwner::LeftOut(_))).unwrap();
    let line = "HelmRelease/apps/web in cluster/release.yaml: chart 'demo' is not at hand: get it, so it is not built";
    assert_eq!(left.warnings, [line]);
    let last = platform.rendered.last().unwrap();
    assert!(
        last.subject.starts_with("Kustomization/flux-system/last") && last.warnings.is_empty(),
        "{last:?}"
    );

    let platform = recursive(&tree(&[]), &Shelf::of(Err(NoChart::Failed("no such version".into()))), true);
    assert_eq!(told(&platform.errors), ["HelmRelease/apps/web in cluster/release.yaml: no such version"]);
    let broken = chart().with_files([("templates/all.yaml".to_owned(), b"{{ fail \"never\" }}".to_vec())]);
    let platform = recursive(&tree(&[]), &Shelf::of(Ok(broken)), true);
    let errors = told(&platform.errors);
    assert!(errors[0].starts_with("HelmRelease/apps/web in cluster/release.yaml: execution error at (demo/templates/all.yaml:1:3): never"), "{errors:?}");
}

#[test]
fn one_release_is_rendered_by_itself_with_what_the_tree_holds() {
    let shelf = Shelf::of(Ok(chart()));
    let tree = tree(&[]);
    let build = |values: &SubstituteValues| {
        let found = find(&tree, "", HelmRelease::INFO, "apps/web").unwrap();
        let setting = setting(&shelf, true);
        helm_release(&tree, &found, values, &Nowhere, &setting).now_or_never().unwrap()
    };
    // Its values may not be had; the message is that of the agent.
    let error = build(&SubstituteValues::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "HelmRelease/apps/web in cluster/release.yaml: could not resolve ConfigMap chart values reference 'apps/settings' with \
         key 'values.yaml': configmaps \"settings\" not found"
    );
    let given: Vec<Object> = [
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {values.yaml: 'message: given'}}",
        "{apiVersion: v1, kind: Secret, metadata: {name: token}, stringData: {t: x}}",
    ]
    .map(object)
    .into();
    let values = SubstituteValues { given, ..SubstituteValues::default() };
    let built = build(&values).unwrap();
    assert_eq!(built.resources[2].object.value()["data"]["text"], "given own");
}

#[test]
fn a_chart_of_the_tree_is_told_from_one_of_another_repository() {
    let of_git = |path: &str| {
        let spec = format!("{{spec: {{chart: {path}, sourceRef: {{kind: GitRepository, name: infra}}}}}}");
        let (start, rest) = RELEASE.split_once("  chart: ").unwrap();
        let rest = rest.split_once('\n').unwrap().1.split("  valuesFrom").next().unwrap().to_owned();
        format!("{start}  chart: {spec}\n{rest}")
    };
    let asked = |release: &str, more: &[(&str, &str)]| {
        let mut files = vec![("cluster/release.yaml", release), ("charts/demo/Chart.yaml", "{}")];
        files.extend(more);
        let shelf = Shelf::of(Ok(chart()));
        let platform = recursive(&Tree::in_memory(files), &shelf, true);
        assert_eq!(told(&platform.errors), [""; 0]);
        shelf.asked.into_inner().unwrap().swap_remove(0)
    };
    let repository = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: infra, namespace: apps}\n\
                      spec: {url: 'https://git.example.org/other', interval: 1h}\n";
    let own = "HelmChart/apps/apps-web of GitRepository/apps/infra in the tree";
    assert_eq!(asked(&of_git("./charts/demo"), &[]), own);
    assert_eq!(asked(&of_git("./charts/demo"), &[("cluster/git.yaml", repository)]), own);
    let other = asked(&of_git("./elsewhere"), &[("cluster/git.yaml", repository)]);
    assert_eq!(other, "HelmChart/apps/apps-web of GitRepository/apps/infra in elsewhere");
}
