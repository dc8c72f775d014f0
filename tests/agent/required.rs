//! Charts in Git that depend on others: out of the same repository, through the HelmRepository of an address,
//! or from an address that anybody may read.

use harness::charts::packed;
use harness::{CHARTS_USER, ChartServer, ChartServerOptions, Registry, RegistryOptions};
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use super::stage::{Stage, api, condition, stage, until};

const GROUP: &str = "source.toolkit.fluxcd.io/v1";
/// The media type of a layer that is a chart.
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

async fn object(stage: &Stage<'_>, kind: &str, name: &str, spec: Value) {
    let metadata = json!({"name": name, "namespace": stage.namespace});
    let object = json!({"apiVersion": GROUP, "kind": kind, "metadata": metadata, "spec": spec});
    stage.apply(object).await.unwrap();
}

/// A Chart.yaml with these dependencies: name, version and repository.
fn chart(name: &str, dependencies: &[(&str, &str, &str)]) -> String {
    let dependencies: Vec<Value> = dependencies
        .iter()
        .map(
            |(name, version, repository)| json!({"name": name, "version": version, "repository": repository}),
        )
        .collect();
    json!({"apiVersion": "v2", "name": name, "version": "1.0.0", "dependencies": dependencies}).to_string()
}

/// Where the charts are that others depend on.
struct Places {
    public: ChartServer,
    private: ChartServer,
    registry: Registry,
}

impl Places {
    async fn start() -> Self {
        let public = ChartServer::start(ChartServerOptions::default()).unwrap();
        let private = ChartServer::start(ChartServerOptions { login: true, tls: true }).unwrap();
        for version in ["1.0.0", "1.1.0", "2.0.0"] {
            public.publish("open", version, &[]).unwrap();
            private.publish("closed", version, &[]).unwrap();
        }
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chart.tgz"), packed("pushed", "3.0.0", &[]).unwrap()).unwrap();
        registry.oras_push("charts/pushed", "3.0.0", folder.path(), &[("chart.tgz", CHART)]).unwrap();
        Self { public, private, registry }
    }

    /// A repository of charts that depend on them.
    fn files(&self) -> Vec<(&'static str, String)> {
        let (open, closed, oci) = (self.public.url(), self.private.url(), self.registry.url("charts"));
        let whole = [
            ("near", "1.x", "file://../near"),
            ("open", "1.x", open.as_str()),
            // With a slash that the HelmRepository does not have.
            ("closed", "^1", &format!("{closed}/")),
            ("pushed", ">=3", &oci),
        ];
        let lock =
            json!({"dependencies": [{"name": "open", "version": "1.0.0", "repository": open}]}).to_string();
        vec![
            ("charts/whole/Chart.yaml", chart("whole", &whole)),
            ("charts/near/Chart.yaml", chart("near", &[])),
            ("charts/locked/Chart.yaml", chart("locked", &[("open", "1.x", &open)])),
            ("charts/locked/Chart.lock", lock.clone()),
            ("charts/stale/Chart.yaml", chart("stale", &[("open", "2.x", &open)])),
            ("charts/stale/Chart.lock", lock),
            ("charts/lost/Chart.yaml", chart("lost", &[("near", "1.x", "file://../far")])),
            ("charts/newer/Chart.yaml", chart("newer", &[("near", "2.x", "file://../near")])),
            ("charts/alias/Chart.yaml", chart("alias", &[("open", "1.x", "@open")])),
            ("charts/missing/Chart.yaml", chart("missing", &[("open", "9.x", &open)])),
            ("charts/shut/Chart.yaml", chart("shut", &[("closed", "1.x", &format!("{closed}/elsewhere"))])),
        ]
    }
}

#[tokio::test]
async fn what_a_chart_in_git_depends_on_is_fetched_with_it() {
    let places = Places::start().await;
    let files = places.files();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let stage = stage("required", &files).await;
    let Places { public, private, registry } = &places;
    let (username, password) = CHARTS_USER;
    let data = json!({"username": username, "password": password, "ca.crt": private.ca_pem()});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
                        "metadata": {"name": "login", "namespace": stage.namespace}});
    stage.apply(secret).await.unwrap();
    let login = json!({"name": "login"});
    let spec = json!({"url": private.url(), "interval": "1h", "secretRef": login, "certSecretRef": login});
    object(&stage, "HelmRepository", "closed", spec).await;
    object(
        &stage,
        "HelmRepository",
        "oci",
        json!({"type": "oci", "url": registry.url("charts"), "insecure": true}),
    )
    .await;
    let from = json!({"kind": "GitRepository", "name": "repo"});
    for name in ["whole", "locked", "stale", "lost", "newer", "alias", "missing", "shut"] {
        let spec = json!({"chart": format!("charts/{name}"), "interval": "1h", "sourceRef": from});
        object(&stage, "HelmChart", name, spec).await;
    }
    let _agent = stage.agent().await;
    let charts = api(&stage.client, &stage.namespace, GROUP, "HelmChart", "helmcharts");
    let ready = |status: &Value| condition(status, "Ready")["status"] == "True";
    for name in ["whole", "locked"] {
        let status = until(&charts, name, "ready", ready).await;
        assert_eq!(status["artifact"]["revision"], "1.0.0", "{name}");
    }
    let fetched = |server: &ChartServer| {
        let paths = server.asked().into_iter().filter(|asked| asked.path != "/index.yaml");
        let mut paths: Vec<String> = paths.map(|asked| format!("{} {}", asked.status, asked.path)).collect();
        paths.sort();
        paths
    };
    // By the newest of the range, and as the lock has it.
    assert_eq!(fetched(public), ["200 /open-1.0.0.tgz", "200 /open-1.1.0.tgz"]);
    let of_private = fetched(private);
    assert!(of_private.contains(&"200 /closed-1.1.0.tgz".to_owned()), "{of_private:?}");

    told(&charts).await;
}

/// A dependency that cannot be fetched is reported.
async fn told(charts: &Api<DynamicObject>) {
    let first = "dependency build error: ";
    for (name, message) in [
        (
            "stale",
            "Chart.lock is out of date: it has 'open' in version 1.0.0, and the chart depends on '2.x'; run helm dependency \
             update, and commit what it writes"
                .to_owned(),
        ),
        (
            "lost",
            "failed to add local dependency 'near': no chart found at '/charts/far' (reference 'file://../far')".into(),
        ),
        (
            "newer",
            "failed to add local dependency 'near': can't get a valid version for constraint '2.x': the chart at '/charts/near' \
             is 1.0.0"
                .into(),
        ),
        (
            "alias",
            "failed to add remote dependency 'open': aliased repository dependency is not supported: '@open'; write its address"
                .into(),
        ),
        (
            "missing",
            "failed to add remote dependency 'open': no 'open' chart with version matching '9.x' found; the index has 2.0.0, \
             1.1.0, 1.0.0"
                .into(),
        ),
    ] {
        let says = |status: &Value| {
            let told = condition(status, "Ready");
            told["reason"] == "DependencyBuildError" && told["message"] == format!("{first}{message}")
        };
        let status = until(charts, name, &message, says).await;
        assert_eq!(condition(&status, "BuildFailed")["status"], "True", "{name}");
    }
    // Another address is another repository: not even the authority of this one's Secret counts there.
    let starts = format!("{first}failed to add remote dependency 'closed': ");
    let says = |status: &Value| {
        let told = condition(status, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        told.starts_with(&starts) && told.contains("is not trusted")
    };
    until(charts, "shut", "told", says).await;
}
