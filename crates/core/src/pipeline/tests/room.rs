//! Objects that Git has dropped are deleted first if they block new ones.

use super::*;
use crate::plan::Answer;

const DENIED: &str = "admission webhook \"w\" denied the request: ";

/// An Ingress of a host, as Git has it.
fn ingress(name: &str, host: &str) -> (String, String) {
    let text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: n}}\n\
         spec: {{rules: [{{host: {host}}}]}}\n"
    );
    (format!("apps/{name}.yaml"), text)
}

/// The same host in the cluster.
fn live(name: &str, host: &str) -> Object {
    let labels = json!({keys::OWNER_NAME: "apps", keys::OWNER_NAMESPACE: "flux-system"});
    let metadata =
        json!({"name": name, "namespace": "n", "uid": "u", "resourceVersion": "1", "labels": labels});
    let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
                        "spec": {"rules": [{"host": host}]}});
    Object::parse(object).unwrap()
}

async fn renamed(fake: &Fake, prune: bool) -> Outcome<Applied> {
    let files = [ingress("new", "a.example.com"), config_map("a")];
    let snapshot =
        Snapshot { revision: Revision::git(Some("main"), "bb"), tree: Tree::in_memory(files), origin: None };
    let (_sender, cancel) = watch::channel(false);
    let kustomization = kustomization(&json!({"prune": prune}), &["n_old_networking.k8s.io_Ingress"]);
    reconcile(fake, fake, &job(&kustomization, &snapshot, cancel), &Diary::default()).await.outcome
}

/// A webhook requires unique hosts, so it refuses a renamed Ingress while the old one exists.
#[tokio::test]
async fn an_ingress_that_has_the_host_goes_before_the_one_that_asks_for_it() {
    let denies =
        |message: &str| Answer { code: 400, message: format!("{DENIED}{message}"), ..Answer::default() };
    let cases = [
        ("old", "a.example.com", denies("the host is taken"), true, true),
        ("old", "a.example.com", denies("the host is taken"), false, false),
        ("old", "b.example.com", denies("the host is taken"), true, false),
        (
            "old",
            "a.example.com",
            Answer { code: 422, message: "no path".into(), ..Answer::default() },
            true,
            false,
        ),
    ];
    for (name, host, answer, prune, goes) in cases {
        // Once, since the old one is gone by the next time.
        let fake = Fake::default().beside(live(name, host)).refusing_for(2, "new", answer);
        let outcome = renamed(&fake, prune).await;
        assert_eq!(
            fake.log().first().is_some_and(|line| line == "delete old"),
            goes,
            "{host} {:?}",
            fake.log()
        );
        assert_eq!(matches!(outcome, Outcome::Own(Applied::Ready(_))), goes, "{outcome:?}");
        assert_eq!(fake.object("new").is_some(), goes);
    }
}
