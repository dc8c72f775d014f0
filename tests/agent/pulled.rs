//! HelmCharts: from a repository of charts, a registry and Git, from their specs to their statuses.

use harness::charts::packed;
use harness::{ChartServer, ChartServerOptions, CosignKey, REGISTRY_USER, Registry, RegistryOptions, Served};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::{Stage, api, condition, stage};

const GROUP: &str = "source.toolkit.fluxcd.io/v1";
/// The media type of a layer that is a chart.
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

fn charts(stage: &Stage<'_>) -> Api<DynamicObject> {
    api(&stage.client, &stage.namespace, GROUP, "HelmChart", "helmcharts")
}

async fn object(stage: &Stage<'_>, kind: &str, name: &str, spec: Value) {
    object_in(stage, GROUP, (kind, name), spec).await;
}

async fn object_in(stage: &Stage<'_>, api_version: &str, (kind, name): (&str, &str), spec: Value) {
    let metadata = json!({"name": name, "namespace": stage.namespace});
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
    stage.apply(object).await.unwrap();
}

async fn repository(stage: &Stage<'_>, name: &str, spec: Value) {
    let mut all = json!({"interval": "1s"});
    json_patch::merge(&mut all, &spec);
    object(stage, "HelmRepository", name, all).await;
}

/// A chart `demo` that is checked each hour, and whenever its source changes.
async fn chart(stage: &Stage<'_>, name: &str, source: (&str, &str), spec: Value) {
    let mut all =
        json!({"chart": "demo", "interval": "1h", "sourceRef": {"kind": source.0, "name": source.1}});
    json_patch::merge(&mut all, &spec);
    object(stage, "HelmChart", name, all).await;
}

async fn until(stage: &Stage<'_>, name: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    super::stage::until(&charts(stage), name, what, test).await
}

async fn at(stage: &Stage<'_>, name: &str, revision: &str) -> Value {
    let is_there = |status: &Value| {
        status["artifact"]["revision"] == revision && condition(status, "Ready")["status"] == "True"
    };
    until(stage, name, revision, is_there).await
}

async fn fails(stage: &Stage<'_>, name: &str, reason: &str, message: &str) -> Value {
    let says = |status: &Value| {
        let ready = condition(status, "Ready");
        ready["reason"] == reason && ready["message"] == message
    };
    until(stage, name, &format!("{reason}: {message}"), says).await
}

async fn edit(stage: &Stage<'_>, name: &str, patch: Value) {
    charts(stage).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

const LOST: &str = "failed to get source: HelmRepository.source.toolkit.fluxcd.io \"gone\" not found: create it, or correct \
                    spec.sourceRef; it is used as soon as it exists";
const MISSING: &str = "invalid chart reference: failed to get chart version for remote reference";

#[tokio::test]
async fn a_chart_is_pulled_from_its_repository_and_follows_it() {
    let server = ChartServer::start(ChartServerOptions::default()).unwrap();
    server.publish("demo", "1.0.0", &[("values.yaml", "a: 1\n"), ("prod.yaml", "a: 2\n")]).unwrap();
    let stage = stage("pulled", &[]).await;
    repository(&stage, "charts", json!({"url": server.url()})).await;
    let from = ("HelmRepository", "charts");
    chart(&stage, "demo", from, json!({"version": "1.x"})).await;
    chart(&stage, "exact", from, json!({"version": "1.0.0"})).await;
    chart(&stage, "prod", from, json!({"version": "1.0.0", "valuesFiles": ["values.yaml", "prod.yaml"]}))
        .await;
    chart(&stage, "typo", from, json!({"chart": "dem"})).await;
    chart(&stage, "future", from, json!({"version": "9.x"})).await;
    chart(&stage, "lost", ("HelmRepository", "gone"), json!({})).await;
    chart(&stage, "bucket", ("Bucket", "gone"), json!({})).await;
    let _agent = stage.agent().await;

    let status = at(&stage, "demo", "1.0.0").await;
    let pulled = "pulled 'demo' chart with version '1.0.0'";
    for kind in ["Ready", "ArtifactInStorage"] {
        let said = condition(&status, kind);
        assert_eq!(
            (&said["reason"], &said["message"]),
            (&json!("ChartPullSucceeded"), &json!(pulled)),
            "{kind}"
        );
    }
    assert_eq!(status["observedChartName"], "demo");
    assert!(status["observedSourceArtifactRevision"].as_str().unwrap().starts_with("sha256:"), "{status}");
    let event = stage.event("of the chart", |message| message == pulled).await;
    assert_eq!(event.data["reason"], "ChartPullSucceeded");
    let status = at(&stage, "prod", "1.0.0+1").await;
    let packaged = condition(&status, "Ready");
    assert_eq!(packaged["reason"], "ChartPackageSucceeded");
    assert_eq!(
        packaged["message"],
        "packaged 'demo' chart with version '1.0.0+1' and merged values files [values.yaml prod.yaml]"
    );
    at(&stage, "exact", "1.0.0").await;
    let archives = server.asked().into_iter().filter(|asked| asked.path == "/demo-1.0.0.tgz").count();
    assert_eq!(archives, 1, "three charts are made of one archive");

    let typo = format!("{MISSING}: no chart name found: the index has no 'dem', but demo");
    let status = fails(&stage, "typo", "InvalidChartReference", &typo).await;
    assert_eq!(condition(&status, "Stalled")["status"], "True");
    let future = format!("{MISSING}: no 'demo' chart with version matching '9.x' found; the index has 1.0.0");
    fails(&stage, "future", "InvalidChartReference", &future).await;
    fails(&stage, "lost", "SourceUnavailable", LOST).await;
    let bucket = format!(
        "spec.sourceRef: Bucket/{}/gone is of a kind that lockgate does not serve yet; use a GitRepository or an OCIRepository or a HelmRepository",
        stage.namespace
    );
    fails(&stage, "bucket", "InvalidSpec", &bucket).await;

    // What comes to be there is picked up by event: none of the charts has a timer within the hour.
    server.publish("dem", "0.1.0", &[]).unwrap();
    server.publish("demo", "1.1.0", &[]).unwrap();
    at(&stage, "typo", "0.1.0").await;
    at(&stage, "demo", "1.1.0").await;
    repository(&stage, "gone", json!({"url": server.url()})).await;
    at(&stage, "lost", "1.1.0").await;
    at(&stage, "exact", "1.0.0").await;
}

#[tokio::test]
async fn a_chart_stays_while_it_is_paused_and_comes_back_with_its_source() {
    let server = ChartServer::start(ChartServerOptions::default()).unwrap();
    server.publish("demo", "1.1.0", &[]).unwrap();
    let stage = stage("kept", &[]).await;
    for (name, source) in [("demo", "charts"), ("lost", "gone")] {
        repository(&stage, source, json!({"url": server.url()})).await;
        chart(&stage, name, ("HelmRepository", source), json!({})).await;
    }
    let _agent = stage.agent().await;
    at(&stage, "demo", "1.1.0").await;
    at(&stage, "lost", "1.1.0").await;
    edit(&stage, "demo", json!({"spec": {"suspend": true}})).await;
    server.publish("demo", "1.2.0", &[]).unwrap();
    at(&stage, "lost", "1.2.0").await;
    assert_eq!(charts(&stage).get("demo").await.unwrap().data["status"]["artifact"]["revision"], "1.1.0");
    edit(&stage, "demo", json!({"spec": {"suspend": false}})).await;
    at(&stage, "demo", "1.2.0").await;

    let repositories = api(&stage.client, &stage.namespace, GROUP, "HelmRepository", "helmrepositories");
    repositories.delete("gone", &DeleteParams::default()).await.unwrap();
    fails(&stage, "lost", "SourceUnavailable", LOST).await;
    repository(&stage, "gone", json!({"url": server.url()})).await;
    at(&stage, "lost", "1.2.0").await;
}

#[tokio::test]
async fn a_chart_that_cannot_be_pulled_says_why() {
    let server = ChartServer::start(ChartServerOptions::default()).unwrap();
    let stage = stage("unpulled", &[]).await;
    let (archive, url) = (packed("demo", "1.0.0", &[]).unwrap(), server.url());
    let offer = |name: &str, more: &str| format!("  {name}:\n  - {{name: {name}, version: 1.0.0{more}}}\n");
    let index = [
        offer("nowhere", ""),
        offer("missing", ", urls: [gone.tgz]"),
        offer("other", &format!(", urls: [demo.tgz], digest: {}", "0".repeat(64))),
        offer("nothing", ", urls: [nothing.tgz]"),
    ];
    server.put("/index.yaml", Served::body(format!("apiVersion: v1\nentries:\n{}", index.concat())));
    server.put("/demo.tgz", Served::body(archive.clone()));
    server.put(
        "/nothing.tgz",
        Served::body(packed("nothing", "1.0.0", &[("Chart.yaml", "name: nothing\n")]).unwrap()),
    );
    repository(&stage, "charts", json!({"url": url})).await;
    repository(&stage, "broken", json!({"url": format!("{url}/nowhere")})).await;
    for name in ["nowhere", "missing", "other", "nothing"] {
        chart(&stage, name, ("HelmRepository", "charts"), json!({"chart": name})).await;
    }
    chart(&stage, "behind", ("HelmRepository", "broken"), json!({})).await;
    let verify = json!({"verify": {"secretRef": {"name": "keys"}}});
    chart(&stage, "signed", ("HelmRepository", "charts"), verify).await;
    let _agent = stage.agent().await;
    let download = "chart pull error: failed to download chart for remote reference";
    let digest = lockgate_base::model::Digest::of(&archive);
    let zeros = "0".repeat(64);
    for (name, reason, message) in [
        (
            "nowhere",
            "ChartPullError",
            "chart pull error: chart 'nowhere' has no downloadable URLs".to_owned(),
        ),
        ("missing", "ChartPullError", format!("{download}: {url}/gone.tgz not found (HTTP 404)")),
        (
            "other",
            "ChartPullError",
            format!(
                "{download}: the chart at {url}/demo.tgz does not have the digest sha256:{zeros} of the \
                 index, but {digest}"
            ),
        ),
        (
            "nothing",
            "ChartPullError",
            "chart pull error: failed to load chart metadata: validation: chart.metadata.version is required"
                .into(),
        ),
        (
            "behind",
            "NoSourceArtifact",
            format!(
                "no artifact available for HelmRepository source 'broken': failed to fetch Helm repository index: \
                 {url}/nowhere/index.yaml not found (HTTP 404)"
            ),
        ),
        (
            "signed",
            "VerificationError",
            format!(
                "spec.verify is for charts of a registry, and {}/charts is none: remove it",
                stage.namespace
            ),
        ),
    ] {
        fails(&stage, name, reason, &message).await;
    }
}

#[tokio::test]
async fn charts_of_git_are_packaged_with_what_is_asked_for() {
    let files = [
        ("charts/demo/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n"),
        ("charts/demo/values.yaml", "a: 1\n"),
        ("env/prod.yaml", "a: 2\n"),
    ];
    let stage = stage("packaged", &files).await;
    let from = ("GitRepository", "repo");
    let of = |spec: Value| {
        let mut all = json!({"chart": "./charts/demo"});
        json_patch::merge(&mut all, &spec);
        all
    };
    chart(&stage, "version", from, of(json!({}))).await;
    chart(&stage, "revision", from, of(json!({"reconcileStrategy": "Revision"}))).await;
    let both = json!({"reconcileStrategy": "Revision", "valuesFiles": ["env/prod.yaml"]});
    chart(&stage, "both", from, of(both)).await;
    let lenient =
        json!({"valuesFiles": ["env/gone.yaml", "env/prod.yaml"], "ignoreMissingValuesFiles": true});
    chart(&stage, "lenient", from, of(lenient)).await;
    // In the versions that Flux has had before; valuesFile is of the oldest.
    let old = |spec: Value| {
        let mut all = json!({"interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "repo"}, "chart": "charts/demo"});
        json_patch::merge(&mut all, &spec);
        all
    };
    for (version, name, spec) in [
        ("v1beta1", "old", json!({"valuesFile": "env/prod.yaml"})),
        ("v1beta2", "beta", json!({"valuesFiles": ["env/prod.yaml"]})),
    ] {
        let api_version = format!("source.toolkit.fluxcd.io/{version}");
        object_in(&stage, &api_version, ("HelmChart", name), old(spec)).await;
    }
    chart(&stage, "strict", from, of(json!({"valuesFiles": ["env/gone.yaml"]}))).await;
    chart(&stage, "gone", from, json!({"chart": "charts/gone"})).await;
    let _agent = stage.agent().await;
    let head = |stage: &Stage<'_>| stage.repo.rev_parse("main").unwrap()[..12].to_owned();
    let status = at(&stage, "version", "1.0.0").await;
    let ready = condition(&status, "Ready");
    assert_eq!(ready["reason"], "ChartPackageSucceeded");
    assert_eq!(ready["message"], "packaged 'demo' chart with version '1.0.0'");
    assert!(status["observedSourceArtifactRevision"].as_str().unwrap().starts_with("main@sha1:"), "{status}");
    let first = head(&stage);
    at(&stage, "revision", &format!("1.0.0+{first}")).await;
    at(&stage, "both", &format!("1.0.0+{first}.1")).await;
    let status = at(&stage, "lenient", "1.0.0+1").await;
    assert_eq!(status["observedValuesFiles"], json!(["env/prod.yaml"]));
    for name in ["old", "beta"] {
        at(&stage, name, "1.0.0+1").await;
    }
    let strict =
        "values files merge error: no values file found at path '/env/gone.yaml' (reference 'env/gone.yaml')";
    let status = fails(&stage, "strict", "ValuesFilesError", strict).await;
    assert_eq!(condition(&status, "BuildFailed")["status"], "True");
    let gone = "invalid chart reference: stat charts/gone: no such file or directory";
    fails(&stage, "gone", "InvalidChartReference", gone).await;

    stage.push(&[
        ("charts/demo/values.yaml", "a: 3\n"),
        ("charts/gone/Chart.yaml", "apiVersion: v2\nname: gone\nversion: 0.1.0\n"),
    ]);
    let second = head(&stage);
    at(&stage, "revision", &format!("1.0.0+{second}")).await;
    at(&stage, "gone", "0.1.0").await;
    at(&stage, "version", "1.0.0").await;
    stage.push(&[("charts/demo/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.1.0\n")]);
    at(&stage, "version", "1.1.0").await;
}

/// A packed chart of which nothing is changed is handed on as it is. A source is known by its kind as well.
#[tokio::test]
async fn a_packed_chart_of_git_is_handed_on_as_it_is() {
    let stage = stage("packed", &[("env/prod.yaml", "a: 2\n")]).await;
    let archive = packed("demo", "2.0.0", &[("values.yaml", "a: 4\n")]).unwrap();
    let files = [("packed/demo-2.0.0.tgz", Some(&*archive)), ("packed/torn.tgz", Some(&archive[5..]))];
    stage.repo.commit("main", "pack", &files).unwrap();
    let from = ("GitRepository", "repo");
    let of = |spec: Value| {
        let mut all = json!({"chart": "./packed/demo-2.0.0.tgz"});
        json_patch::merge(&mut all, &spec);
        all
    };
    chart(&stage, "packed", from, of(json!({}))).await;
    chart(&stage, "repacked", from, of(json!({"valuesFiles": ["env/prod.yaml"]}))).await;
    chart(&stage, "torn", from, json!({"chart": "packed/torn.tgz"})).await;
    let server = ChartServer::start(ChartServerOptions::default()).unwrap();
    server.publish("demo", "7.0.0", &[]).unwrap();
    repository(&stage, "repo", json!({"url": server.url()})).await;
    chart(&stage, "namesake", ("HelmRepository", "repo"), json!({})).await;
    let _agent = stage.agent().await;
    let ready = condition(&at(&stage, "packed", "2.0.0").await, "Ready");
    assert_eq!(ready["reason"], "ChartPullSucceeded");
    assert_eq!(ready["message"], "pulled 'demo' chart with version '2.0.0'");
    let status = at(&stage, "repacked", "2.0.0+1").await;
    assert_eq!(condition(&status, "Ready")["reason"], "ChartPackageSucceeded");
    let torn = "invalid chart reference: gzip: invalid header";
    fails(&stage, "torn", "InvalidChartReference", torn).await;
    at(&stage, "namesake", "7.0.0").await;
}

#[tokio::test]
async fn charts_of_an_artifact_are_packaged_as_those_of_a_repository() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let push = |version: &str| {
        let path = folder.path().join("charts/demo");
        std::fs::create_dir_all(&path).unwrap();
        let text = format!("{{apiVersion: v2, name: demo, version: {version}}}");
        std::fs::write(path.join("Chart.yaml"), text).unwrap();
        registry.push("org/app", "latest", folder.path(), "main@sha1:1").unwrap()
    };
    let first = push("1.0.0");
    let stage = stage("artifact-chart", &[]).await;
    let artifact = json!({"url": registry.url("org/app"), "interval": "1s", "insecure": true});
    object(&stage, "OCIRepository", "app", artifact).await;
    let from = ("OCIRepository", "app");
    chart(&stage, "version", from, json!({"chart": "charts/demo"})).await;
    let revision = json!({"chart": "charts/demo", "reconcileStrategy": "Revision"});
    chart(&stage, "revision", from, revision).await;
    let _agent = stage.agent().await;
    let status = at(&stage, "version", "1.0.0").await;
    assert_eq!(condition(&status, "Ready")["reason"], "ChartPackageSucceeded");
    assert_eq!(status["observedSourceArtifactRevision"], format!("latest@{first}").as_str());
    let digits = |digest: &str| digest["sha256:".len()..][..12].to_owned();
    at(&stage, "revision", &format!("1.0.0+{}", digits(&first))).await;
    let second = push("1.1.0");
    at(&stage, "version", "1.1.0").await;
    at(&stage, "revision", &format!("1.1.0+{}", digits(&second))).await;
}

#[tokio::test]
async fn charts_of_a_registry_are_pulled_by_version_and_range() {
    let registry = Registry::start(RegistryOptions { login: true, tls: false }).await.unwrap();
    let push = |tag: &str, version: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chart.tgz"), packed("demo", version, &[]).unwrap()).unwrap();
        registry.oras_push("charts/demo", tag, folder.path(), &[("chart.tgz", CHART)]).unwrap()
    };
    let key = CosignKey::make().unwrap();
    registry.sign("charts/demo", &push("1.0.0", "1.0.0"), &key, true).unwrap();
    push("1.0.1_build.5", "1.0.1+build.5");
    push("latest", "9.9.9");
    let stage = stage("registry", &[]).await;
    let (username, password) = REGISTRY_USER;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"username": username, "password": password},
                        "metadata": {"name": "login", "namespace": stage.namespace}});
    stage.apply(secret).await.unwrap();
    let spec = |more: Value| {
        let mut spec = json!({"type": "oci", "url": registry.url("charts"), "insecure": true});
        json_patch::merge(&mut spec, &more);
        spec
    };
    repository(&stage, "registry", spec(json!({"secretRef": {"name": "login"}}))).await;
    repository(&stage, "nobody", spec(json!({}))).await;
    let from = ("HelmRepository", "registry");
    chart(&stage, "exact", from, json!({"version": "1.0.0"})).await;
    chart(&stage, "build", from, json!({"version": "1.0.1+build.5"})).await;
    chart(&stage, "range", from, json!({"version": ">=1.0.0 <2.0.0", "interval": "1s"})).await;
    chart(&stage, "missing", from, json!({"version": "3.0.0"})).await;
    let keys = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"cosign.pub": key.public()},
                      "metadata": {"name": "keys", "namespace": stage.namespace}});
    stage.apply(keys).await.unwrap();
    let verify = json!({"provider": "cosign", "secretRef": {"name": "keys"}});
    chart(&stage, "signed", from, json!({"version": "1.0.0", "verify": verify})).await;
    chart(&stage, "unsigned", from, json!({"version": "1.0.1+build.5", "verify": verify})).await;
    chart(&stage, "nobody", ("HelmRepository", "nobody"), json!({"version": "1.0.0"})).await;
    let _agent = stage.agent().await;
    let status = at(&stage, "exact", "1.0.0").await;
    assert_eq!(condition(&status, "Ready")["message"], "pulled 'demo' chart with version '1.0.0'");
    let verified = condition(&at(&stage, "signed", "1.0.0").await, "SourceVerified");
    let message = "verified signature of version 1.0.0";
    assert_eq!((&verified["status"], &verified["message"]), (&json!("True"), &json!(message)));
    at(&stage, "build", "1.0.1+build.5").await;
    at(&stage, "range", "1.0.1+build.5").await;
    push("1.2.0", "1.2.0");
    at(&stage, "range", "1.2.0").await;
    let starts = |reason: &'static str, text: &'static str| {
        move |status: &Value| {
            let ready = condition(status, "Ready");
            ready["reason"] == reason && ready["message"].as_str().unwrap_or_default().starts_with(text)
        }
    };
    let missing = "chart pull error: failed to download chart for remote reference: tag '3.0.0' not found in 127.0.0.1:";
    until(&stage, "missing", missing, starts("ChartPullError", missing)).await;
    let unsigned = "failed to verify the signature using provider 'cosign': no matching signatures were found for 'oci://";
    until(&stage, "unsigned", unsigned, starts("VerificationError", unsigned)).await;
    let nobody = "failed to authenticate with the Helm repository: 127.0.0.1:";
    until(&stage, "nobody", nobody, starts("AuthenticationFailed", nobody)).await;
}
