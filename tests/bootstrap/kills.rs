//! Runs that are killed: after the report of a step, and in the middle of each write.

use harness::{Fault, Webhook};
use serde_json::{Value, json};

use super::site::{LIMIT, Site, ended, killed_at, killed_when};

/// The point at which a run is killed.
enum Point {
    /// As soon as it reports a step.
    Told(&'static str),
    /// While the API server is about to create an object of a kind.
    Creating(&'static str),
    /// When the key is registered, and before the answer arrives.
    Registered,
}

/// The resources that admission covers: enough of the kinds that a run writes.
const RESOURCES: [&str; 7] = [
    "namespaces",
    "secrets",
    "customresourcedefinitions",
    "clusterroles",
    "deployments",
    "gitrepositories",
    "kustomizations",
];

async fn watch_writes(site: &Site) -> Webhook {
    let webhook = Webhook::start().unwrap();
    let mut configuration = webhook.validating("kills", &RESOURCES);
    let hook = configuration["webhooks"][0].as_object_mut().unwrap();
    hook.remove("namespaceSelector");
    hook.insert("timeoutSeconds".into(), json!(30));
    site.create(configuration).await;
    webhook
}

/// Whether the request creates an object of a kind, and is no dry run.
fn creates(request: &Value, kind: &str) -> bool {
    request["operation"] == "CREATE" && request["kind"]["kind"] == kind && request["dryRun"] == json!(false)
}

/// B03: the same command continues a run that was killed anywhere. At the end there is one key and one
/// Secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_finished_by_the_next() {
    let site = Site::new().await;
    let webhook = watch_writes(&site).await;
    let points = [
        Point::Told("✔ preflight "),
        Point::Creating("Namespace"),
        Point::Told("✔ host keys "),
        Point::Creating("Secret"),
        Point::Told("✔ secret "),
        Point::Registered,
        Point::Told("✔ deploy key "),
        Point::Creating("CustomResourceDefinition"),
        Point::Creating("ClusterRole"),
        Point::Creating("Deployment"),
        Point::Told("✔ agent "),
        Point::Creating("GitRepository"),
        Point::Creating("Kustomization"),
    ];
    for point in points {
        let name = match point {
            Point::Told(line) => {
                assert!(killed_at(site.bootstrap(&[]), line).await, "{line}");
                line
            }
            Point::Creating(kind) => {
                let seen = webhook.requests().len();
                webhook.answer(move |request| {
                    if creates(request, kind) { harness::Answer::Silent } else { harness::Answer::Allow }
                });
                let is_there = || webhook.requests()[seen..].iter().any(|request| creates(request, kind));
                killed_when(site.bootstrap(&[]), is_there).await;
                webhook.answer(|_| harness::Answer::Allow);
                kind
            }
            Point::Registered => {
                site.hub.fail("POST", "/keys", Fault::Lost, None);
                killed_when(site.bootstrap(&[]), || !site.hub.keys().is_empty()).await;
                site.hub.heal();
                "registered"
            }
        };
        let (keys, secrets) = (site.hub.keys().len(), site.secrets().await.len());
        assert!(keys <= secrets && secrets <= 1, "{name}: {keys} keys, {secrets} Secrets");
    }
    let agent = site.agent(&[]).await;
    assert!(killed_at(site.bootstrap(&[]), "✔ source ").await);
    let run = ended(site.bootstrap(&[])).await;
    assert_eq!(run.code, 0, "{}\n{}", run.stderr, agent.log());
    assert_eq!((site.hub.keys().len(), site.secrets().await.len()), (1, 1));
    let again = tokio::time::timeout(LIMIT, ended(site.bootstrap(&[]))).await.unwrap();
    assert!(again.stderr.contains("nothing was changed"), "{}", again.stderr);
}
