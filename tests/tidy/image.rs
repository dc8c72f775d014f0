//! The script that assembles the container image.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A 64-bit ELF file for a machine, with one program header and one section header of the given types.
fn elf(machine: u16, program: u32, section: u32) -> Vec<u8> {
    let (header, programs, sections) = (64_u64, 56_u64, 64_u64);
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([2, 0]);
    bytes.extend(machine.to_le_bytes());
    bytes.resize(32, 0);
    bytes.extend(header.to_le_bytes());
    bytes.extend((header + programs).to_le_bytes());
    bytes.resize(54, 0);
    for number in [programs, 1, sections, 1] {
        bytes.extend(u16::try_from(number).unwrap().to_le_bytes());
    }
    bytes.resize(64, 0);
    bytes.extend(program.to_le_bytes());
    bytes.resize(usize::try_from(header + programs).unwrap() + 4, 0);
    bytes.extend(section.to_le_bytes());
    bytes.resize(usize::try_from(header + programs + sections).unwrap(), 0);
    bytes
}

const AMD64: u16 = 62;
const ARM64: u16 = 183;
/// A segment that is loaded, a section of nothing.
const LOADED: (u32, u32) = (1, 0);

struct Place(tempfile::TempDir);

impl Place {
    fn new(binaries: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in binaries {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        fs::write(folder.path().join("licences"), "Apache License").unwrap();
        Self(folder)
    }

    fn build(&self, output: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/scripts/image.py");
        let arguments = [
            "build",
            "--output",
            output,
            "--name",
            "r.io/lockgate:1",
            "--version",
            "1.2.3",
            "--revision",
            "c0ffee",
            "--created",
            "1700000000",
            "--licences",
            "licences",
            "arm64=arm",
            "amd64=intel",
        ];
        Command::new("python3").arg(script).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The JSON of a blob of the archive, or of another file in it.
    fn json(&self, archive: &str, name: &str) -> Value {
        let mut archive = tar::Archive::new(fs::File::open(self.path(archive)).unwrap());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.path().unwrap().to_str() == Some(name) {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                return serde_json::from_str(&text).unwrap();
            }
        }
        panic!("there is no {name}");
    }

    fn blob(&self, archive: &str, described: &Value) -> Value {
        let digest = described["digest"].as_str().unwrap();
        self.json(archive, &format!("blobs/{}", digest.replace(':', "/")))
    }
}

#[test]
fn two_builds_are_one_digest_and_have_both_architectures_labels_and_licences() {
    let binaries = || [("intel", elf(AMD64, LOADED.0, LOADED.1)), ("arm", elf(ARM64, LOADED.0, LOADED.1))];
    let place = Place::new(&binaries());
    let outputs = [place.build("one.tar"), place.build("two.tar")];
    for output in &outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(outputs[0].stdout, outputs[1].stdout);
    assert_eq!(fs::read(place.path("one.tar")).unwrap(), fs::read(place.path("two.tar")).unwrap());
    let top = place.json("one.tar", "index.json");
    assert_eq!(top["manifests"][0]["annotations"]["io.containerd.image.name"], "r.io/lockgate:1");
    let index = place.blob("one.tar", &top["manifests"][0]);
    let architectures: Vec<&Value> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["platform"]["architecture"])
        .collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    let manifest = place.blob("one.tar", &index["manifests"][0]);
    let config = place.blob("one.tar", &manifest["config"]);
    assert_eq!(config["config"]["User"], "65534:65534");
    assert_eq!(config["config"]["Entrypoint"][0], "/lockgate");
    for (label, value) in [("version", "1.2.3"), ("revision", "c0ffee"), ("created", "2023-11-14T22:13:20Z")]
    {
        let label = format!("org.opencontainers.image.{label}");
        assert_eq!(
            (&config["config"]["Labels"][&label], &index["annotations"][&label]),
            (&value.into(), &value.into())
        );
    }
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let mut archive = tar::Archive::new(fs::File::open(place.path("one.tar")).unwrap());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        if entry.path().unwrap().ends_with(&layer) {
            let mut files = tar::Archive::new(flate2::read::GzDecoder::new(entry));
            names = files
                .entries()
                .unwrap()
                .map(|file| file.unwrap().path().unwrap().display().to_string())
                .collect();
            break;
        }
    }
    assert_eq!(names, ["licenses/", "licenses/lockgate.txt", "lockgate"]);
}

#[test]
fn a_binary_that_would_not_start_or_is_not_stripped_is_refused() {
    let good = || elf(ARM64, LOADED.0, LOADED.1);
    for (intel, told) in [
        (elf(ARM64, LOADED.0, LOADED.1), "intel is not for amd64"),
        (elf(AMD64, 3, LOADED.1), "is not static"),
        (elf(AMD64, LOADED.0, 2), "is not stripped"),
        (b"#!/bin/sh".to_vec(), "no 64-bit little-endian ELF"),
    ] {
        let output = Place::new(&[("intel", intel), ("arm", good())]).build("image.tar");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && text.contains(told), "{text}");
    }
}
