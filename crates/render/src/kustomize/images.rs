//! `images`: changes the name, tag and digest of container images.

use regex::Regex;
use serde_json::Value;

use super::fieldspec::{Create, Field};
use super::file::{FieldSpec, Image};
use super::pattern;
use super::resmap::ResMap;
use crate::error::{Fault, Result};

/// Changes one image wherever it occurs.
#[derive(Debug, Clone)]
pub(crate) struct SetImage {
    image: Image,
    /// An error if the name is no regular expression.
    name: Result<Regex, Fault>,
    specs: Vec<FieldSpec>,
}

impl SetImage {
    /// Reads the name, which is a regular expression. A mistake in it is reported when it is first compared
    /// with an image.
    pub(crate) fn new(image: Image, specs: Vec<FieldSpec>) -> Self {
        let (tag, digest) = ("(:[a-zA-Z0-9_.{}-]*)?", "(@sha256:[a-zA-Z0-9_.{}-]*)?");
        let name = pattern::compile_within("^", &image.name, &format!("{tag}{digest}$"));
        Self { name: name.map_err(|fault| fault.in_field("images.name")), image, specs }
    }

    /// Changes every resource but custom resource definitions.
    pub(crate) fn run(&self, map: &mut ResMap) -> Result<()> {
        let fields = Field::all(&self.specs);
        for res in map.items_mut() {
            if res.kind() == "CustomResourceDefinition" {
                continue;
            }
            // Containers at any depth come first, then the configured fields.
            if let Err(fault) = self.walk(&mut res.value) {
                return Err(fault.in_field("image").on_object(res.subject()).into());
            }
            res.visit(&fields, Create::Nothing, &mut |field| self.set(field))?;
        }
        Ok(())
    }

    fn walk(&self, value: &mut Value) -> Result<(), Fault> {
        match value {
            Value::Object(map) => map.iter_mut().try_for_each(|(key, value)| {
                self.walk(value)?;
                match value {
                    Value::Array(items) if key == "containers" || key == "initContainers" => {
                        items.iter_mut().try_for_each(|item| self.set_in_container(item))
                    }
                    _ => Ok(()),
                }
            }),
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.walk(item)),
            _ => Ok(()),
        }
    }

    fn set_in_container(&self, container: &mut Value) -> Result<(), Fault> {
        match container {
            Value::Object(map) => map.get_mut("image").map_or(Ok(()), |image| self.set(image)),
            Value::Null => Ok(()),
            other => {
                let found = lockgate_base::model::type_name(other);
                Err(Fault::new(format!("expected a container, found {found}")))
            }
        }
    }

    fn set(&self, field: &mut Value) -> Result<(), Fault> {
        match field {
            Value::Array(_) | Value::Object(_) => {
                let found = lockgate_base::model::type_name(field);
                Err(Fault::new(format!("expected a string, found {found}")))
            }
            scalar => {
                let name = self.name.as_ref().map_err(Fault::clone)?;
                // Kustomize compares a null by its word.
                let old =
                    if scalar.is_null() { "null".into() } else { super::id::text_of(scalar).into_owned() };
                if name.is_match(&old) {
                    *scalar = self.changed(&old).into();
                }
                Ok(())
            }
        }
    }

    fn changed(&self, old: &str) -> String {
        let (name, tag, digest) = split(old);
        let image = &self.image;
        let mut result = if image.new_name.is_empty() { name } else { &image.new_name }.to_owned();
        let (tag, digest) = match (image.new_tag.as_str(), image.digest.as_str()) {
            ("", "") if !image.tag_suffix.is_empty() => (format!("{tag}{}", image.tag_suffix), ""),
            ("", "") => (tag.to_owned(), digest),
            (tag, digest) => (tag.to_owned(), digest),
        };
        if !tag.is_empty() {
            result = format!("{result}:{tag}");
        }
        if !digest.is_empty() {
            result = format!("{result}@{digest}");
        }
        result
    }
}

/// Splits an image into name, tag and digest. A colon before the first slash belongs to the registry's port.
fn split(image: &str) -> (&str, &str, &str) {
    let start = image.find('/').unwrap_or(0);
    let at = image[start..].find('@').map(|at| at + start);
    let colon = image[start..].find(':').map(|at| at + start);
    match (at, colon) {
        (None, None) => (image, "", ""),
        (Some(at), colon) if colon.is_none_or(|colon| at < colon) => (&image[..at], "", &image[at + 1..]),
        (Some(at), Some(colon)) => (&image[..colon], &image[colon + 1..at], &image[at + 1..]),
        (_, Some(colon)) => (&image[..colon], &image[colon + 1..], ""),
        (Some(at), None) => (&image[..at], "", &image[at + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_split_into_name_tag_and_digest() {
        for (image, parts) in [
            ("nginx", ("nginx", "", "")),
            ("nginx:1", ("nginx", "1", "")),
            ("my.io:5000/nginx", ("my.io:5000/nginx", "", "")),
            ("my.io:5000/nginx:1@sha256:ab", ("my.io:5000/nginx", "1", "sha256:ab")),
            ("nginx@sha256:ab", ("nginx", "", "sha256:ab")),
        ] {
            assert_eq!(split(image), parts, "{image}");
        }
    }

    #[test]
    fn tag_and_digest_replace_each_other() {
        let cases = [
            (("2", "", ""), "n:2"),
            (("", "sha256:cd", ""), "n@sha256:cd"),
            (("2", "sha256:cd", ""), "n:2@sha256:cd"),
            (("", "", "-x"), "n:1-x"),
            (("", "", ""), "n:1@sha256:ab"),
        ];
        for ((new_tag, digest, suffix), expected) in cases {
            let image = Image {
                name: "n".into(),
                new_tag: new_tag.into(),
                digest: digest.into(),
                tag_suffix: suffix.into(),
                ..Image::default()
            };
            let set = SetImage::new(image, Vec::new());
            assert_eq!(set.changed("n:1@sha256:ab"), expected);
        }
    }
}
