//! Random folders: a base, overlays and components, with features and scalars from small pools, so that they
//! collide.

mod more;

use std::fmt::Write as _;

use super::super::random::Random;
use super::{Case, Files};

const NAMES: &[&str] = &["web", "db", "cache", "web-api"];
const NAMESPACES: &[&str] = &["default", "apps", "data"];

/// A case with a base, at most two overlays on it and at most one component.
pub(crate) fn case(random: &mut Random, number: u64) -> Case {
    let mut files = Files::new();
    folder(random, &mut files, "base", &[]);
    let mut target = "base".to_owned();
    for layer in 0..random.below(3) {
        let name = format!("layer{layer}");
        let mut below = vec![format!("../{target}")];
        if random.one_in(4) {
            folder(random, &mut files, &format!("other{layer}"), &[]);
            below.push(format!("../other{layer}"));
        }
        folder(random, &mut files, &name, &below);
        target = name;
    }
    Case { name: format!("random-{number}"), files, target }
}

fn folder(random: &mut Random, files: &mut Files, name: &str, below: &[String]) {
    let mut lines = String::new();
    let mut resources: Vec<String> = below.to_vec();
    let count = if below.is_empty() { 1 + random.below(3) } else { random.below(2) };
    for at in 0..count {
        let file = format!("r{at}.yaml");
        let text = resource_file(random, files);
        files.insert(format!("{name}/{file}"), text);
        resources.push(file);
    }
    if !resources.is_empty() {
        let _ = writeln!(lines, "resources:\n- {}", resources.join("\n- "));
    }
    for _ in 0..random.below(5) {
        let features = if random.one_in(3) { more::FEATURES } else { FEATURES };
        let feature = random.pick(features);
        let text = feature(random, files, name);
        let field = text.split(':').next().unwrap_or_default().to_owned();
        // Each field occurs once.
        if !lines.lines().any(|line| line.split(':').next() == Some(&field)) {
            lines.push_str(&text);
        }
    }
    files.insert(format!("{name}/kustomization.yaml"), lines);
}

type Feature = fn(&mut Random, &mut Files, &str) -> String;

const FEATURES: &[Feature] = &[
    |random, _, _| format!("namePrefix: {}-\n", random.pick(&["a", "b"])),
    |random, _, _| format!("nameSuffix: -{}\n", random.pick(&["x", "v1"])),
    |random, _, _| format!("namespace: {}\n", random.pick(NAMESPACES)),
    |random, _, _| {
        format!(
            "commonLabels:\n  app: {}\n  {}: y1\n",
            random.pick(NAMES),
            random.pick(&["tier", "app.kubernetes.io/name"])
        )
    },
    |random, _, _| {
        format!(
            "labels:\n- pairs:\n    team: {}\n  includeSelectors: {}\n  includeTemplates: {}\n",
            random.pick(NAMES),
            random.pick(&["true", "false"]),
            random.pick(&["true", "false"])
        )
    },
    |random, _, _| {
        format!("commonAnnotations:\n  note: {}\n", random.pick(&["\"1\"", "x", "'a: b'", "\"\""]))
    },
    |random, _, _| {
        format!(
            "images:\n- name: {}\n  {}\n",
            random.pick(&["nginx", "redis", "ghcr.io/org/app", "ngin."]),
            random.pick(&[
                "newTag: '2.0'",
                "newName: mirror/x",
                "digest: sha256:abc",
                "newName: m/y\n  newTag: v3",
                "tagSuffix: -x"
            ])
        )
    },
    |random, _, _| format!("replicas:\n- name: {}\n  count: {}\n", random.pick(NAMES), random.below(9)),
    config_map,
    secret,
    |random, _, _| {
        format!(
            "generatorOptions:\n  {}\n",
            random.pick(&[
                "disableNameSuffixHash: true",
                "labels:\n    gen: x",
                "annotations:\n    gen: y",
                "immutable: true"
            ])
        )
    },
    strategic_patch,
    json_patch,
    replacement,
    |random, files, name| {
        let component = format!("component-{name}");
        if !files.contains_key(&format!("{component}/kustomization.yaml")) {
            let mut inner = Files::new();
            folder(random, &mut inner, &component, &[]);
            let text = inner.remove(&format!("{component}/kustomization.yaml")).unwrap_or_default();
            files.extend(inner);
            let head = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n";
            files.insert(format!("{component}/kustomization.yaml"), format!("{head}{text}"));
        }
        format!("components:\n- ../{component}\n")
    },
    |random, _, _| {
        format!(
            "vars:\n- name: {}\n  objref: {{apiVersion: v1, kind: Service, name: {}}}\n  fieldref: {{fieldpath: {}}}\n",
            random.pick(&["SVC", "OTHER"]),
            random.pick(NAMES),
            random.pick(&["metadata.name", "metadata.namespace", "spec.ports[0].port"])
        )
    },
    |random, _, _| format!("sortOptions:\n  order: {}\n", random.pick(&["fifo", "legacy"])),
    |random, _, _| {
        format!(
            "buildMetadata: [{}]\n",
            random.pick(&["managedByLabel", "originAnnotations", "transformerAnnotations"])
        )
    },
    |_, files, name| {
        let text = "nameReference:\n- kind: ConfigMap\n  version: v1\n  fieldSpecs:\n  - path: spec/configMapRef/name\n    kind: Widget\n";
        files.insert(format!("{name}/config.yaml"), text.into());
        "configurations:\n- config.yaml\n".into()
    },
];

fn config_map(random: &mut Random, files: &mut Files, name: &str) -> String {
    files.insert(
        format!("{name}/data.txt"),
        random.pick(&["hello\n", "", "a: b\n\n", "no newline"]).to_string(),
    );
    files.insert(
        format!("{name}/some.env"),
        random.pick(&["A=1\nB=two\n", "# c\nA=x=y\n\nQ='q'\n", "\u{feff}K=v\n"]).to_string(),
    );
    let mut out = format!("configMapGenerator:\n- name: {}\n", random.pick(&["settings", "web"]));
    for source in [
        "  literals: [a=b, 'c=\"d e\"', \"e='f'\", x=]\n",
        "  files: [data.txt, other.txt=data.txt]\n",
        "  envs: [some.env]\n",
        "  behavior: merge\n",
        "  behavior: create\n",
        "  options: {disableNameSuffixHash: true}\n",
        "  options: {labels: {l: m}}\n",
        "  namespace: apps\n",
    ] {
        if random.one_in(3) && !out.contains(source.split(':').next().unwrap_or_default()) {
            out.push_str(source);
        }
    }
    out
}

fn secret(random: &mut Random, files: &mut Files, name: &str) -> String {
    files.insert(format!("{name}/token.txt"), "t0ken<&>".repeat(1 + random.below(9)));
    format!(
        "secretGenerator:\n- name: {}\n  {}\n{}",
        random.pick(&["credentials", "web"]),
        random.pick(&[
            "literals: [user=admin, password=s3cr3t]",
            "files: [token.txt]",
            "literals: [a=b]\n  files: [k=token.txt]"
        ]),
        random.pick(&["", "  type: Opaque\n", "  type: kubernetes.io/basic-auth\n"])
    )
}

fn strategic_patch(random: &mut Random, _: &mut Files, _: &str) -> String {
    let kind = *random.pick(&["Deployment", "StatefulSet", "Service", "ConfigMap", "Widget"]);
    let name = *random.pick(NAMES);
    let body = match kind {
        "Service" => {
            *random.pick(&["spec: {ports: [{port: 80, name: new}]}", "spec: {ports: [{port: 80, protocol: TCP, targetPort: 1}]}", "spec: {type: null}", "spec: {selector: {$patch: replace, x: y}}"])
        }
        "ConfigMap" => *random.pick(&["data: {k: null, n: 'v'}", "$patch: delete", "data: {$patch: replace, only: x}", "immutable: true"]),
        "Widget" => *random.pick(&["spec: {list: [{name: z}]}", "spec: {nested: {deep: 1, gone: null}}", "spec: null", "metadata: {finalizers: [x]}"]),
        _ => *random.pick(&[
            "spec: {replicas: 7}",
            "spec: {template: {spec: {containers: [{name: main, env: [{name: NEW, value: x}]}]}}}",
            "spec: {template: {spec: {containers: [{name: side, image: busybox}]}}}",
            "spec: {template: {spec: {containers: [{name: main, $patch: delete}, {name: s, image: redis}]}}}",
            "spec: {template: {spec: {containers: [{$patch: replace}, {name: o, image: nginx}]}}}",
            "spec: {template: {spec: {containers: [{name: main, ports: [{containerPort: 80, name: p}]}]}}}",
            "spec: {template: {spec: {containers: [{name: main, ports: [{containerPort: 80, protocol: UDP}]}]}}}",
            "spec: {template: {spec: {volumes: [{name: v, emptyDir: {}}], tolerations: [{key: a}]}}}",
            "spec: {template: {metadata: {annotations: {a: 'b', c: null}}}}",
            "spec: {template: {spec: {containers: [{name: main, args: [x], resources: {limits: {cpu: 1}}}]}}}",
            "metadata: {finalizers: [a, b], labels: {app: null}}",
            "$patch: delete",
            "$patch: replace\nspec: {paused: true}",
            "spec: {template: {spec: {containers: [{image: nginx}]}}}",
            "spec: {template: {spec: {$patch: replace, containers: [{name: n, image: i}]}}}",
            "spec: {strategy: {type: Recreate, rollingUpdate: null}}",
            "spec: {template: {spec: {containers: [{name: main, volumeMounts: [{mountPath: /d, name: v}, {mountPath: /d, name: w}]}]}}}",
        ]),
    };
    let api = match kind {
        "Deployment" | "StatefulSet" => "apps/v1",
        "Widget" => "example.com/v1",
        _ => "v1",
    };
    let body = body.replace('\n', "\n    ");
    let target = match random.below(4) {
        0 | 1 => format!("  target: {{kind: {kind}}}\n"),
        2 => format!("  target: {{name: '{}', kind: {kind}}}\n", random.pick(&["web", "w.*", "db"])),
        _ => String::new(),
    };
    format!("patches:\n- patch: |-\n    apiVersion: {api}\n    kind: {kind}\n    metadata: {{name: {name}}}\n    {body}\n{target}")
        .replace("metadata: {name: web}\n    metadata: {", "metadata: {name: web, ")
        .replace("metadata: {name: db}\n    metadata: {", "metadata: {name: db, ")
        .replace("metadata: {name: cache}\n    metadata: {", "metadata: {name: cache, ")
        .replace("metadata: {name: web-api}\n    metadata: {", "metadata: {name: web-api, ")
}

fn json_patch(random: &mut Random, _: &mut Files, _: &str) -> String {
    let operation = random.pick(&[
        "- {op: replace, path: /metadata/name, value: renamed}",
        "- {op: add, path: /metadata/annotations/x, value: y}",
        "- {op: add, path: /metadata/labels/x~1y, value: z}",
        "- {op: remove, path: /spec/replicas}",
        "- {op: replace, path: /spec/replicas, value: 3}",
        "- {op: add, path: /spec/template/spec/containers/-, value: {name: js, image: nginx:1}}",
        "- {op: remove, path: /spec/template/spec/containers/0}",
        "- {op: test, path: /metadata/name, value: web}\n    - {op: add, path: /spec/x, value: 1}",
        "- {op: copy, from: /metadata/name, path: /metadata/labels}",
        "- {op: move, from: /spec, path: /data}",
        "- {op: add, path: /spec/template/metadata/annotations/a, value: b}",
        "- {op: replace, path: /spec, value: {a: 1.0, b: 012, c: yes}}",
    ]);
    let target = random.pick(&[
        "kind: Deployment",
        "name: web",
        "kind: Deployment, name: '.*'",
        "labelSelector: 'app=web'",
        "annotationSelector: 'note in (x, y)'",
        "group: apps",
        "version: v1, kind: Service",
        "namespace: apps",
    ]);
    format!("patches:\n- patch: |-\n    {operation}\n  target: {{{target}}}\n")
}

fn replacement(random: &mut Random, _: &mut Files, _: &str) -> String {
    let source = random.pick(&[
        "kind: Service, name: web",
        "kind: ConfigMap, name: web, fieldPath: data.k",
        "kind: Deployment, fieldPath: spec.replicas",
        "kind: Service, name: web, fieldPath: 'spec.ports.[name=http].port'",
        "kind: Deployment, name: web, fieldPath: spec.template.spec.containers.0.image, options: {delimiter: ':', index: 1}",
    ]);
    let target = random.pick(&[
        "select: {kind: Deployment}, fieldPaths: ['metadata.annotations.[x]']",
        "select: {kind: Deployment}, fieldPaths: [metadata.annotations.x], options: {create: true}",
        "select: {kind: Deployment, name: web}, fieldPaths: ['spec.template.spec.containers.[name=main].image'], options: {delimiter: ':', index: 1}",
        "select: {kind: ConfigMap}, reject: [{name: web}], fieldPaths: [data.k]",
        "select: {name: '.*'}, fieldPaths: [metadata.labels.r], options: {create: true}",
        "select: {kind: Widget}, fieldPaths: ['spec.list.*.v', spec.nested.deep]",
    ]);
    format!("replacements:\n- source: {{{source}}}\n  targets:\n  - {{{target}}}\n")
}

/// A file of resources. A kind and name occurs only once in all files.
fn resource_file(random: &mut Random, files: &Files) -> String {
    let count = 1 + random.below(3);
    let mut documents: Vec<String> = Vec::new();
    for _ in 0..count {
        let document = resource(random);
        let identity = identity(&document);
        let taken =
            files.values().flat_map(|text| text.split("---\n")).chain(documents.iter().map(String::as_str));
        if !taken.map(self::identity).any(|other| other == identity) || random.one_in(20) {
            documents.push(document);
        }
    }
    documents.join("---\n")
}

/// The kind and name of a document.
fn identity(document: &str) -> [Option<&str>; 2] {
    ["kind: ", "  name: "].map(|start| document.lines().find(|line| line.starts_with(start)))
}

/// Valid scalars of a Kubernetes object, many of which some reader takes for another type.
const VALUES: &[&str] = &[
    "x",
    "yes",
    "\"yes\"",
    "0644",
    "1.10",
    "1e3",
    "'12'",
    "null",
    "~",
    "true",
    "2020-01-01",
    "|\n      a\n      b",
    "\"a\\tb\"",
    "'it''s'",
    "on",
    "'$(SVC)'",
    "1_000",
    "\u{1f600}",
    "0x1F",
    "''",
];

fn resource(random: &mut Random) -> String {
    let name = *random.pick(NAMES);
    let namespace =
        if random.one_in(4) { format!("\n  namespace: {}", random.pick(NAMESPACES)) } else { String::new() };
    let labels = if random.one_in(2) { format!("\n  labels:\n    app: {name}") } else { String::new() };
    let annotations = if random.one_in(4) {
        format!("\n  annotations: {{note: {}}}", random.pick(&["x", "\"1\"", "y1"]))
    } else {
        String::new()
    };
    let metadata = format!("metadata:\n  name: {name}{namespace}{labels}{annotations}\n");
    match random.below(13) {
        10..=12 => more::resource(random, name, &metadata),
        0..=2 => workload(random, "Deployment", name, &metadata),
        3 => workload(random, "StatefulSet", name, &metadata),
        4 => format!(
            "apiVersion: v1\nkind: Service\n{metadata}spec:\n  type: ClusterIP\n  selector: {{app: {name}}}\n  ports:\n  - {{name: http, port: 80{}}}\n  - {{name: b, port: 81, targetPort: http}}\n",
            random.pick(&["", ", protocol: TCP", ", targetPort: 8080"])
        ),
        5 => format!(
            "apiVersion: v1\nkind: ConfigMap\n{metadata}data:\n  k: {}\n  other: {}\n",
            quoted(random),
            quoted(random)
        ),
        6 => format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {}\n{metadata}roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {}}}\nsubjects:\n- {{kind: ServiceAccount, name: {}, namespace: {}}}\n",
            random.pick(&["RoleBinding", "ClusterRoleBinding"]),
            random.pick(NAMES),
            random.pick(&["default", "web"]),
            random.pick(NAMESPACES)
        ),
        7 => format!("apiVersion: v1\nkind: {}\n{metadata}", random.pick(&["ServiceAccount", "Namespace"])),
        8 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\n{metadata}spec:\n  rules:\n  - host: $(SVC).x\n    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {}, port: {{number: 80}}}}}}}}]}}\n",
            random.pick(NAMES)
        ),
        _ => format!(
            "apiVersion: example.com/v1\nkind: Widget\n{metadata}spec:\n  value: {}\n  configMapRef: {{name: {}}}\n  list:\n  - {{name: a, v: 1}}\n  - {{name: b}}\n  nested:\n    deep: {}\n",
            random.pick(VALUES),
            random.pick(&["web", "settings"]),
            random.pick(&["1", "yes", "'7'", "null"])
        ),
    }
}

fn quoted(random: &mut Random) -> &'static str {
    const POOL: &[&str] = &["'v'", "\"1\"", "plain", "|\n    l1\n    l2", "'yes'", "\"\"", "$(SVC)"];
    let text: &&str = random.pick(POOL);
    text
}

fn workload(random: &mut Random, kind: &str, name: &str, metadata: &str) -> String {
    let image = random.pick(&[
        "nginx",
        "nginx:1.2",
        "redis@sha256:aa",
        "ghcr.io/org/app:v1",
        "localhost:5000/nginx:x",
    ]);
    let mut out = format!(
        "apiVersion: apps/v1\nkind: {kind}\n{metadata}spec:\n  replicas: {}\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n      - name: main\n        image: {image}\n",
        random.below(5)
    );
    for part in [
        "        env:\n        - {name: A, value: \"1\"}\n        - {name: B, valueFrom: {configMapKeyRef: {name: web, key: k}}}\n",
        "        envFrom:\n        - configMapRef: {name: settings}\n        - secretRef: {name: credentials}\n",
        "        ports:\n        - {containerPort: 80}\n        - {containerPort: 81, protocol: UDP}\n",
        "        ports: [{containerPort: 80, protocol: TCP, name: p}]\n",
        "        args: [--svc=$(SVC), \"--x\"]\n",
        "        volumeMounts: [{name: v, mountPath: /d}, {name: w, mountPath: /e}]\n",
        "      initContainers:\n      - {name: init, image: busybox}\n",
        "      volumes:\n      - {name: v, configMap: {name: web}}\n      - {name: w, secret: {secretName: credentials}}\n",
        "      serviceAccountName: web\n",
    ] {
        if random.one_in(3) && !(part.contains(" ports:") && out.contains(" ports:")) {
            out.push_str(part);
        }
    }
    if kind == "StatefulSet" {
        let _ = writeln!(out, "  serviceName: {}", random.pick(NAMES));
        out.push_str(
            "  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce]}\n",
        );
    }
    out
}
