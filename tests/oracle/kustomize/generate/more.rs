//! Rarer features and kinds: plugins, configurations, deprecated fields, texts inside of texts.

use super::super::Files;
use super::{Feature, NAMES, NAMESPACES, Random};

/// Functions that each make one field of a kustomization.
pub(super) const FEATURES: &[Feature] = &[
    |random, _, _| {
        format!(
            "labels:\n- pairs: {{zone: {}, app: {}}}\n  {}\n",
            random.pick(NAMES),
            random.pick(NAMES),
            random.pick(&[
                "fields: [{path: spec/extra/labels, create: true, kind: Widget}]",
                "includeSelectors: true\n  fields: [{path: spec/labels, kind: Deployment, create: true}]",
                "includeTemplates: true",
                "fields: [{path: spec/template/metadata/labels, group: apps, create: true}]",
                "fields: [{path: metadata/annotations, create: true, version: v1}]",
            ])
        )
    },
    |random, _, _| format!("transformers:\n- |-\n  apiVersion: builtin\n  {}\n", random.pick(TRANSFORMERS)),
    |random, _, _| format!("transformers:\n- |-\n  apiVersion: builtin\n  {}\n", random.pick(TRANSFORMERS)),
    |random, _, _| format!("generators:\n- |-\n  apiVersion: builtin\n  {}\n", random.pick(GENERATORS)),
    |random, _, _| format!("validators:\n- |-\n  apiVersion: builtin\n  {}\n", random.pick(TRANSFORMERS)),
    |random, files, name| {
        let count = 1 + random.below(3);
        let mut text = String::new();
        for _ in 0..count {
            let section = random.pick(CONFIGURATIONS);
            if !text.contains(section.split(':').next().unwrap_or_default()) {
                text.push_str(section);
            }
        }
        files.insert(format!("{name}/more-config.yaml"), text);
        "configurations:\n- more-config.yaml\n".into()
    },
    |random, files, name| {
        files.insert(format!("{name}/crd.json"), {
            let kind: &&str = random.pick(&["ConfigMap", "Service"]);
            CRD.replace("KIND", kind)
        });
        "crds: [crd.json]\n".into()
    },
    |random, _, _| {
        format!(
            "sortOptions:\n  order: legacy\n  legacySortOptions:\n    orderFirst: [{}]\n    orderLast: [{}]\n",
            random.pick(&["", "Service, ConfigMap", "Widget"]),
            random.pick(&["", "Namespace", "Widget, Deployment", "ConfigMap"])
        )
    },
    |random, _, _| {
        let body = *random.pick(&["data: {n: x}", "data: {k: null}", "$patch: delete", "immutable: true"]);
        let name = random.pick(NAMES);
        format!(
            "patchesStrategicMerge:\n- |-\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: {name}}}\n  {body}\n"
        )
    },
    |random, _, _| {
        format!(
            "patchesJson6902:\n- target: {{version: v1, kind: {}, name: {}}}\n  patch: |-\n    - {{op: {}, path: {}, value: z}}\n",
            random.pick(&["ConfigMap", "Service", "ServiceAccount"]),
            random.pick(NAMES),
            random.pick(&["add", "replace", "test"]),
            random.pick(&[
                "/metadata/labels",
                "/metadata/labels/app",
                "/data/k",
                "/metadata/name",
                "/metadata/annotations/q"
            ])
        )
    },
    structured_replacement,
    |random, _, _| {
        format!(
            "configMapGenerator:\n- name: {}\n  behavior: {}\n  literals: [m=n, k=z]\n  {}\n",
            random.pick(&["settings", "web", "cache"]),
            random.pick(&["merge", "replace", "create"]),
            random.pick(&[
                "namespace: apps",
                "options: {immutable: true}",
                "options: {annotations: {a: b}}",
                "options: {disableNameSuffixHash: true}"
            ])
        )
    },
    |random, _, _| {
        let options = [
            "allowNameChange: true",
            "allowKindChange: true",
            "allowNameChange: true, allowKindChange: true",
        ];
        format!(
            "patches:\n- target: {{kind: {}, name: {}}}\n  options: {{{}}}\n  patch: |-\n    apiVersion: v1\n    kind: {}\n    metadata: {{name: {}}}\n",
            random.pick(&["ConfigMap", "ServiceAccount", "Deployment"]),
            random.pick(NAMES),
            random.pick(&options),
            random.pick(&["ConfigMap", "ServiceAccount", "StatefulSet"]),
            random.pick(&["web", "renamed", "db"])
        )
    },
    |random, _, _| {
        let all = ["originAnnotations", "transformerAnnotations", "managedByLabel"];
        format!("buildMetadata: [{}, {}]\n", random.pick(&all), random.pick(&all))
    },
    |random, _, _| {
        format!(
            "vars:\n- name: SVC\n  objref: {{apiVersion: {}, kind: {}, name: {}}}\n  fieldref: {{fieldpath: {}}}\n",
            random.pick(&["v1", "apps/v1"]),
            random.pick(&["ConfigMap", "Deployment"]),
            random.pick(NAMES),
            random.pick(&[
                "data.k",
                "spec.replicas",
                "metadata.labels.app",
                "spec.template.spec.containers[0].image"
            ])
        )
    },
    |random, _, _| {
        format!(
            "replicas:\n- name: {}\n  count: 4\n- name: {}\n  count: 5\n",
            random.pick(NAMES),
            random.pick(NAMES)
        )
    },
    |random, _, _| {
        format!("imageTags:\n- name: {}\n  newTag: old\n", random.pick(&["nginx", "redis", "ghcr.io/.*"]))
    },
    |random, _, _| format!("openapi:\n  {}\n", random.pick(&["version: v1.21.2", "path: missing.json"])),
];

const TRANSFORMERS: &[&str] = &[
    "kind: PrefixTransformer\n  metadata: {name: x}\n  prefix: t-\n  fieldSpecs: [{path: metadata/name}]",
    "kind: SuffixTransformer\n  metadata: {name: x}\n  suffix: -t\n  fieldSpecs: [{path: metadata/name, kind: ConfigMap}]",
    "kind: LabelTransformer\n  metadata: {name: x}\n  labels: {app: t}\n  fieldSpecs: [{path: metadata/labels, create: true}, {path: spec/selector, kind: Service}]",
    "kind: AnnotationsTransformer\n  metadata: {name: x}\n  annotations: {note: t}\n  fieldSpecs: [{path: metadata/annotations, create: true}]",
    "kind: NamespaceTransformer\n  metadata: {name: x, namespace: data}\n  unsetOnly: true",
    "kind: NamespaceTransformer\n  metadata: {name: x, namespace: data}\n  setRoleBindingSubjects: allServiceAccounts",
    "kind: ImageTagTransformer\n  metadata: {name: x}\n  imageTag: {name: nginx, newTag: t}",
    "kind: ReplicaCountTransformer\n  metadata: {name: x}\n  replica: {name: web, count: 2}\n  fieldSpecs: [{path: spec/replicas, kind: Deployment, create: true}]",
    "kind: ValueAddTransformer\n  metadata: {name: x}\n  value: t\n  targets: [{fieldPath: metadata/name, selector: {kind: Widget}}]",
    "kind: PatchTransformer\n  metadata: {name: x}\n  patch: '[{\"op\": \"add\", \"path\": \"/metadata/annotations/t\", \"value\": \"u\"}]'\n  target: {name: web}",
    "kind: LabelTransformer\n  metadata: {name: x}\n  labels: {validated-by: t}\n  fieldSpecs: [{path: metadata/labels, create: true}]",
    "kind: HashTransformer\n  metadata: {name: x}",
];

const GENERATORS: &[&str] = &[
    "kind: ConfigMapGenerator\n  metadata: {name: web}\n  behavior: merge\n  literals: [g=h]",
    "kind: ConfigMapGenerator\n  metadata: {name: settings, namespace: apps}\n  literals: [g=h]",
    "kind: SecretGenerator\n  metadata: {name: credentials}\n  literals: [g=h]\n  type: kubernetes.io/basic-auth",
    "kind: IAMPolicyGenerator\n  metadata: {name: x}\n  cloud: gke\n  kubernetesService: {namespace: apps, name: web}\n  serviceAccount: {name: s, projectId: p}",
];

const CONFIGURATIONS: &[&str] = &[
    "namePrefix:\n- {path: metadata/name, kind: ConfigMap}\n",
    "nameSuffix:\n- {path: spec/list/name, kind: Widget}\n",
    "namespace:\n- {path: spec/namespace, kind: Widget, create: true}\n",
    "commonLabels:\n- {path: spec/selector, kind: Widget, create: true}\n",
    "commonLabels:\n- {path: spec/template/metadata/labels, kind: Deployment}\n",
    "commonAnnotations:\n- {path: spec/nested, kind: Widget}\n",
    "labels:\n- {path: spec/labels, kind: Widget, create: true}\n",
    "templateLabels:\n- {path: spec/template/metadata/labels, kind: Widget, create: true}\n",
    "images:\n- {path: spec/value, kind: Widget}\n",
    "replicas:\n- {path: spec/count, kind: Widget, create: true}\n",
    "varReference:\n- {path: data, kind: ConfigMap}\n- {path: spec/value, kind: Widget}\n",
    "nameReference:\n- kind: Service\n  version: v1\n  fieldSpecs:\n  - {path: spec/configMapRef, kind: Widget}\n",
    "nameReference:\n- kind: Widget\n  group: example.com\n  fieldSpecs:\n  - {path: spec/serviceName, kind: StatefulSet}\n",
];

const CRD: &str = r#"{"example.com.Widget": {"Schema": {"properties": {"kind": {}, "apiVersion": {}, "metadata": {},
"spec": {"$ref": "example.com.Spec"}}}}, "example.com.Spec": {"Schema": {"properties": {
"configMapRef": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "KIND"},
"nested": {"x-kubernetes-label-selector": ""}, "value": {"x-kubernetes-identity": ""}}}}}"#;

fn structured_replacement(random: &mut Random, _: &mut Files, _: &str) -> String {
    let source = random.pick(&[
        "source: {kind: Service, name: web}",
        "source: {kind: Service, name: web, fieldPath: 'spec.ports.0.port'}",
        "source: {kind: Deployment, fieldPath: spec.template.spec.containers.0.image, options: {delimiter: '/', index: 0}}",
        "sourceValue: given",
        "sourceValue: '8080'",
        "source: {kind: ConfigMap, name: db, fieldPath: data.other}",
    ]);
    let target = random.pick(&[
        "select: {kind: ConfigMap}, fieldPaths: [data.file.a.b]",
        "select: {kind: ConfigMap}, fieldPaths: [data.file.list.0], options: {create: true}",
        "select: {kind: ConfigMap}, fieldPaths: ['data.file.list.[name=x].v']",
        "select: {kind: Deployment}, fieldPaths: ['spec.template.spec.containers.*.env.[name=A].value'], options: {create: true}",
        "select: {labelSelector: 'app=web'}, fieldPaths: [metadata.annotations.note]",
        "select: {kind: Widget}, reject: [{namespace: apps}], fieldPaths: [spec.value, spec.nested.deep]",
        "select: {kind: Ingress}, fieldPaths: [spec.rules.0.host], options: {delimiter: '.', index: 0}",
        "select: {kind: Widget}, fieldPaths: [spec.list.2.name], options: {create: true}",
    ]);
    format!("replacements:\n- {source}\n  targets:\n  - {{{target}}}\n")
}

/// An object of one of the rarer kinds.
pub(super) fn resource(random: &mut Random, name: &str, metadata: &str) -> String {
    let other = *random.pick(NAMES);
    let namespace = *random.pick(NAMESPACES);
    match random.below(11) {
        0 => format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n{metadata}spec:\n  scaleTargetRef: {{apiVersion: apps/v1, kind: {}, name: {other}}}\n",
            random.pick(&["Deployment", "StatefulSet"])
        ),
        1 => format!(
            "apiVersion: batch/v1\nkind: CronJob\n{metadata}spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          serviceAccountName: {other}\n          containers:\n          - name: main\n            image: nginx\n            envFrom:\n            - configMapRef: {{name: {other}}}\n"
        ),
        2 => format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\n{metadata}spec:\n  volumeName: {other}\n  selector: {{matchLabels: {{app: {name}}}}}\n"
        ),
        3 => format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {}\n{metadata}rules:\n- {{apiGroups: [''], resources: [configmaps, secrets], resourceNames: [{other}, settings], verbs: [get]}}\n",
            random.pick(&["Role", "ClusterRole"])
        ),
        4 => format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n{metadata}webhooks:\n- {{name: a.b.c, clientConfig: {{service: {{name: {other}, namespace: {namespace}}}}}}}\n"
        ),
        5 => format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n{metadata}spec:\n  conversion: {{webhook: {{clientConfig: {{service: {{name: {other}, namespace: {namespace}}}}}}}}}\n"
        ),
        6 => format!(
            "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\n{metadata}spec:\n  service: {{name: {other}, namespace: {namespace}}}\n"
        ),
        7 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n{metadata}spec:\n  podSelector: {{matchLabels: {{app: {name}}}}}\n  ingress:\n  - from:\n    - podSelector: {{matchLabels: {{app: {other}}}}}\n"
        ),
        8 => format!(
            "apiVersion: v1\nkind: ConfigMap\n{metadata}data:\n  k: v\n  file: |\n{}",
            random.pick(FILES)
        ),
        9 => format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  {}\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: {name}-in-list}}\n",
            metadata.trim_end().replace('\n', "\n  ")
        ),
        _ => format!(
            "apiVersion: v1\nkind: ConfigMap\n{metadata}data:\n  k: {}\n  other: local\n  file: '{{\"a\": {{\"b\": \"c\"}}, \"list\": [1, {{\"name\": \"x\", \"v\": true}}]}}'\n",
            random.pick(&["v", "'5'"])
        ),
    }
}

const FILES: &[&str] = &[
    "    # a comment\n    a:\n      b: c # why\n    list:\n    - name: x\n      v: 1\n",
    "    a:\n        b: \"c\"\n    list:\n      - name: x\n        v: 'y'\n      - name: z\n",
    "    a: {b: c}\n    list: [1, two]\n",
    "    a=b\n    c=d\n",
];
