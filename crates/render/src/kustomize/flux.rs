//! Flux's additions: a kustomization file if the folder has none, and the fields of the Kustomization object
//! on top of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::build::BuildShared;
use super::decode::{Strictness, decode, record};
use super::file::{FILE_NAMES, Image, Kustomization, Patch, Selector};
use super::load::{Loader, shown};
use super::target::Target;
use crate::error::{Fault, RenderError, Result};
use lockgate_base::tree::{self, Resolved};

/// The deepest level of folders that is searched.
const WALK_LIMIT: usize = 200;

record! {
    /// A patch of the Kustomization object.
    pub OverlayPatch {
        /// The patch.
        patch: String = "patch",
        /// The objects it is for.
        target: Option<Selector> = "target",
    }
}

record! {
    /// A JSON patch of a Kustomization object before v1.
    pub OverlayJson6902 {
        /// The operations.
        patch: Value = "patch",
        /// The objects it is for.
        target: Selector = "target",
    }
}

record! {
    /// The fields of a Kustomization object that shape its build, read from its `spec`.
    pub Overlay {
        /// Replaces the namespace in the file.
        target_namespace: Option<String> = "targetNamespace",
        /// Replaces the prefix in the file.
        name_prefix: Option<String> = "namePrefix",
        /// Replaces the suffix in the file.
        name_suffix: Option<String> = "nameSuffix",
        /// Patches that are applied after those in the file.
        patches: Vec<OverlayPatch> = "patches",
        /// Strategic merge patches that are applied after those in the file.
        patches_strategic_merge: Vec<Value> = "patchesStrategicMerge",
        /// JSON patches that are applied after those in the file.
        patches_json6902: Vec<OverlayJson6902> = "patchesJson6902",
        /// Images, merged by name with those in the file.
        images: Vec<Image> = "images",
        /// Components that come after those in the file.
        components: Vec<String> = "components",
        /// Whether missing components are left out.
        ignore_missing_components: bool = "ignoreMissingComponents",
        /// Replaces the build metadata in the file.
        build_metadata: Vec<String> = "buildMetadata",
    }
}

impl Overlay {
    /// Reads the `spec` of a Kustomization object; fields without an effect on the build are ignored.
    pub fn from_spec(spec: &Value) -> Result<Self> {
        decode(spec.clone(), Strictness::Lenient)
            .map_err(|faults| RenderError::of(faults).unwrap_or_else(|| Fault::new("unreadable").into()))
            .map_err(|error| error.in_field("spec"))
    }
}

/// Loads the kustomization of the built folder as Flux does.
pub(crate) fn load<'t, 'b>(
    build: &'b BuildShared<'b>,
    loader: Loader<'t>,
    overlay: &Overlay,
) -> Result<Target<'t, 'b>> {
    let (file, mut kustomization) = match loader.kustomization()? {
        Some((file, text)) => {
            let mut kustomization = Kustomization::parse_lenient(&text, &file, loader.budget())?;
            if kustomization.resources.is_empty() {
                // Flux sets this so that the file does not count as empty; it shows in the result.
                kustomization.build_metadata = vec!["originAnnotations".into()];
            }
            (file, kustomization)
        }
        None => (tree::join(loader.root(), FILE_NAMES[0]), generate(&loader)?),
    };
    lay_over(&mut kustomization, overlay, &loader)?;
    for warning in kustomization.deprecations(&file) {
        build.warn(warning);
    }
    kustomization.fix();
    let (api_version, kind) = (kustomization.api_version.clone(), kustomization.kind.clone());
    if kustomization == (Kustomization { api_version, kind, ..Kustomization::default() }) {
        return Err(Fault::new("the kustomization is empty: it names no field besides apiVersion and kind")
            .in_file(&file)
            .into());
    }
    kustomization.enforce(&file)?;
    Ok(Target { build, loader, kustomization, file, origin: None })
}

/// A kustomization of all files below a folder. A subfolder with its own kustomization is one resource.
fn generate(loader: &Loader<'_>) -> Result<Kustomization> {
    let mut resources = Vec::new();
    walk(loader, "", 0, &mut resources)?;
    drop_twins(loader, &mut resources);
    let mut kustomization = Kustomization { resources, ..Kustomization::default() };
    if kustomization.resources.is_empty() {
        kustomization.namespace = "_placeholder".into();
    }
    Ok(kustomization)
}

fn walk(loader: &Loader<'_>, folder: &str, depth: usize, resources: &mut Vec<String>) -> Result<()> {
    let at = tree::resolve(loader.root(), folder).map_err(|error| Fault::new(error.to_string()))?;
    if depth > WALK_LIMIT {
        let message = format!("folders are more than {WALK_LIMIT} deep");
        return Err(Fault::new(message).in_file(shown(loader.root())).into());
    }
    let mut names = loader.reader().list(&at).map_err(|error| Fault::new(error.to_string()))?;
    names.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, node) in names {
        let path = tree::join(folder, &name);
        match node {
            Resolved::File if is_yaml(&name) => resources.push(path),
            Resolved::File => {}
            Resolved::Directory => {
                let inside = tree::join(&at, &name);
                let is_link = loader.reader().canonical(&inside).is_ok_and(|real| real != inside);
                let is_kustomization = |name: &&str| {
                    matches!(loader.reader().node(&tree::join(&inside, name)), Ok(Some(Resolved::File)))
                };
                if is_link {
                    // A walk does not follow links to folders.
                } else if FILE_NAMES.iter().any(is_kustomization) {
                    resources.push(path);
                } else {
                    walk(loader, &path, depth + 1, resources)?;
                }
            }
        }
    }
    Ok(())
}

/// Of several paths to one file, this keeps the one without symbolic links, or else the first. Flux ignores
/// links in a built folder, so a file with a link beside it is applied once.
fn drop_twins(loader: &Loader<'_>, resources: &mut Vec<String>) {
    let mut kept = BTreeMap::new();
    for path in &*resources {
        let at = tree::join(loader.root(), path);
        // A path that leads nowhere, or out of the tree, is reported when it is read.
        let real = loader.reader().canonical(&at).unwrap_or_else(|_| at.clone());
        if real == at || !kept.contains_key(&real) {
            kept.insert(real, path.clone());
        }
    }
    let kept: BTreeSet<String> = kept.into_values().collect();
    resources.retain(|path| kept.contains(path));
}

/// Whether Flux takes a file for YAML: the extension must be in lower case.
fn is_yaml(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml")))
}

fn lay_over(kustomization: &mut Kustomization, overlay: &Overlay, loader: &Loader<'_>) -> Result<()> {
    let texts = [
        (&overlay.target_namespace, &mut kustomization.namespace),
        (&overlay.name_prefix, &mut kustomization.name_prefix),
        (&overlay.name_suffix, &mut kustomization.name_suffix),
    ];
    for (wanted, field) in texts {
        if let Some(wanted) = wanted {
            field.clone_from(wanted);
        }
    }
    for patch in &overlay.patches {
        let (content, target) = (patch.patch.clone(), patch.target.clone());
        kustomization.patches.push(Patch { content, target, ..Patch::default() });
    }
    for (index, component) in overlay.components.iter().enumerate() {
        if !is_local(component) {
            let message = format!("component path '{component}' must be local and relative");
            return Err(Fault::new(message).in_field(format!("spec.components[{index}]")).into());
        }
        if !overlay.ignore_missing_components || loader.exists(component) {
            kustomization.components.push(component.clone());
        }
    }
    if !overlay.patches_strategic_merge.is_empty() {
        let patches = kustomization.patches_strategic_merge.get_or_insert_default();
        patches.extend(overlay.patches_strategic_merge.iter().map(ToString::to_string));
    }
    if !overlay.patches_json6902.is_empty() {
        let patches = kustomization.patches_json6902.get_or_insert_default();
        patches.extend(overlay.patches_json6902.iter().map(|json| Patch {
            content: json.patch.to_string(),
            target: Some(json.target.clone()),
            ..Patch::default()
        }));
    }
    for image in &overlay.images {
        lay_image(&mut kustomization.images, image);
    }
    if !overlay.build_metadata.is_empty() {
        kustomization.build_metadata.clone_from(&overlay.build_metadata);
    }
    Ok(())
}

/// Tag and digest exclude each other: setting either drops an existing other one.
fn lay_image(images: &mut Vec<Image>, image: &Image) {
    match images.iter_mut().find(|there| there.name == image.name) {
        Some(there) => {
            if !image.new_name.is_empty() {
                there.new_name.clone_from(&image.new_name);
            }
            if !image.new_tag.is_empty() || !image.digest.is_empty() {
                there.new_tag.clone_from(&image.new_tag);
                there.digest.clone_from(&image.digest);
            }
        }
        None => images.push(image.clone()),
    }
}

fn is_local(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let schemes = ["git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/"];
    let is_remote = schemes.iter().any(|scheme| lower.starts_with(scheme) && scheme.len() < path.len());
    !is_remote && !path.starts_with('/') && !lower.strip_prefix("file://").unwrap_or(&lower).starts_with('/')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_of_the_object_is_merged_by_name() {
        let image = |name: &str, new_name: &str, tag: &str, digest: &str| Image {
            name: name.into(),
            new_name: new_name.into(),
            new_tag: tag.into(),
            digest: digest.into(),
            ..Image::default()
        };
        let mut images = vec![image("a", "x/a", "1", "sha256:1")];
        lay_image(&mut images, &image("a", "", "2", ""));
        lay_image(&mut images, &image("b", "x/b", "", ""));
        assert_eq!(images, [image("a", "x/a", "2", ""), image("b", "x/b", "", "")]);
    }

    #[test]
    fn a_spec_is_read_and_its_mistakes_are_named() {
        let overlay = Overlay::from_spec(&json!({"interval": "1m", "targetNamespace": "a"})).unwrap();
        assert_eq!(overlay.target_namespace.as_deref(), Some("a"));
        let error = Overlay::from_spec(&json!({"images": [{"name": {}}]})).unwrap_err();
        assert_eq!(error.to_string(), "spec.images[0].name: expected a string, found a mapping");
    }

    #[test]
    fn components_are_local() {
        for path in ["https://x/y", "github.com/a/b", "/a", "file:///a"] {
            assert!(!is_local(path), "{path}");
        }
        for path in ["../components/a", "a"] {
            assert!(is_local(path), "{path}");
        }
    }
}
