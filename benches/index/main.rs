//! `make bench`: what it costs to read the index of a large Helm repository, beside Helm's own library on the
//! same file in the same run.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use harness::{Cost, measured};
use lockgate_base::index::ChartIndex;

/// How often each reads the index; the median counts.
const RUNS: usize = 3;
/// The charts of the index, and the versions of each.
const CHARTS: usize = 2000;
const VERSIONS: usize = 100;
/// The most of the library's processor time and of its memory that lockgate may take, and the most memory.
const CPU: f64 = 1.0 / 3.0;
const MEMORY: f64 = 1.0 / 5.0;
const PEAK: f64 = 96.0;
/// Names the index to a run of this program that does nothing but read it.
const READ: &str = "READ_INDEX";

fn main() -> anyhow::Result<()> {
    if let Some(path) = std::env::var_os(READ) {
        return read(Path::new(&path));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("index.yaml");
    write(&path)?;
    let size = fs::metadata(&path)?.len() >> 20;
    let library = harness::oracle("index")?;
    let outputs = ["helm", "lockgate"].map(|name| folder.path().join(name));
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    // By turns, so that what else the machine does hits both.
    for _ in 0..RUNS {
        theirs.push(measured(Command::new(&library).arg(&path), File::create(&outputs[0])?)?);
        let mut command = Command::new(std::env::current_exe()?);
        ours.push(measured(command.env(READ, &path), File::create(&outputs[1])?)?);
    }
    // Speed counts only where the result is right.
    let read = outputs.map(|path| fs::read_to_string(path).unwrap_or_default());
    anyhow::ensure!(read[0] == read[1], "Helm's library finds {}, lockgate {}", read[0], read[1]);
    let (theirs, ours) = (Cost::median(theirs)?, Cost::median(ours)?);
    let cpu = ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64();
    let memory = ours.mib() / theirs.mib();
    println!(
        "{:<26} {:>9} {:>10} {:>14} {:>9} {:>9} {:>13} {:>9}",
        "index", "MiB", "helm cpu s", "lockgate cpu s", "of helm's", "helm MiB", "lockgate MiB", "of helm's"
    );
    println!(
        "{:<26} {size:>9} {:>10.2} {:>14.2} {cpu:>9.2} {:>9.1} {:>13.1} {memory:>9.2}",
        format!("{} versions", CHARTS * VERSIONS),
        theirs.cpu.as_secs_f64(),
        ours.cpu.as_secs_f64(),
        theirs.mib(),
        ours.mib(),
    );
    anyhow::ensure!(
        cpu <= CPU && memory <= MEMORY && ours.mib() <= PEAK,
        "{cpu:.2} of the processor time, {memory:.2} of the memory and {:.0} MiB are more than {CPU:.2}, {MEMORY:.2} and \
         {PEAK:.0} MiB",
        ours.mib()
    );
    Ok(())
}

/// Reads an index as the agent does, and prints how many charts and versions of them it has.
fn read(path: &Path) -> anyhow::Result<()> {
    let index = ChartIndex::read(File::open(path)?)?;
    println!("{} {}", index.len(), index.offers());
    Ok(())
}

/// Writes an index whose entries say what those of large repositories say.
fn write(path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"apiVersion: v1\nentries:\n")?;
    for chart in 0..CHARTS {
        writeln!(file, "  application-{chart:04}:")?;
        for version in 0..VERSIONS {
            let digest = format!("{:064x}", chart * VERSIONS + version);
            write!(
                file,
                "  - apiVersion: v2\n    appVersion: 1.{version}.0\n    created: \"2026-01-01T00:00:00.{version:09}Z\"\n    \
                 description: An application of a platform\n    digest: {digest}\n    name: application-{chart:04}\n    urls:\n    \
                 - https://charts.example.com/application-{chart:04}-1.{version}.0.tgz\n    version: 1.{version}.0\n"
            )?;
        }
    }
    Ok(file.flush()?)
}
