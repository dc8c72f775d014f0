//! Small repositories that ask for too much, each stopped by the budget of a build, in a process that may
//! have 256 MiB.

use std::fmt::Write as _;
use std::fs::{self, File};

use harness::Cage;
use harness::measure::ended;

use super::chart_mistakes::RESIDENT_LIMIT;

/// A repository whose build must end, with the message.
struct Bomb {
    name: &'static str,
    files: Vec<(String, String)>,
    variable: Option<String>,
    told: &'static str,
}

/// An object that the command looks into for the values of variables as well.
fn object(name: &str, rest: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n{rest}---\n")
}

fn bomb(name: &'static str, files: Vec<(String, String)>, told: &'static str) -> Bomb {
    Bomb { name, files, variable: None, told }
}

/// `count` files of one object each.
fn files(count: usize, rest: &str) -> Vec<(String, String)> {
    (0..count).map(|at| (format!("{at}.yaml"), object(&format!("a{at}"), rest))).collect()
}

/// A pattern that fails after each beginning of a long value.
fn pattern(operator: &str) -> Bomb {
    let many = "a".repeat(20_000);
    let pattern = if operator.starts_with('#') { format!("*{many}b") } else { format!("b{many}*") };
    let text = object("a", &format!("data:\n  x: ${{V{operator}{pattern}}}\n"));
    Bomb {
        variable: Some("a".repeat(100_000)),
        ..bomb("a pattern", vec![("a.yaml".into(), text)], "steps of patterns or templates")
    }
}

/// Each replacement puts one object at the bottom of the other.
fn doubling() -> Bomb {
    let mut kustomization = String::from("resources: [a.yaml]\nreplacements:\n");
    let (mut depths, names) = ([1, 1], ["a", "b"]);
    for step in 0..12 {
        let (from, to) = (step % 2, (step + 1) % 2);
        let bottom = vec!["x"; depths[to]].join(".");
        writeln!(
            kustomization,
            "- source: {{kind: ConfigMap, name: {}, fieldPath: spec}}\n  targets:\n  - select: {{name: {}}}\n    \
             fieldPaths: [spec.{bottom}]",
            names[from], names[to],
        )
        .unwrap();
        depths[to] += depths[from];
    }
    let doubling = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\nspec: {{x: {{}}}}\n---\n")
    };
    let files =
        vec![("kustomization.yaml".into(), kustomization), ("a.yaml".into(), doubling("a") + &doubling("b"))];
    bomb("doubling", files, "an object nests deeper than 200 levels")
}

/// Two hundred overlays of one base.
fn overlays() -> Bomb {
    let numbers: Vec<String> = (0..200).map(|at| at.to_string()).collect();
    let mut all = vec![
        ("kustomization.yaml".to_owned(), format!("resources: [o{}]\n", numbers.join(", o"))),
        ("base/kustomization.yaml".to_owned(), "resources: [a.yaml]\n".to_owned()),
        ("base/a.yaml".to_owned(), object("a", &format!("x: [{}]\n", "[],".repeat(40_000)))),
    ];
    for number in numbers {
        let text = format!("namePrefix: p{number}-\nresources: [../base]\n");
        all.push((format!("o{number}/kustomization.yaml"), text));
    }
    bomb("overlays", all, "bytes of memory")
}

/// A variable put into many texts.
fn substituted() -> Bomb {
    let data: String =
        (0..30).fold(String::from("data:\n"), |text, key| text + &format!("  k{key}: ${{V}}\n"));
    let text = (0..100).map(|at| object(&format!("a{at}"), &data)).collect();
    Bomb {
        variable: Some("v".repeat(100_000)),
        ..bomb("a variable", vec![("a.yaml".into(), text)], "bytes of text with substituted variables")
    }
}

#[test]
fn each_bound_stops_a_kustomization_within_256_mebibytes() {
    let mut bombs = vec![
        bomb("empty lists", files(8, &format!("x: [{}]\n", "[],".repeat(150_000))), "bytes of memory"),
        bomb("small maps", files(8, &format!("x: [{}]\n", "{a: b},".repeat(100_000))), "bytes of memory"),
        bomb("long texts", files(8, &format!("x: {}\n", "v".repeat(15 << 20))), "bytes of memory"),
        doubling(),
        overlays(),
        substituted(),
    ];
    bombs.extend(["#", "##", "%", "%%"].map(pattern));
    let cage = Cage::new(RESIDENT_LIMIT * 1024);
    for bomb in bombs {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in &bomb.files {
            let path = folder.path().join("root").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let object = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k, namespace: apps}\n\
                      spec: {path: ., interval: 1m, prune: true, sourceRef: {kind: GitRepository, name: r}, \
                      postBuild: {substitute: {W: w}}}\n";
        fs::write(folder.path().join("k.yaml"), object).unwrap();
        let variable = bomb.variable.unwrap_or_default();
        fs::write(folder.path().join("v.yaml"), format!("V: \"{variable}\"\n")).unwrap();
        let mut command = cage.command(env!("CARGO_BIN_EXE_lockgate"));
        command.args(["build", "--root", "root", "--kustomization", "k.yaml"]);
        command.args(["--substitute-from", "v.yaml"]).current_dir(folder.path());
        let (status, told, cost) =
            ended(&mut command, File::create(folder.path().join("out")).unwrap()).unwrap();
        let name = bomb.name;
        println!("{name}: {:?} KiB, {:?}", cost.peak_kib, cost.cpu);
        assert_eq!(status.code(), Some(1), "{name}: {status}: {told}");
        assert!(told.contains(bomb.told), "{name}: {told}");
        assert!(cost.peak_kib.is_none_or(|peak| peak <= RESIDENT_LIMIT), "{name}: {cost:?}");
    }
}
