//! The real flux CLI: its lists of sources, and its waits for requested reconciles.

use harness::flux::FluxCli;
use harness::{ChartServer, ChartServerOptions, Registry, RegistryOptions};
use serde_json::{Value, json};

use super::stage::{Stage, condition, config_map, stage, until};

const GROUP: &str = "source.toolkit.fluxcd.io/v1";

/// A registry, a repository of charts, and an object of each kind of source that reads them.
struct Sources {
    registry: Registry,
    charts: ChartServer,
    folder: tempfile::TempDir,
}

impl Sources {
    async fn on(stage: &Stage<'_>) -> Self {
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        let charts = ChartServer::start(ChartServerOptions::default()).unwrap();
        charts.publish("demo", "1.0.0", &[]).unwrap();
        let sources = Self { registry, charts, folder: tempfile::tempdir().unwrap() };
        sources.push("1");
        let url = sources.registry.url("app");
        stage
            .source_of("OCIRepository", "app", json!({"url": url, "interval": "1h", "insecure": true}))
            .await
            .unwrap();
        stage
            .source_of("HelmRepository", "charts", json!({"url": sources.charts.url(), "interval": "1h"}))
            .await
            .unwrap();
        let of = json!({"kind": "HelmRepository", "name": "charts"});
        stage
            .source_of("HelmChart", "demo", json!({"chart": "demo", "sourceRef": of, "interval": "1h"}))
            .await
            .unwrap();
        sources
    }

    /// Pushes an artifact; its digest.
    fn push(&self, value: &str) -> String {
        std::fs::write(self.folder.path().join("a.yaml"), config_map("a", value)).unwrap();
        self.registry.push("app", "latest", self.folder.path(), "main@sha1:1").unwrap()
    }
}

/// The line of a table that begins with a name, its columns in order.
pub(super) fn line<'t>(table: &'t str, name: &str) -> Vec<&'t str> {
    let found = table.lines().find(|line| line.split('\t').next().map(str::trim) == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {table}")).split('\t').map(str::trim).collect()
}

#[tokio::test]
async fn the_flux_cli_lists_pauses_resumes_and_asks_for_sources() {
    let stage = stage("flux-cli", &[]).await;
    let sources = Sources::on(&stage).await;
    let _agent = stage.agent().await;
    let is_ready = |status: &Value| condition(status, "Ready")["status"] == "True";
    let kinds = [
        ("OCIRepository", "ocirepositories", "oci", "app"),
        ("HelmRepository", "helmrepositories", "helm", "charts"),
        ("HelmChart", "helmcharts", "chart", "demo"),
    ];
    let cli = FluxCli::of(&stage.plane.admin_kubeconfig()).unwrap();
    let flux = |arguments: &[&str]| {
        let (is_done, printed) = cli.run(&stage.namespace, arguments).unwrap();
        assert!(is_done, "{arguments:?}: {printed}");
        printed
    };
    for (kind, plural, word, name) in kinds {
        let api = super::stage::api(&stage.client, &stage.namespace, GROUP, kind, plural);
        let status = until(&api, name, "ready", is_ready).await;
        let listed = flux(&["get", "sources", word]);
        let columns = line(&listed, name);
        assert_eq!((columns[2], columns[3]), ("False", "True"), "{listed}");
        assert!(columns[1].len() > 4 && !columns[4].is_empty(), "{listed}");

        flux(&["suspend", "source", word, name]);
        let listed = flux(&["get", "sources", word]);
        assert_eq!(line(&listed, name)[2], "True", "{listed}");
        let (is_done, told) = cli.run(&stage.namespace, &["reconcile", "source", word, name]).unwrap();
        assert!(!is_done && told.contains("resource is suspended"), "{told}");
        let told = flux(&["resume", "source", word, name]);
        let revision = status["artifact"]["revision"].as_str().unwrap();
        assert!(told.contains(&format!("fetched revision {revision}")), "{told}");
    }

    // The request is completed when the CLI returns.
    let digest = sources.push("2");
    let told = flux(&["reconcile", "source", "oci", "app"]);
    assert!(told.contains(&format!("fetched revision latest@{digest}")), "{told}");
    sources.charts.publish("demo", "1.1.0", &[]).unwrap();
    let told = flux(&["reconcile", "source", "helm", "charts"]);
    assert!(told.contains("fetched revision sha256:"), "{told}");
    let told = flux(&["reconcile", "source", "chart", "demo"]);
    assert!(told.contains("fetched revision 1.1.0"), "{told}");
}
