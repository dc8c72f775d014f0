//! The flags that fit the agent's pod to a cluster.

use std::path::{Path, PathBuf};

use clap::Args;

use super::names::object_name;
use super::output::CommandError;
use crate::bootstrap::pod::{self, PodSettings, RegistryLogin};
use lockgate_git::check_certificates;

/// Separates the values of a flag that is given several times, in its remembered form.
pub(super) const SEPARATOR: char = '\n';

/// The settings of the agent's pod.
#[derive(Args, Clone)]
pub(super) struct PodArguments {
    /// The Secret for pulling the image; =FILE creates it from a file such as ~/.docker/config.json. May be
    /// given several times
    #[arg(long, value_name = "NAME[=FILE]", value_parser = login, value_delimiter = SEPARATOR)]
    image_pull_secret: Vec<String>,
    /// A taint that the pod tolerates, as KEY[=VALUE][:EFFECT]; `*` tolerates all. May be given several
    /// times; `none` removes the remembered values, as for the other flags
    #[arg(long, value_name = "TAINT", value_parser = toleration, value_delimiter = SEPARATOR)]
    toleration: Vec<String>,
    /// A label that the pod's node must have. May be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, value_delimiter = SEPARATOR)]
    node_selector: Vec<String>,
    /// The CPU request of the pod, such as 50m
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    cpu_request: Option<String>,
    /// The memory request of the pod, such as 32Mi, the least with which it runs well
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    memory_request: Option<String>,
    /// The CPU limit of the pod; no limit by default
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    cpu_limit: Option<String>,
    /// The memory limit of the pod; 256Mi by default
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    memory_limit: Option<String>,
    /// An environment variable of the agent, such as HTTPS_PROXY=http://proxy:3128. May be given several
    /// times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, value_delimiter = SEPARATOR)]
    env: Vec<String>,
    /// A file of certificate authorities (PEM) that the agent trusts on https in addition to Mozilla's, also
    /// for the repository's host
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl PodArguments {
    /// The file of certificate authorities, if one is given.
    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The settings, with the content of the files that they name.
    pub(super) fn settings(&self) -> Result<PodSettings, CommandError> {
        let logins = pod::listed(&self.image_pull_secret).map(read_login).collect::<Result<_, _>>()?;
        let authorities = self.ca_file.as_ref().map(|path| {
            let text = read("--ca-file", path)?;
            let wrong = |problem| CommandError::usage(format!("--ca-file {}: it {problem}", path.display()));
            check_certificates(text.as_bytes()).map(|()| text).map_err(wrong)
        });
        Ok(PodSettings::default()
            .with_authorities(authorities.transpose()?)
            .with_logins(logins)
            .with_tolerations(&self.toleration)
            .with_nodes(&self.node_selector)
            .with_variables(&self.env)
            .with_resource("requests", "cpu", self.cpu_request.clone())
            .with_resource("requests", "memory", self.memory_request.clone())
            .with_resource("limits", "cpu", self.cpu_limit.clone())
            .with_resource("limits", "memory", self.memory_limit.clone()))
    }
}

fn read(flag: &str, path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path)
        .map_err(|error| CommandError::usage(format!("{flag} {}: {error}", path.display())))
}

fn read_login(text: &str) -> Result<RegistryLogin, CommandError> {
    let Some((name, path)) = text.split_once('=') else {
        return Ok(RegistryLogin { name: text.into(), file: None });
    };
    let file = read("--image-pull-secret", Path::new(path))?;
    let wrong = |problem| CommandError::usage(format!("--image-pull-secret {path}: {problem}"));
    pod::logins(&file).map_err(wrong)?;
    Ok(RegistryLogin { name: name.into(), file: Some(file) })
}

fn login(text: &str) -> Result<String, String> {
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    object_name(name).map(|_| text.to_owned())
}

fn toleration(text: &str) -> Result<String, String> {
    if !pod::is_none(text) {
        pod::toleration(text)?;
    }
    Ok(text.to_owned())
}

fn label(text: &str) -> Result<String, String> {
    let is_label = text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    let told = || format!("'{text}' is no label: write KEY=VALUE");
    (is_label || pod::is_none(text)).then(|| text.to_owned()).ok_or_else(told)
}

fn variable(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        name.chars().all(is_part) && name.chars().next().is_some_and(|first| !first.is_ascii_digit())
    };
    let is_variable = text.split_once('=').is_some_and(|(name, _)| is_name(name));
    let told = || format!("'{text}' is no variable: write NAME=VALUE");
    (is_variable || pod::is_none(text)).then(|| text.to_owned()).ok_or_else(told)
}

/// Checks a Kubernetes quantity.
fn quantity(text: &str) -> Result<String, String> {
    const SUFFIXES: [&str; 14] = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_number = number.parse::<f64>().is_ok_and(|number| number > 0.0 && number.is_finite());
    let is_quantity = is_number && SUFFIXES.contains(&&text[number.len()..]);
    let told = || format!("'{text}' is no quantity: write one such as 50m, 32Mi or 1Gi");
    is_quantity.then(|| text.to_owned()).ok_or_else(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_quantity_label_or_variable_is_refused() {
        for (text, is_quantity) in [
            ("50m", true),
            ("32Mi", true),
            ("0.5", true),
            ("1e", false),
            ("-1", false),
            ("32MB", false),
            ("", false),
            ("0", false),
        ] {
            assert_eq!(quantity(text).is_ok(), is_quantity, "{text}");
        }
        for (text, is_label, is_variable) in [
            ("a=b", true, true),
            ("kubernetes.io/arch=arm64", true, false),
            ("NO_PROXY=a,b=c", true, true),
            ("1A=b", true, false),
            ("a", false, false),
            ("=b", false, false),
            ("none", true, true),
        ] {
            assert_eq!((label(text).is_ok(), variable(text).is_ok()), (is_label, is_variable), "{text}");
        }
    }

    #[test]
    fn a_file_that_holds_no_login_or_certificate_is_refused_before_anything_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "{}").unwrap();
        let name = format!("r={}", path.display());
        let none = PodArguments {
            image_pull_secret: Vec::new(),
            toleration: Vec::new(),
            node_selector: Vec::new(),
            cpu_request: None,
            memory_request: None,
            cpu_limit: None,
            memory_limit: None,
            env: Vec::new(),
            ca_file: None,
        };
        assert_eq!(none.settings().ok(), Some(PodSettings::default()));
        let wrong = [
            (PodArguments { image_pull_secret: vec![name], ..none.clone() }, "no login below 'auths'"),
            (PodArguments { ca_file: Some(path.clone()), ..none.clone() }, "holds no certificate"),
            (PodArguments { ca_file: Some(folder.path().join("gone")), ..none }, "No such file"),
        ];
        for (arguments, told) in wrong {
            let error = arguments.settings().err().unwrap().told();
            assert!(error.contains(told), "{error}");
        }
    }
}
