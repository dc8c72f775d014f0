//! `make bench`: the cost of rendering a chart, beside the real helm on the same charts in the same run.

mod workload;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use harness::{Cost, measured};

use workload::Workload;

/// How often each program renders a chart; the median counts.
const RUNS: usize = 5;

/// The costs of two programs for the same chart.
struct Comparison {
    title: &'static str,
    templates: usize,
    /// The largest allowed share of helm's processor time and memory.
    most: f64,
    helm: Cost,
    lockgate: Cost,
}

fn main() -> anyhow::Result<()> {
    let helm = harness::oracle("helm-cli")?;
    let third = 1.0 / 3.0;
    let mut compared = Vec::new();
    for (workload, most) in [
        (Workload::plain(), third),
        (Workload::platform("30 templates", 30, 2), third),
        (Workload::platform("150 templates", 150, 4), 0.5),
    ] {
        eprintln!("{}", workload.title);
        let title = workload.title;
        compared.push(compare(&helm, &workload, most).context(title)?);
    }
    println!(
        "{:<16} {:>9} {:>10} {:>14} {:>9} {:>9} {:>13} {:>9}",
        "build --chart",
        "templates",
        "helm cpu s",
        "lockgate cpu s",
        "of helm's",
        "helm MiB",
        "lockgate MiB",
        "of helm's"
    );
    for comparison in &compared {
        println!("{}", comparison.row());
    }
    for comparison in &compared {
        let (cpu, memory) = comparison.shares();
        let (title, most) = (comparison.title, comparison.most);
        anyhow::ensure!(
            cpu <= most && memory <= most,
            "{title}: {cpu:.2} of helm's processor time and {memory:.2} of its memory are more than {most:.2}"
        );
    }
    Ok(())
}

impl Comparison {
    /// The shares of helm's processor time and memory that lockgate took.
    fn shares(&self) -> (f64, f64) {
        let cpu = self.lockgate.cpu.as_secs_f64() / self.helm.cpu.as_secs_f64();
        (cpu, self.lockgate.mib() / self.helm.mib())
    }

    fn row(&self) -> String {
        let (cpu, memory) = self.shares();
        format!(
            "{:<16} {:>9} {:>10.3} {:>14.3} {:>9.2} {:>9.1} {:>13.1} {:>9.2}",
            self.title,
            self.templates,
            self.helm.cpu.as_secs_f64(),
            self.lockgate.cpu.as_secs_f64(),
            cpu,
            self.helm.mib(),
            self.lockgate.mib(),
            memory
        )
    }
}

fn compare(helm: &Path, workload: &Workload, most: f64) -> anyhow::Result<Comparison> {
    let folder = tempfile::tempdir()?;
    let chart = folder.path().join("chart");
    for (path, content) in &workload.files {
        let path = chart.join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(path, content)?;
    }
    let outputs = ["helm", "lockgate"].map(|name| folder.path().join(name));
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    // The programs take turns, so that other work on the machine hits both.
    for _ in 0..RUNS {
        let mut command = Command::new(helm);
        command.arg("template").arg("release").arg(&chart).env("HOME", folder.path());
        theirs.push(measured(&mut command, File::create(&outputs[0])?)?);
        let mut command = Command::new(binary());
        command.args(["build", "--helm-output", "--release", "release", "--chart"]).arg(&chart);
        ours.push(measured(&mut command, File::create(&outputs[1])?)?);
    }
    // Speed counts only if the result is right.
    let [helm_output, output] = outputs;
    anyhow::ensure!(fs::read(helm_output)? == fs::read(output)?, "the two programs print different texts");
    let (helm, lockgate) = (Cost::median(theirs)?, Cost::median(ours)?);
    Ok(Comparison { title: workload.title, templates: workload.templates, most, helm, lockgate })
}

/// The binary that `make bench` built statically for release, or cargo's own of this profile.
fn binary() -> PathBuf {
    std::env::var_os("LOCKGATE").map_or_else(|| env!("CARGO_BIN_EXE_lockgate").into(), PathBuf::from)
}
