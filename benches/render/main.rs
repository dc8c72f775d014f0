//! `make bench`: what rendering costs, beside the real kustomize on the same folders in the same run.
//!
//! The largest folder takes kustomize minutes; `BENCH_QUICK=1` leaves kustomize out there.

mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harness::Cost;
use lockgate::model::yaml::{Dialect, documents};
use lockgate::render::kustomize::{Flavour, Overlay, Recipe, build};
use lockgate::tree::Tree;

use workload::Workload;

/// How often something is run; the median counts.
#[derive(Clone, Copy)]
struct Runs {
    kustomize: usize,
    lockgate: usize,
}

/// What two programs cost on the same folder.
struct Comparison {
    kustomize: Option<Cost>,
    lockgate: Cost,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` and `cargo test --benches` hand over arguments that mean nothing here.
    let kustomize = harness::program("kustomize")?;
    let quick = std::env::var_os("BENCH_QUICK").is_some_and(|value| !value.is_empty());
    println!(
        "{:<16} {:>6} {:>8} {:>12} {:>12} {:>9} {:>14} {:>14} {:>9}",
        "lockgate build",
        "docs",
        "KB in",
        "kustomize s",
        "lockgate s",
        "x faster",
        "kustomize MiB",
        "lockgate MiB",
        "x smaller"
    );
    let few = Workload::resources("1,000 resources", 1_000);
    let many = Workload::resources("5,000 resources", 5_000);
    let runs = |kustomize, lockgate| Runs { kustomize, lockgate };
    report(&kustomize, &Workload::overlay(), runs(21, 21))?;
    report(&kustomize, &Workload::crds(), runs(5, 11))?;
    let few = report(&kustomize, &few, runs(3, 11))?;
    let many = report(&kustomize, &many, runs(usize::from(!quick), 5))?;
    println!(
        "5,000 resources take {:.1} times what 1,000 take",
        many.lockgate.wall.as_secs_f64() / few.lockgate.wall.as_secs_f64()
    );
    println!("a library call on 10 objects takes {} us", library_call()?.as_micros());
    Ok(())
}

/// Runs both programs on a folder, checks that they agree, and prints what they cost.
fn report(kustomize: &Path, workload: &Workload, runs: Runs) -> anyhow::Result<Comparison> {
    eprintln!("{}", workload.title);
    let compared = compare(kustomize, workload, runs).with_context(|| workload.title)?;
    let mib = |cost: &Cost| mib(cost.peak_kib);
    let seconds = |cost: &Cost| cost.wall.as_secs_f64();
    let ours = &compared.lockgate;
    let theirs = compared.kustomize.as_ref();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    println!(
        "{:<16} {:>6} {:>8} {:>12} {:>12.4} {:>9} {:>14} {:>14.1} {:>9}",
        workload.title,
        workload.documents,
        workload.size() / 1000,
        or_none(theirs.map(|cost| format!("{:.4}", seconds(cost)))),
        seconds(ours),
        or_none(theirs.map(|cost| format!("{:.1}", seconds(cost) / seconds(ours)))),
        or_none(theirs.map(|cost| format!("{:.1}", mib(cost)))),
        mib(ours),
        or_none(theirs.map(|cost| format!("{:.1}", mib(cost) / mib(ours)))),
    );
    Ok(compared)
}

fn compare(kustomize: &Path, workload: &Workload, runs: Runs) -> anyhow::Result<Comparison> {
    let folder = tempfile::tempdir()?;
    for (path, content) in &workload.files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(path, content)?;
    }
    let target = folder.path().join(workload.target);
    let mut theirs = Command::new(kustomize);
    theirs.arg("build").arg(&target);
    let mut ours = Command::new(binary());
    ours.arg("build").arg("--root").arg(folder.path()).arg(&target);
    // By turns, so that what else the machine does hits both.
    let (mut their_costs, mut our_costs) = (Vec::new(), Vec::new());
    for run in 0..runs.kustomize.max(runs.lockgate) {
        let mut outputs = Vec::new();
        for (command, costs, limit) in
            [(&mut theirs, &mut their_costs, runs.kustomize), (&mut ours, &mut our_costs, runs.lockgate)]
        {
            if run < limit {
                let (output, cost) = harness::measured(command)?;
                costs.push(cost);
                outputs.push(output);
            }
        }
        if run == 0 {
            check(&outputs, workload.documents)?;
        }
    }
    let lockgate = median(our_costs).context("lockgate was not run")?;
    Ok(Comparison { kustomize: median(their_costs), lockgate })
}

/// Speed counts only where the result is right.
fn check(outputs: &[Vec<u8>], expected: usize) -> anyhow::Result<()> {
    let read = |output: &Vec<u8>| -> anyhow::Result<Vec<serde_json::Value>> {
        let found = documents(std::str::from_utf8(output)?, Dialect::V3)?;
        Ok(found.into_iter().map(|document| document.value).collect())
    };
    let mut before = None;
    for output in outputs {
        let values = read(output)?;
        anyhow::ensure!(values.len() == expected, "{} documents, expected {expected}", values.len());
        anyhow::ensure!(before.is_none_or(|before| before == values), "the two programs disagree");
        before = Some(values);
    }
    Ok(())
}

/// The run in the middle by time, with the memory in the middle.
fn median(mut costs: Vec<Cost>) -> Option<Cost> {
    let middle = costs.len() / 2;
    costs.sort_by_key(|cost| cost.peak_kib);
    let peak_kib = costs.get(middle)?.peak_kib;
    costs.sort_by_key(|cost| cost.wall);
    costs.get(middle).map(|cost| Cost { peak_kib, ..*cost })
}

/// How long the agent's own call takes on a small folder.
fn library_call() -> anyhow::Result<Duration> {
    let workload = Workload::small();
    let tree = Tree::in_memory(workload.files);
    let flavour = Flavour::Flux(Box::<Overlay>::default());
    let recipe = Recipe { path: workload.target.into(), flavour };
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let start = Instant::now();
        let output = build(&tree, &recipe)?;
        times.push(start.elapsed());
        anyhow::ensure!(output.objects.len() == workload.documents, "{} objects", output.objects.len());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

#[expect(clippy::cast_precision_loss, reason = "kibibytes of memory fit a float")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The binary that `make bench` built statically for release, or cargo's own of this profile.
fn binary() -> PathBuf {
    std::env::var_os("LOCKGATE").map_or_else(|| env!("CARGO_BIN_EXE_lockgate").into(), PathBuf::from)
}
