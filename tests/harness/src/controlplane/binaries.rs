//! Where the control plane's programs are: built by `tests/controlplane/build.sh`, or those of
//! KUBEBUILDER_ASSETS.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::process::built_by;

/// The directory of programs, and the one that etcd and kube-apiserver may come from instead.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    built: PathBuf,
    assets: Option<PathBuf>,
}

impl Binaries {
    /// Finds the programs; the first call on a machine builds them, which takes minutes.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS")
            .map(PathBuf::from)
            .filter(|dir| dir.join("kube-apiserver").exists() && dir.join("etcd").exists());
        Ok(Self { built: built_by("controlplane/build.sh")?, assets })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        match &self.assets {
            Some(assets) if matches!(name, "etcd" | "kube-apiserver") => assets.join(name),
            _ => self.built.join(name),
        }
    }

    /// kwok's stages, in one file, changed so that pods with our annotation are left alone, and ours.
    pub(crate) fn stages(&self) -> anyhow::Result<String> {
        let mut all = include_str!("stages.yaml").to_owned();
        for name in ["node-initialize", "node-heartbeat", "pod-ready", "pod-complete", "pod-delete"] {
            let path = self.built.join("stages").join(name).with_extension("yaml");
            let stage = std::fs::read_to_string(&path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            let stage = if name == "pod-ready" { except_marked(&stage)? } else { stage };
            all.push_str("\n---\n");
            all.push_str(&stage);
        }
        Ok(all)
    }
}

/// The path of a program that the control plane's build makes, such as `kustomize`.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    Ok(Binaries::find()?.program(name))
}

fn except_marked(stage: &str) -> anyhow::Result<String> {
    const AT: &str = "    matchExpressions:\n";
    const MARK: &str =
        "    - key: '.metadata.annotations[\"harness/pod\"]'\n      operator: 'DoesNotExist'\n";
    anyhow::ensure!(stage.matches(AT).count() == 1, "kwok's pod-ready stage has another shape");
    Ok(stage.replace(AT, &format!("{AT}{MARK}")))
}
