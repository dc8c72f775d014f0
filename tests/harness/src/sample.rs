//! The sample platform of the repository, `kubernetes/`, and its charts as a repository of charts offers
//! them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::charts::{ChartServer, packed};
use crate::git::Change;

/// The charts that the platform releases.
pub const CHARTS: [&str; 2] = ["issuer", "dashboard"];
/// The regions of the platform.
const REGIONS: [&str; 2] = ["eu-west9", "us-east1"];
/// How a chart names another one beside it.
const BESIDE: &str = "repository: file://../";

/// A chart of the platform, packed as `helm package` does, with those that it depends on in it.
#[derive(Debug)]
pub struct SampleChart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    files: Vec<(String, String)>,
}

impl SampleChart {
    /// Reads a chart of the platform.
    pub fn read(name: &str) -> anyhow::Result<Self> {
        let folder = folder().join("charts").join(name);
        let mut files = Vec::new();
        add(&folder, "", &mut files)?;
        let (_, metadata) = files.iter().find(|(path, _)| path == "Chart.yaml").context("no Chart.yaml")?;
        let field = |name: &str| metadata.lines().find_map(|line| line.trim().strip_prefix(name));
        let version = field("version: ").context("a chart without a version")?.to_owned();
        if let Some(beside) = field(BESIDE).map(ToOwned::to_owned) {
            add(&folder.with_file_name(&beside), &format!("charts/{beside}/"), &mut files)?;
        }
        Ok(Self { name: name.to_owned(), version, files })
    }

    /// This chart as its next version.
    pub fn raised_to(mut self, version: &str) -> anyhow::Result<Self> {
        let before = format!("\nversion: {}\n", self.version);
        let metadata = self.files.iter_mut().find(|(path, _)| path == "Chart.yaml");
        let (_, text) = metadata.context("no Chart.yaml")?;
        ensure!(text.contains(&before), "Chart.yaml does not have the version {}", self.version);
        *text = text.replace(&before, &format!("\nversion: {version}\n"));
        version.clone_into(&mut self.version);
        Ok(self)
    }

    fn files(&self) -> Vec<(&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
    }

    /// Its archive.
    pub fn archive(&self) -> anyhow::Result<Vec<u8>> {
        packed(&self.name, &self.version, &self.files())
    }

    /// Offers it in a repository.
    pub fn publish(&self, server: &ChartServer) -> anyhow::Result<()> {
        server.publish(&self.name, &self.version, &self.files())
    }
}

/// The folder of the platform.
pub fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).join("kubernetes")
}

/// The platform as a commit adds it, with its charts at an address.
pub fn platform(charts: &str) -> anyhow::Result<Vec<Change>> {
    let mut changes = vec![Change::Directory("kubernetes".into(), folder())];
    for region in REGIONS {
        let path = format!("production/{region}/flux-system/cluster-variables.yaml");
        let text = fs::read_to_string(folder().join(&path))?;
        let line =
            text.lines().find(|line| line.starts_with("  charts: ")).context("no variable 'charts'")?;
        let text = text.replace(line, &format!("  charts: {charts}"));
        changes.push(Change::file(format!("kubernetes/{path}"), text));
    }
    Ok(changes)
}

/// Starts a repository that offers the charts of the platform, on a loopback port, or on this one.
pub fn chart_server(port: Option<u16>) -> anyhow::Result<ChartServer> {
    let server = ChartServer::start_on(crate::ChartServerOptions::default(), port)?;
    for name in CHARTS {
        SampleChart::read(name)?.publish(&server)?;
    }
    Ok(server)
}

/// Adds the files of a folder.
fn add(folder: &Path, below: &str, files: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut entries: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    entries.sort_unstable();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).context("a name that is no text")?;
        if path.is_dir() {
            add(&path, &format!("{below}{name}/"), files)?;
        } else {
            files.push((format!("{below}{name}"), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}
