//! The pure crates do no I/O: their manifests name no crate with I/O, and clippy refuses that of std and of
//! the runtime.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The crates that do no I/O.
const PURE: [&str; 3] = ["base", "render", "core"];

/// Crates that these must not depend on: networks, clusters, repositories, runtimes, the system, randomness.
const IO_CRATES: [&str; 19] = [
    "axum",
    "getrandom",
    "git2",
    "hyper",
    "hyper-util",
    "kube",
    "libgit2-sys",
    "octocrab",
    "rand",
    "rand_core",
    "reqwest",
    "rustix",
    "rustls",
    "socket2",
    "ssh2",
    "tower",
    "tracing-subscriber",
    "ureq",
    "libc",
];

/// The features of the runtime that decide nothing about when and where something runs.
const RUNTIME: [&str; 2] = ["macros", "sync"];

/// Functions that reach the outside, each of which a pure crate's clippy.toml refuses.
const PROBES: [&str; 14] = [
    "use std::{fs, net}; pub fn f() -> bool { fs::read(\"x\").is_ok() && net::TcpStream::connect(\"x\").is_ok() }",
    "use std::fs::read_to_string as text; pub fn f() -> bool { text(\"x\").is_ok() }",
    "mod a { pub(super) use std::time::Instant; } pub fn f() -> a::Instant { a::Instant::now() }",
    "pub fn f() -> std::time::SystemTime { std::time::SystemTime::now() }",
    "pub fn f(at: std::time::Instant) -> std::time::Duration { at.elapsed() }",
    "pub fn f() { std::thread::sleep(std::time::Duration::ZERO) }",
    "pub fn f() { std::thread::spawn(|| ()); }",
    "pub fn f() -> Option<std::ffi::OsString> { std::env::var_os(\"HOME\") }",
    "pub fn f(path: &std::path::Path) -> bool { path.exists() }",
    "pub fn f(path: &std::path::Path) -> bool { path.read_dir().is_ok() }",
    "pub fn f() -> bool { std::process::Command::new(\"ls\").spawn().is_ok() }",
    "pub fn f() -> std::io::Stdout { std::io::stdout() }",
    "pub fn f() -> std::collections::hash_map::RandomState { std::collections::hash_map::RandomState::new() }",
    "type Socket = std::net::UdpSocket; pub fn f(socket: &Socket) -> bool { socket.recv(&mut []).is_ok() }",
];

/// The forbidden crates in a manifest. Only `[dependencies]` count, since tests may sleep and read files.
fn io_crates(manifest: &str) -> Vec<String> {
    let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    let mut found = Vec::new();
    for line in dependencies.lines() {
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if IO_CRATES.contains(&name) {
            found.push(name.to_owned());
        }
        if name == "tokio" && line.contains("features") {
            let features = line.split("features").nth(1).unwrap_or_default().split('"').skip(1).step_by(2);
            found.extend(
                features
                    .filter(|feature| !RUNTIME.contains(feature))
                    .map(|feature| format!("tokio's {feature}")),
            );
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn manifests_of_pure_crates_name_nothing_that_does_io() {
    for name in PURE {
        let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        assert_eq!(io_crates(&manifest), <[String; 0]>::default(), "{name}");
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let shared: String = workspace.lines().filter(|line| line.starts_with("tokio = { version")).collect();
    assert_eq!(
        io_crates(&format!("\n[dependencies]\n{shared}")),
        <[String; 0]>::default(),
        "of the workspace"
    );
    let breaks = "\n[dependencies]\nureq.workspace = true\nssh2 = \"1\"\nrustix = { version = \"1\" }\n\
                  tokio = { workspace = true, features = [\"time\", \"sync\"] }\n[dev-dependencies]\nkube = \"1\"";
    assert_eq!(io_crates(breaks), ["ureq", "ssh2", "rustix", "tokio's time"]);
}

#[test]
fn clippy_refuses_what_std_offers_for_io() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("Cargo.toml"),
        "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[lib]\npath = \"lib.rs\"\n",
    )
    .unwrap();
    let lint = |pure: &str, text: &str| {
        fs::write(folder.path().join("lib.rs"), format!("//! A probe.\n{text}\n")).unwrap();
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "clippy",
                "--quiet",
                "--offline",
                "--",
                "-Dclippy::disallowed_methods",
                "-Dclippy::disallowed_types",
            ])
            .current_dir(folder.path())
            .env("CLIPPY_CONF_DIR", root().join(format!("crates/{pure}")))
            .env("CARGO_TARGET_DIR", folder.path().join("target"))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for pure in PURE {
        let (passes, told) = lint(pure, "pub fn f() -> usize { \"x\".len() }");
        assert!(passes, "{pure}: {told}");
        for probe in PROBES {
            let (passes, told) = lint(pure, probe);
            assert!(!passes && told.contains("disallowed"), "{pure}: {probe}: {told}");
        }
    }
}

#[test]
fn the_pure_crates_refuse_the_same_things() {
    // A crate's clippy.toml replaces the root's, so each contains the root's keys.
    let text = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    for name in PURE {
        let own = text(&format!("crates/{name}/clippy.toml"));
        for line in text("clippy.toml").lines().filter(|line| line.contains(" = ")) {
            assert!(own.lines().any(|own| own == line), "crates/{name}/clippy.toml lacks {line}");
        }
    }
}
