//! `make bench`: the cost of a build, beside the real kustomize on the same folders in the same run.
//!
//! Kustomize takes minutes for the largest folder; `BENCH_QUICK=1` leaves kustomize out there. `BEFORE` names
//! another binary of lockgate, such as one built before a change, which takes its turns too.

mod workload;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harness::Cost;
use lockgate_base::tree::Tree;
use lockgate_render::kustomize::{Flavour, KustomizeRecipe, Overlay, build};
use tempfile::TempDir;

use workload::Workload;

/// How often each program runs; the median counts.
#[derive(Clone, Copy)]
struct Runs {
    kustomize: usize,
    lockgate: usize,
}

/// The results and costs of two programs for the same folder.
struct Comparison {
    workload: Workload,
    kustomize: Option<Cost>,
    lockgate: Cost,
    /// The other binary of lockgate.
    before: Option<Cost>,
    /// The folder, and the output of each program's first run.
    folder: TempDir,
    outputs: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` and `cargo test --benches` pass arguments that have no meaning here.
    let kustomize = harness::program("kustomize")?;
    let quick = std::env::var_os("BENCH_QUICK").is_some_and(|value| !value.is_empty());
    let runs = |kustomize, lockgate| Runs { kustomize, lockgate };
    let mut compared = Vec::new();
    for (workload, runs) in [
        (Workload::overlay(), runs(21, 21)),
        (Workload::crds(), runs(5, 11)),
        (Workload::resources("1,000 resources", 1_000), runs(3, 11)),
        (Workload::resources("5,000 resources", 5_000), runs(usize::from(!quick), 5)),
    ] {
        eprintln!("{}", workload.title);
        let title = workload.title;
        compared.push(compare(&kustomize, workload, runs).context(title)?);
    }
    // This runs last, because the memory of this process counts for the programs that it starts.
    for comparison in &compared {
        comparison.check().context(comparison.workload.title)?;
    }
    println!(
        "{:<16} {:>5} {:>6} {:>12} {:>11} {:>8} {:>14} {:>13} {:>9}",
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
    for comparison in &compared {
        println!("{}", comparison.row());
    }
    for comparison in &compared {
        if let Some(row) = comparison.row_beside_before() {
            println!("{row}");
        }
    }
    if let [.., few, many] = compared.as_slice() {
        let growth = seconds(&many.lockgate) / seconds(&few.lockgate);
        println!("{} take {growth:.1} times what {} take", many.workload.title, few.workload.title);
    }
    println!("a library call on 10 objects takes {} us", library_call()?.as_micros());
    Ok(())
}

impl Comparison {
    fn row(&self) -> String {
        let (ours, theirs) = (&self.lockgate, self.kustomize.as_ref());
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
        };
        let (our_memory, their_memory) = (mib(ours), theirs.and_then(mib));
        format!(
            "{:<16} {:>5} {:>6} {:>12} {:>11.4} {:>8} {:>14} {:>13} {:>9}",
            self.workload.title,
            self.workload.documents,
            self.workload.size() / 1000,
            number(theirs.map(seconds), 4),
            seconds(ours),
            number(theirs.map(|theirs| seconds(theirs) / seconds(ours)), 1),
            number(their_memory, 1),
            number(our_memory, 1),
            number(their_memory.zip(our_memory).map(|(theirs, ours)| theirs / ours), 1),
        )
    }

    /// The cost of the build beside that of the other binary.
    fn row_beside_before(&self) -> Option<String> {
        let before = self.before.as_ref()?;
        let cpu = self.lockgate.cpu.as_secs_f64() / before.cpu.as_secs_f64();
        let memory = mib(&self.lockgate).zip(mib(before)).map(|(ours, theirs)| ours / theirs);
        let memory = memory.map_or_else(|| "-".into(), |memory| format!("{memory:.2}"));
        let title = self.workload.title;
        Some(format!("{title}: {cpu:.2} times the processor time of BEFORE, {memory} times its memory"))
    }

    /// Speed counts only if the result is right, to the byte.
    fn check(&self) -> anyhow::Result<()> {
        let mut before = None;
        for output in &self.outputs {
            let text = fs::read_to_string(output)?;
            let count = 1 + text.lines().filter(|line| *line == "---").count();
            let expected = self.workload.documents;
            anyhow::ensure!(count == expected, "{count} documents, expected {expected}");
            anyhow::ensure!(
                before.is_none_or(|before| before == text),
                "the programs print different bytes, see {}",
                self.folder.path().display()
            );
            before = Some(text);
        }
        Ok(())
    }
}

fn compare(kustomize: &Path, workload: Workload, runs: Runs) -> anyhow::Result<Comparison> {
    let folder = tempfile::tempdir()?;
    let tree = folder.path().join("tree");
    for (path, content) in &workload.files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(path, content)?;
    }
    let target = tree.join(workload.target);
    let mut theirs = Command::new(kustomize);
    theirs.arg("build").arg(&target);
    let now = harness::fresh_copy(&binary(), folder.path(), "now")?;
    let mut ours = Command::new(now);
    ours.arg("build").arg("--root").arg(&tree).arg(&target);
    let mut programs = vec![
        ("kustomize", theirs, runs.kustomize, Vec::new()),
        ("lockgate", ours, runs.lockgate, Vec::new()),
    ];
    if let Some(binary) = std::env::var_os("BEFORE") {
        let before = harness::fresh_copy(Path::new(&binary), folder.path(), "earlier")?;
        let mut before = Command::new(before);
        before.arg("build").arg("--root").arg(&tree).arg(&target);
        programs.push(("before", before, runs.lockgate, Vec::new()));
    }
    let mut outputs = Vec::new();
    // The programs take turns, so that other work on the machine hits both.
    for run in 0..runs.kustomize.max(runs.lockgate) {
        for (name, command, limit, costs) in &mut programs {
            if run >= *limit {
                continue;
            }
            let output = folder.path().join(format!("{name}-{run}.yaml"));
            costs.push(harness::measured(command, File::create(&output)?)?);
            if run == 0 && *name != "before" {
                outputs.push(output);
            }
        }
    }
    let mut costs = programs.into_iter().map(|(.., costs)| median(costs));
    let (kustomize, lockgate, before) =
        (costs.next().flatten(), costs.next().flatten(), costs.next().flatten());
    let lockgate = lockgate.context("lockgate was not run")?;
    Ok(Comparison { workload, kustomize, lockgate, before, folder, outputs })
}

/// The run with the median time, and the median memory and processor time.
fn median(mut costs: Vec<Cost>) -> Option<Cost> {
    let middle = costs.len() / 2;
    costs.sort_by_key(|cost| cost.peak_kib);
    let peak_kib = costs.get(middle)?.peak_kib;
    costs.sort_by_key(|cost| cost.cpu);
    let cpu = costs.get(middle)?.cpu;
    costs.sort_by_key(|cost| cost.wall);
    costs.get(middle).map(|cost| Cost { peak_kib, cpu, ..*cost })
}

/// How long the agent's own call takes on a small folder.
fn library_call() -> anyhow::Result<Duration> {
    let workload = Workload::small();
    let tree = Tree::in_memory(workload.files);
    let flavour = Flavour::Flux(Box::<Overlay>::default());
    let recipe = KustomizeRecipe { path: workload.target.into(), flavour };
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

fn seconds(cost: &Cost) -> f64 {
    cost.wall.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "kibibytes of memory fit a float")]
fn mib(cost: &Cost) -> Option<f64> {
    cost.peak_kib.map(|kib| kib as f64 / 1024.0)
}

/// The binary that `make bench` built statically for release, or cargo's own of this profile.
fn binary() -> PathBuf {
    std::env::var_os("LOCKGATE").map_or_else(|| env!("CARGO_BIN_EXE_lockgate").into(), PathBuf::from)
}
