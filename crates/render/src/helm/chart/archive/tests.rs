//! Hostile archives, each refused with helm's words, and the files that are read from honest ones.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::super::Chart;
use super::*;

/// A tar entry with any name.
fn entry(tar: &mut Vec<u8>, name: &[u8], kind: EntryType, content: &[u8], size: u64) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn zipped(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        entry(&mut tar, name.as_bytes(), EntryType::Regular, content.as_bytes(), content.len() as u64);
    }
    tar.resize(tar.len() + 1024, 0);
    zipped(&tar)
}

fn refusal(archive: &[u8]) -> String {
    Chart::unpack(archive, &mut Bounds::default()).unwrap_err().text()
}

const CHART: (&str, &str) = ("demo/Chart.yaml", "{apiVersion: v2, name: demo, version: 1.0.0}");

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let cases = [
        ("demo/../../etc/passwd", "chart illegally references parent directory"),
        ("demo//etc/passwd", "chart illegally contains absolute paths"),
        ("/etc/passwd", "no files in chart archive"),
        ("demo", "chart illegally contains content outside the base directory: \"demo\""),
        ("demo/a/..", "chart illegally contains content outside the base directory: \"demo/a/..\""),
        ("demo/c:/x", "chart contains illegally named files"),
        ("demo\\c:\\x", "chart contains illegally named files"),
        ("Chart.yaml", "chart illegally contains content outside the base directory: \"Chart.yaml\""),
        ("Chart.yaml/x", "chart yaml not in base directory"),
    ];
    for (name, message) in cases {
        // A path from the root of a disk lies in a folder without a name.
        let expected = if name == "/etc/passwd" { "Chart.yaml file is missing" } else { message };
        assert_eq!(refusal(&archive(&[(name, "x")])), expected, "{name}");
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    assert_eq!(refusal(b"apiVersion: v2"), "gzip: invalid header");
    assert_eq!(refusal(&archive(&[])), "no files in chart archive");
    assert_eq!(refusal(&archive(&[("demo/values.yaml", "a: 1")])), "Chart.yaml file is missing");
    let whole = archive(&[CHART, ("demo/big", &"0123456789".repeat(1000))]);
    assert!(refusal(&whole[..whole.len() - 20]).starts_with("the chart archive is broken: "));
    let mut tar = Vec::new();
    entry(&mut tar, b"demo/short", EntryType::Regular, b"x", 5000);
    assert!(refusal(&zipped(&tar)).starts_with("the chart archive is broken: "));
}

#[test]
fn a_link_is_an_empty_file() {
    let mut tar = Vec::new();
    entry(&mut tar, CHART.0.as_bytes(), EntryType::Regular, CHART.1.as_bytes(), CHART.1.len() as u64);
    entry(&mut tar, b"demo/link", EntryType::Symlink, b"", 0);
    entry(&mut tar, b"demo/hard", EntryType::Link, b"", 0);
    entry(&mut tar, b"demo/folder/", EntryType::Directory, b"", 0);
    tar.resize(tar.len() + 1024, 0);
    let chart = Chart::unpack(&zipped(&tar), &mut Bounds::default()).unwrap();
    let files: Vec<(&str, usize)> =
        chart.files.iter().map(|file| (&*file.path, file.content.len())).collect();
    assert_eq!(files, [("link", 0), ("hard", 0)]);
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_header() {
    let mut tar = Vec::new();
    entry(&mut tar, b"demo/big", EntryType::Regular, b"", FILE_LIMIT + 1);
    let message = "decompressed chart file \"demo/big\" is larger than the maximum file size 5242880";
    assert_eq!(refusal(&zipped(&tar)), message);
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let file = vec![0; usize::try_from(FILE_LIMIT).unwrap()];
    let mut tar = Vec::new();
    for at in 0..21 {
        entry(&mut tar, format!("demo/{at}").as_bytes(), EntryType::Regular, &file, FILE_LIMIT);
    }
    let bomb = zipped(&tar);
    assert!(bomb.len() < 2 << 20, "{}", bomb.len());
    let mut bounds = Bounds { bytes: 12 << 20, files: 100 };
    let message = "decompressed chart is larger than the maximum size 104857600";
    assert_eq!(Chart::unpack(&bomb, &mut bounds).unwrap_err().text(), message);
}

#[test]
fn too_many_files_are_refused() {
    let many: Vec<(String, &str)> = (0..20).map(|at| (format!("demo/{at}"), "")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, content)| (&**name, *content)).collect();
    let mut bounds = Bounds { bytes: 1 << 20, files: 10 };
    let message = "the chart has more than 20000 files";
    assert_eq!(Chart::unpack(&archive(&many), &mut bounds).unwrap_err().text(), message);
}

#[test]
fn charts_packed_into_each_other_share_one_bound_and_have_an_end() {
    let inner = archive(&[CHART, ("demo/templates/a.yaml", "a: 1")]);
    let mut tar = Vec::new();
    entry(&mut tar, CHART.0.as_bytes(), EntryType::Regular, CHART.1.as_bytes(), CHART.1.len() as u64);
    entry(&mut tar, b"demo/charts/in.tgz", EntryType::Regular, &inner, inner.len() as u64);
    let chart = Chart::unpack(&zipped(&tar), &mut Bounds::default()).unwrap();
    assert_eq!(chart.dependencies.len(), 1);
    let mut packed = inner;
    for _ in 0..40 {
        let mut tar = Vec::new();
        entry(&mut tar, CHART.0.as_bytes(), EntryType::Regular, CHART.1.as_bytes(), CHART.1.len() as u64);
        entry(&mut tar, b"demo/charts/in.tgz", EntryType::Regular, &packed, packed.len() as u64);
        packed = zipped(&tar);
    }
    assert!(refusal(&packed).ends_with("charts are packed into each other more than 30 deep"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let chart = archive(&[
        ("demo/Chart.yaml", "\u{feff}{apiVersion: v2, name: demo, version: 1.0.0}"),
        ("demo/a", "\u{feff}x"),
    ]);
    let chart = Chart::unpack(&chart, &mut Bounds::default()).unwrap();
    assert_eq!(&chart.files[0].content[..], b"x");
}
