//! The script that compares lock files with the RustSec database.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Checks a version of a package against one advisory with these patched and unaffected versions. Returns
/// whether it is refused, and the output.
fn checked(version: &str, versions: &str, about: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let advisories = folder.path().join("database/crates/a");
    fs::create_dir_all(&advisories).unwrap();
    let text = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"a\"\n{about}\n[versions]\n{versions}\n```\n\n# A\n"
    );
    fs::write(advisories.join("RUSTSEC-2026-0001.md"), text).unwrap();
    let lock = format!(
        "[[package]]\nname = \"a\"\nversion = \"{version}\"\nsource = \"registry+https://x\"\n\n[[package]]\nname = \
         \"own\"\nversion = \"0.1.0\"\n"
    );
    fs::write(folder.path().join("Cargo.lock"), lock).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/scripts/advisories.py");
    let mut command = Command::new("python3");
    let output =
        command.arg(script).args(["--database", "database"]).current_dir(folder.path()).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code() == Some(1), told)
}

#[test]
fn a_locked_version_is_refused_unless_it_is_patched_or_unaffected() {
    let patched = r#"patched = [">= 1.2.3, < 2", "^0.9.4", "~3.1.2"]"#;
    for (version, is_refused) in [
        ("1.2.2", true),
        ("1.2.3-rc.1", true),
        ("1.2.3", false),
        ("2.0.0", true),
        ("0.9.3", true),
        ("0.9.9", false),
        ("0.10.0", true),
        ("3.1.9", false),
        ("3.2.0", true),
    ] {
        let (refused, told) = checked(version, patched, "");
        assert_eq!(refused, is_refused, "{version}: {told}");
        assert_eq!(told.contains("RUSTSEC-2026-0001"), is_refused, "{version}: {told}");
    }
    assert!(!checked("0.1.0", "patched = []\nunaffected = [\"< 0.2\"]", "").0);
    assert!(!checked("0.1.0", "patched = []", "withdrawn = \"2026-01-01\"").0);
    let (refused, told) = checked("0.1.0", "patched = []", "informational = \"unmaintained\"");
    assert!(!refused && told.contains("unmaintained"), "{told}");
}
