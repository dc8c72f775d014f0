//! The trees that the benchmark builds, generated so that each has the size that its figure is about.

use std::fmt::Write as _;

/// A folder of files.
pub(crate) struct Workload {
    /// The name in the table.
    pub(crate) title: &'static str,
    /// The number of documents that its build must print.
    pub(crate) documents: usize,
    /// The folder that is built.
    pub(crate) target: &'static str,
    /// Paths and contents.
    pub(crate) files: Vec<(String, String)>,
}

impl Workload {
    /// Deployments, Services and ConfigMaps with a namespace, labels, images and one patch for all
    /// Deployments.
    pub(crate) fn resources(title: &'static str, documents: usize) -> Self {
        let names: Vec<String> = (0..documents / 4).map(|number| format!("app-{number:04}")).collect();
        let mut files: Vec<(String, String)> =
            names.iter().map(|name| (format!("{name}.yaml"), application(name))).collect();
        let mut kustomization = String::from("resources:\n");
        for name in &names {
            let _ = writeln!(kustomization, "- {name}.yaml");
        }
        kustomization.push_str(TRANSFORMERS);
        files.push(("kustomization.yaml".into(), kustomization));
        Self { title, documents, target: ".", files }
    }

    /// A base of six applications, and an overlay that renames, patches and adds objects, as in many
    /// platforms.
    pub(crate) fn overlay() -> Self {
        let names: Vec<String> = (0..6).map(|number| format!("app-{number}")).collect();
        let mut base = String::from("resources:\n- namespace.yaml\n");
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n";
        let mut files = vec![("base/namespace.yaml".into(), namespace.into())];
        for name in &names {
            let _ = writeln!(base, "- {name}.yaml");
            files.push((format!("base/{name}.yaml"), application(name)));
        }
        files.push(("base/kustomization.yaml".into(), base));
        let overlay = format!(
            "resources:\n- ../base\n{TRANSFORMERS}configMapGenerator:\n- name: region\n  literals: [REGION=us-east1]\n"
        );
        files.push(("production/kustomization.yaml".into(), overlay));
        Self { title: "overlay", documents: 26, target: "production", files }
    }

    /// Large custom resource definitions, like those of operators.
    pub(crate) fn crds() -> Self {
        let mut kustomization = String::from("resources:\n");
        let mut files = Vec::new();
        for number in 0..24 {
            let _ = writeln!(kustomization, "- crd-{number:02}.yaml");
            files.push((format!("crd-{number:02}.yaml"), definition(number)));
        }
        files.push(("kustomization.yaml".into(), kustomization));
        Self { title: "CRDs", documents: 24, target: ".", files }
    }

    /// One and a half applications: the content of a small Kustomization.
    pub(crate) fn small() -> Self {
        let mut files = vec![];
        for name in ["app-a", "app-b"] {
            files.push((format!("{name}.yaml"), application(name)));
        }
        let kustomization = format!(
            "resources:\n- app-a.yaml\n- app-b.yaml\n{TRANSFORMERS}configMapGenerator:\n\
             - name: one\n  literals: [A=1]\n- name: two\n  literals: [B=2]\n"
        );
        files.push(("kustomization.yaml".into(), kustomization));
        Self { title: "library call", documents: 10, target: ".", files }
    }

    /// The size of all files in bytes.
    pub(crate) fn size(&self) -> usize {
        self.files.iter().map(|(_, content)| content.len()).sum()
    }
}

/// The transformers of the kustomizations.
const TRANSFORMERS: &str = "\
namespace: shop
labels:
- pairs:
    app.kubernetes.io/part-of: shop
  includeSelectors: true
images:
- name: registry.example.com/app
  newName: mirror.example.com/app
  newTag: 2.0.0
patches:
- target:
    kind: Deployment
  patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: all
    spec:
      template:
        spec:
          containers:
          - name: app
            resources:
              limits:
                memory: 256Mi
";

/// Four objects that refer to one another.
fn application(name: &str) -> String {
    APPLICATION.replace("NAME", name)
}

const APPLICATION: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  labels:
    app.kubernetes.io/name: NAME
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: NAME
  template:
    metadata:
      labels:
        app.kubernetes.io/name: NAME
    spec:
      containers:
      - name: app
        image: registry.example.com/app:1.0.0
        args: [\"--listen\", \":8080\"]
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: LOG_LEVEL
          valueFrom:
            configMapKeyRef:
              name: NAME-env
              key: LOG_LEVEL
        volumeMounts:
        - name: files
          mountPath: /etc/app
      volumes:
      - name: files
        configMap:
          name: NAME-files
---
apiVersion: v1
kind: Service
metadata:
  name: NAME
spec:
  selector:
    app.kubernetes.io/name: NAME
  ports:
  - name: http
    port: 80
    targetPort: http
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: NAME-env
data:
  LOG_LEVEL: info
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: NAME-files
data:
  app.conf: |
    listen = 8080
    # The name that clients see.
    name = \"NAME\"
";

/// A definition of about 58 KB, most of it descriptions and fields in fields.
fn definition(number: usize) -> String {
    let mut text = format!(
        "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.16.1
  name: things{number:02}.example.com
spec:
  group: example.com
  names:
    kind: Thing{number:02}
    listKind: Thing{number:02}List
    plural: things{number:02}
    singular: thing{number:02}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {{}}
    schema:
      openAPIV3Schema:
        description: Thing{number:02} is one of the things that an operator looks after.
        type: object
        properties:
          spec:
            type: object
            properties:
"
    );
    for part in 0..16 {
        let _ = writeln!(text, "              part{part:02}:\n                type: object");
        text.push_str("                properties:\n");
        for field in 0..6 {
            let _ = write!(
                text,
                "                  field{field}:
                    description: |-
                      Field {field} of part {part} says how the operator treats this part of the thing,
                      and for how long.
                      More info: https://example.com/docs/things#part-{part}
                    type: string
                    pattern: ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$
                    maxLength: 253
                    x-kubernetes-validations:
                    - message: a field cannot be changed once it is set
                      rule: self == oldSelf
"
            );
        }
        text.push_str("                  enabled:\n                    default: true\n                    type: boolean\n");
        text.push_str("                required: [\"field0\", \"enabled\"]\n");
    }
    text
}
