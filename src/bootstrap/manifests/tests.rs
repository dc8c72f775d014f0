//! The properties of the embedded files, whatever is set in them.

use super::*;
use crate::bootstrap::pod::RegistryLogin;
use lockgate_core::api;

fn installation() -> Installation {
    Installation {
        namespace: "gitops".into(),
        image: "registry/agent:1".into(),
        lockdown: false,
        adopt: false,
        log_level: None,
        pod: PodSettings::default(),
    }
}

fn names(objects: &[Object]) -> Vec<String> {
    objects.iter().map(|object| object.id().subject()).collect()
}

fn find<'o>(objects: &'o [Object], kind: &str) -> &'o Object {
    objects.iter().find(|object| object.kind() == kind).unwrap()
}

/// `UPDATE=1 cargo test crds` rewrites the file.
#[test]
fn the_embedded_crds_are_those_of_the_types() {
    let definitions = api::crd::definitions();
    let note = "# Made from the types in crates/core/src/api by `UPDATE=1 cargo test --lib crds`; not to be edited.\n";
    let text = format!("{note}{}", with_anchors(&definitions));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/bootstrap/crds.yaml"), text).unwrap();
    } else {
        assert!(text == CRDS, "bootstrap/crds.yaml is not what the types say; write it with UPDATE=1");
        assert_eq!(parse("crds.yaml", CRDS).unwrap(), definitions);
    }
}

/// `UPDATE=1 cargo test roles` rewrites the rules of the roles; the rest of the file stays.
#[test]
fn the_embedded_roles_are_those_of_the_table() {
    let documents = RBAC.split("---\n").map(|document| {
        let Some((head, _)) = document.split_once("rules:\n") else { return document.to_owned() };
        let name = head.split_once("\n  name: ").unwrap().1.lines().next().unwrap();
        let rules = match (name, head.contains("kind: ClusterRole\n")) {
            ("lockgate", true) => agent_rules(),
            ("lockgate-view", true) => user_rules(&["get", "list", "watch"]),
            ("lockgate-edit", true) => {
                user_rules(&["create", "update", "patch", "delete", "deletecollection"])
            }
            _ => return document.to_owned(),
        };
        format!("{head}rules:\n{rules}")
    });
    let text = documents.collect::<Vec<_>>().join("---\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/bootstrap/rbac.yaml"), text).unwrap();
    } else {
        assert!(
            text == RBAC,
            "bootstrap/rbac.yaml is not what the table says; write it with UPDATE=1\n{text}"
        );
    }
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> String {
    let group = if group.is_empty() { "\"\"" } else { group };
    let (resources, verbs) = (resources.join(", "), verbs.join(", "));
    format!("  - apiGroups: [{group}]\n    resources: [{resources}]\n    verbs: [{verbs}]\n")
}

/// The rights of the agent itself.
fn agent_rules() -> String {
    let mut text =
        "  # Its kinds: it follows them, sets and drops their finalizers, and writes their status.\n"
            .to_owned();
    for info in api::acted_on() {
        let status = format!("{}/status", info.plural);
        text += &rule(info.id.group, &[info.plural], &["list", "watch", "patch"]);
        text += &rule(info.id.group, &[&status], &["patch"]);
    }
    let beside = [
        api::Grant { reason: "What happened.", group: "", resources: &["events"], verbs: &["create"] },
        api::Grant {
            reason: "Whether Flux's controllers run.",
            group: "apps",
            resources: &["deployments"],
            verbs: &["list", "watch"],
        },
        api::Grant {
            reason: "Whether what has their names is Flux's: which accounts hold the rights that Flux gives to its own.",
            group: "rbac.authorization.k8s.io",
            resources: &["clusterrolebindings"],
            verbs: &["list"],
        },
    ];
    let of_kinds = api::acted_on().flat_map(|info| info.grants);
    for grant in of_kinds.chain(&beside) {
        text += &["  # ", grant.reason, "\n", &rule(grant.group, grant.resources, grant.verbs)].concat();
    }
    text
}

/// The rights of users for all kinds, one rule for each group.
fn user_rules(verbs: &[&str]) -> String {
    let mut groups: Vec<&str> = api::KINDS.iter().map(|info| info.id.group).collect();
    groups.dedup();
    let plurals = |group: &str| -> Vec<&str> {
        api::KINDS.iter().filter(|info| info.id.group == group).map(|info| info.plural).collect()
    };
    groups.iter().map(|group| rule(group, &plurals(group), verbs)).collect()
}

/// The definitions with each schema written once: older versions of a kind refer to that of the stored
/// version.
fn with_anchors(definitions: &[Object]) -> String {
    let pointing = edited(definitions.to_vec(), |value| {
        let versions = value["spec"]["versions"].as_array_mut().unwrap();
        for version in versions.iter_mut().skip(1) {
            version["schema"] = "*schema".into();
        }
    });
    let documents: Vec<String> =
        pointing.unwrap().iter().map(|object| to_yaml(std::slice::from_ref(object))).collect();
    let anchored = documents.iter().map(|text| {
        text.replacen("schema:\n", "schema: &schema\n", 1)
            .replace("'*schema'", "*schema")
            .replace("\"*schema\"", "*schema")
    });
    anchored.collect::<Vec<_>>().join("---\n")
}

/// The labels by which the flux CLI finds controllers and kinds: `manifestgen.PartOfLabelKey` and
/// `VersionLabelKey`.
#[test]
fn the_flux_cli_finds_the_agent_and_its_kinds() {
    let mut found = crds().unwrap();
    assert!(found.iter().all(|crd| crd.label(VERSION).unwrap().starts_with("lockgate-")));
    found.extend(agent(&installation()).unwrap().into_iter().filter(|object| object.kind() == "Deployment"));
    assert_eq!(found.len(), api::KINDS.len() + 1);
    for object in found {
        assert_eq!(object.label("app.kubernetes.io/part-of"), Some("flux"), "{}", object.id().subject());
        // An agent recognises Flux's own controllers, beside which it does not work, by their names.
        assert!(!object.name().ends_with("-controller"));
    }
}

#[test]
fn everything_moves_to_the_namespace() {
    let installation = installation();
    for object in namespace(&installation).unwrap().into_iter().chain(agent(&installation).unwrap()) {
        let text = object.value().to_string();
        assert!(!text.contains("flux-system"), "{text}");
        let namespace = object.id().namespace;
        assert!(["", "gitops"].contains(&namespace.as_str()), "{text}");
    }
}

#[test]
fn lockdown_leaves_out_the_binding_to_cluster_admin_and_nothing_else() {
    let all = agent(&installation()).unwrap();
    let locked = agent(&Installation { lockdown: true, ..installation() }).unwrap();
    let is_admin = |object: &&Object| object.text("/roleRef/name") == Some("cluster-admin");
    assert_eq!(all.iter().filter(is_admin).count(), 1);
    assert_eq!(locked.iter().filter(is_admin).count(), 0);
    assert_eq!(all.len(), locked.len() + 1);
    let left_out = left_out(&Installation { lockdown: true, ..installation() }).unwrap();
    assert_eq!(names(&left_out), ["ClusterRoleBinding/lockgate-apply"]);
    assert!(super::left_out(&installation()).unwrap().is_empty());
}

#[test]
fn the_agent_is_told_what_the_installation_is_told() {
    for (lockdown, adopt, log_level, expected) in [
        (false, false, None, &[][..]),
        (true, false, None, &["--lockdown"]),
        (false, true, None, &["--adopt"]),
        (true, true, Some("debug"), &["--adopt", "--lockdown", "--log-level=debug"]),
    ] {
        let objects = agent(&Installation { lockdown, adopt, log_level, ..installation() }).unwrap();
        let arguments =
            find(&objects, "Deployment").pointer("/spec/template/spec/containers/0/args").unwrap();
        let arguments = arguments.as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        let own = [
            "agent",
            "--namespace=$(POD_NAMESPACE)",
            "--health-addr=[::]:9440",
            "--metrics-addr=[::]:8080",
            "--state-dir=/tmp",
        ];
        assert_eq!(arguments.collect::<Vec<_>>(), [&own[..], expected].concat());
    }
}

#[test]
fn the_pod_is_of_the_restricted_form() {
    let objects = agent(&installation()).unwrap();
    let deployment = find(&objects, "Deployment");
    let pod = "/spec/template/spec";
    for (pointer, expected) in [
        // No user: OpenShift refuses one outside of the namespace's range.
        ("/securityContext", json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})),
        ("/containers/0/securityContext/runAsGroup", json!(65534)),
        ("/containers/0/terminationMessagePolicy", json!("FallbackToLogsOnError")),
        ("/dnsConfig/options/0/name", json!("ndots")),
        ("/containers/0/securityContext/allowPrivilegeEscalation", json!(false)),
        ("/containers/0/securityContext/readOnlyRootFilesystem", json!(true)),
        ("/containers/0/securityContext/capabilities/drop", json!(["ALL"])),
        ("/containers/0/resources/limits/memory", json!("256Mi")),
        ("/containers/0/image", json!("registry/agent:1")),
        ("/volumes", json!([{"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}}])),
    ] {
        assert_eq!(deployment.pointer(&format!("{pod}{pointer}")), Some(&expected), "{pointer}");
    }
    let selector = deployment.pointer("/spec/selector/matchLabels").unwrap();
    let labels = deployment.pointer("/spec/template/metadata/labels").unwrap();
    for (key, value) in selector.as_object().unwrap() {
        assert_eq!(&labels[key], value);
    }
    let policy = find(&objects, "NetworkPolicy");
    assert_eq!(policy.pointer("/spec/podSelector/matchLabels"), Some(selector));
}

/// The pod's settings are in the Deployment, in addition to its fixed fields.
#[test]
fn the_pod_is_fitted_to_a_cluster() {
    let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let login = |file: Option<&str>| RegistryLogin { name: "pull".into(), file: file.map(ToOwned::to_owned) };
    let pod = PodSettings::default()
        .with_authorities(Some("PEM".into()))
        .with_logins(vec![login(Some("{}"))])
        .with_tolerations(&list(&["kept=free:NoSchedule", "none"]))
        .with_nodes(&list(&["kubernetes.io/arch=arm64"]))
        .with_variables(&list(&["HTTPS_PROXY=http://proxy:3128", "HOME=/elsewhere"]))
        .with_resource("limits", "memory", Some("1Gi".into()))
        .with_resource("limits", "cpu", None);
    let objects = agent(&Installation { pod, ..installation() }).unwrap();
    assert_eq!(find(&objects, "ConfigMap").pointer("/data/ca.crt"), Some(&json!("PEM")));
    let spec = find(&objects, "Deployment").pointer("/spec/template/spec").unwrap();
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "pull"}]));
    let tolerations = spec["tolerations"].as_array().unwrap();
    assert_eq!(tolerations.len(), 3, "those for a lost node stay");
    assert_eq!(
        tolerations[2],
        json!({"key": "kept", "operator": "Equal", "value": "free", "effect": "NoSchedule"})
    );
    assert_eq!(spec["nodeSelector"], json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}));
    let container = &spec["containers"][0];
    assert_eq!(container["resources"]["limits"], json!({"memory": "1Gi"}));
    let env = container["env"].as_array().unwrap();
    let value = |name: &str| {
        let found: Vec<&Value> = env.iter().filter(|one| one["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0]["value"].clone()
    };
    assert_eq!(value("HTTPS_PROXY"), "http://proxy:3128");
    assert_eq!(value("HOME"), "/elsewhere");
    assert_eq!(value("SSL_CERT_DIR"), "/etc/lockgate/ca");
    assert_eq!(container["volumeMounts"][1]["mountPath"], "/etc/lockgate/ca");
    assert_eq!(spec["volumes"][1]["configMap"]["name"], "lockgate-ca");
}

#[test]
fn the_sync_names_what_was_asked_for() {
    let wanted = Sync {
        name: "infra".into(),
        url: "ssh://git@h/r".into(),
        branch: "release".into(),
        path: "/clusters/./a/".into(),
        interval: Duration::from_secs(120),
        secret_name: Some("key".into()),
        is_app: false,
        service_account: Some("deployer".into()),
    };
    let objects = sync(&installation(), &wanted).unwrap();
    assert_eq!(names(&objects), ["GitRepository/gitops/infra", "Kustomization/gitops/infra"]);
    let spec = objects[0].pointer("/spec").unwrap();
    let expected = json!({
        "interval": "2m0s", "url": "ssh://git@h/r", "ref": {"branch": "release"}, "secretRef": {"name": "key"},
    });
    assert_eq!(spec, &expected);
    let expected = json!({
        "interval": "10m", "path": "./clusters/a", "prune": true,
        "sourceRef": {"kind": "GitRepository", "name": "infra"}, "serviceAccountName": "deployer",
    });
    assert_eq!(objects[1].pointer("/spec").unwrap(), &expected);
}

#[test]
fn the_source_names_a_secret_and_a_provider_where_it_needs_them() {
    let of = |secret_name: Option<&str>, is_app| {
        let sync_wanted = Sync {
            name: "infra".into(),
            url: "https://h/o/r".into(),
            branch: "main".into(),
            path: "./".into(),
            interval: Duration::from_secs(60),
            secret_name: secret_name.map(Into::into),
            is_app,
            service_account: None,
        };
        let source = sync(&installation(), &sync_wanted).unwrap().remove(0);
        let text = |pointer: &str| source.text(pointer).map(ToOwned::to_owned);
        (text("/spec/secretRef/name"), text("/spec/provider"), source.pointer("/spec/secretRef").is_some())
    };
    assert_eq!(of(None, false), (None, None, false));
    assert_eq!(of(Some("app"), true), (Some("app".into()), Some("github".into()), true));
    assert_eq!(of(Some("token"), false), (Some("token".into()), None, true));
}
