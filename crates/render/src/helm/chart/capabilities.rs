//! `.Capabilities`: the features of the cluster and of this helm.

use std::any::Any;

use crate::helm::error::Error;
use crate::helm::value::{Allowance, Args, Signature};
use crate::helm::value::{GoKind, GoObject, List, ListType, Value};

/// The version of helm that charts see.
const HELM_VERSION: &str = "v4.2";
/// The version of Go that charts see: the one that helm 4.2 requires.
const GO_VERSION: &str = "go1.26.0";
/// The version of Kubernetes that helm 4.2 was built for. Charts see it if no other one is given.
const KUBE_VERSION: &str = "v1.36.0";

/// The features of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The cluster's version.
    pub kube: KubeVersion,
    /// Such as `v1` and `apps/v1`; with a cluster also `apps/v1/Deployment`.
    pub api_versions: Vec<String>,
}

/// A version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// The given text, with a `v`.
    pub version: String,
    /// The version without the text behind the third number.
    pub normalized: String,
    /// The first number.
    pub major: String,
    /// The second number.
    pub minor: String,
}

impl Default for Capabilities {
    fn default() -> Self {
        let kube = KubeVersion {
            version: KUBE_VERSION.into(),
            normalized: KUBE_VERSION.into(),
            major: "1".into(),
            minor: "36".into(),
        };
        Self { kube, api_versions: API_VERSIONS.iter().map(|version| (*version).to_owned()).collect() }
    }
}

impl KubeVersion {
    /// Reads a version such as `v1.33.4-gke.1245000`, as helm's `--kube-version`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim_start();
        let trimmed = trimmed.strip_prefix('v').unwrap_or(trimmed);
        if !trimmed.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(format!("could not parse {text:?} as version"));
        }
        // Numbers with dots between them. The text behind the last one is ignored.
        let mut numbers = Vec::new();
        let mut rest = trimmed;
        loop {
            let end = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            if part.len() > 1 && part.starts_with('0') {
                return Err(format!("illegal zero-prefixed version component {part:?} in {text:?}"));
            }
            let number = part.parse::<u64>();
            numbers.push(
                number.map_err(|_| format!("illegal non-numeric version component {part:?} in {text:?}"))?,
            );
            match after.strip_prefix('.') {
                Some(next) if next.starts_with(|next: char| next.is_ascii_digit()) => rest = next,
                _ => break,
            }
        }
        let [major, minor, ..] = numbers[..] else { return Err(format!("illegal version string {text:?}")) };
        let normalized = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let version = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        Ok(Self {
            version,
            normalized: format!("v{normalized}"),
            major: major.to_string(),
            minor: minor.to_string(),
        })
    }
}

impl GoObject for Capabilities {
    fn type_name(&self) -> &'static str {
        "*common.Capabilities"
    }

    fn kind(&self) -> GoKind {
        GoKind::Ptr
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let versions = self.api_versions.iter().map(|version| Value::from(&**version)).collect();
        vec![
            ("KubeVersion", Value::object(Version { version: self.kube.clone(), is_reached: true })),
            ("APIVersions", Value::List(List::new(ListType::VersionSet, versions))),
            ("HelmVersion", Value::object(Build)),
        ]
    }

    fn method(&self, name: &str) -> Option<Signature> {
        (name == "Copy").then_some(Signature { fixed: &[], rest: None })
    }

    fn call(&self, _: &str, _: Args<'_>, _: &mut dyn Allowance) -> Result<Value, Error> {
        Ok(Value::object(self.clone()))
    }

    fn equals(&self, other: &dyn GoObject) -> bool {
        // These are pointers, and there is only one in a render.
        other.as_any().downcast_ref::<Self>().is_some_and(|other| std::ptr::eq(self, other))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `common.KubeVersion`. Its methods belong to the pointer, so a copy in an interface has none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    version: KubeVersion,
    is_reached: bool,
}

impl GoObject for Version {
    fn type_name(&self) -> &'static str {
        "common.KubeVersion"
    }

    fn kind(&self) -> GoKind {
        GoKind::Struct
    }

    fn text(&self) -> Option<Vec<u8>> {
        self.is_reached.then(|| self.version.normalized.clone().into_bytes())
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let KubeVersion { version, major, minor, .. } = &self.version;
        vec![("Version", (&**version).into()), ("Major", (&**major).into()), ("Minor", (&**minor).into())]
    }

    fn shown(&self) -> Vec<(&'static str, Value)> {
        let KubeVersion { version, normalized, major, minor } = &self.version;
        vec![
            ("Version", (&**version).into()),
            ("normalizedVersion", (&**normalized).into()),
            ("Major", (&**major).into()),
            ("Minor", (&**minor).into()),
        ]
    }

    fn method(&self, name: &str) -> Option<Signature> {
        let is_method = self.is_reached && matches!(name, "String" | "GitVersion");
        is_method.then_some(Signature { fixed: &[], rest: None })
    }

    fn call(&self, name: &str, _: Args<'_>, _: &mut dyn Allowance) -> Result<Value, Error> {
        let text = if name == "String" { &self.version.normalized } else { &self.version.version };
        Ok(Value::from(&**text))
    }

    fn equals(&self, other: &dyn GoObject) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.version == other.version)
    }

    fn detached(&self) -> Option<Value> {
        Some(Value::object(Self { version: self.version.clone(), is_reached: false }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `version.BuildInfo` of helm.
#[derive(Debug)]
struct Build;

impl GoObject for Build {
    fn type_name(&self) -> &'static str {
        "version.BuildInfo"
    }

    fn kind(&self) -> GoKind {
        GoKind::Struct
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("Version", HELM_VERSION.into()),
            ("GitCommit", "".into()),
            ("GitTreeState", "".into()),
            ("GoVersion", GO_VERSION.into()),
            ("KubeClientVersion", "v1.36".into()),
        ]
    }

    fn json(&self) -> Option<Value> {
        Some(Value::map([
            ("version", Value::from(HELM_VERSION)),
            ("go_version", GO_VERSION.into()),
            ("kube_client_version", "v1.36".into()),
        ]))
    }

    fn equals(&self, other: &dyn GoObject) -> bool {
        other.as_any().is::<Self>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The API versions that helm 4.2 knows without a cluster: the groups of client-go's scheme, in its order.
const API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];
