//! Packed charts that hold more than their size says, each stopped by its bound in a process that may have
//! 256 MiB.

use std::fs::{self, File};
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use harness::Cage;
use harness::charts::packed;
use harness::measure::ended;

use super::chart_mistakes::RESIDENT_LIMIT;

/// An archive of this many files of so many zeros.
fn zeros(count: usize, size: u64) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for at in 0..count {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        let content = io::Read::take(io::repeat(0), size);
        builder.append_data(&mut header, format!("demo/{at}"), content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// One file whose header says that it is small, and what follows is not.
fn endless() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("demo/a").unwrap();
    header.set_size(0);
    header.set_cksum();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(header.as_bytes()).unwrap();
    io::copy(&mut io::Read::take(io::repeat(b'x'), 300 << 20), &mut gzip).unwrap();
    gzip.finish().unwrap()
}

/// A chart of this many files of the same text.
fn chart(count: usize, folder: &str, text: &str) -> Vec<u8> {
    let paths: Vec<String> = (0..count).map(|at| format!("{folder}/{at}.yaml")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (&**path, text)).collect();
    packed("demo", "1.0.0", &files).unwrap()
}

#[test]
fn each_bound_stops_a_packed_chart_within_256_mebibytes() {
    let file = (5 << 20) - 1024;
    let (whole, some) = ("{{.a}}".repeat(file / 6), "{{.a}}".repeat(100_000));
    let nodes = format!("a: [{}]\n", "[],".repeat(file / 3 - 10));
    let values = [("values.yaml", &*nodes), ("templates/a.yaml", "a: 1\n")];
    let bombs = [
        ("files", zeros(24, 5 << 20), "decompressed chart is larger than the maximum size 104857600"),
        ("empty files", zeros(20_001, 0), "the chart has more than 20000 files"),
        ("a large file", zeros(1, (5 << 20) + 1), "is larger than the maximum file size 5242880"),
        ("no member", endless(), "the chart archive is broken: "),
        ("a large template", chart(1, "templates", &whole), "the text has more than 500000 parts"),
        ("templates", chart(19, "templates", &some), "the chart's values take more than 128 MiB of memory"),
        ("values", packed("demo", "1.0.0", &values).unwrap(), "the text has too many values"),
    ];
    let cage = Cage::new(RESIDENT_LIMIT * 1024);
    let folder = tempfile::tempdir().unwrap();
    for (name, archive, message) in bombs {
        assert!(archive.len() < 20 << 20, "{name}: {}", archive.len());
        fs::write(folder.path().join("demo.tgz"), archive).unwrap();
        let mut command = cage.command(env!("CARGO_BIN_EXE_lockgate"));
        command.args(["build", "--chart", "demo.tgz"]).current_dir(folder.path());
        let printed = File::create(folder.path().join("printed")).unwrap();
        let (status, told, cost) = ended(&mut command, printed).unwrap();
        println!("{name}: {:?} KiB, {:?}", cost.peak_kib, cost.cpu);
        assert_eq!(status.code(), Some(1), "{name}: {status}: {told}");
        assert!(told.contains(message), "{name}: {told}");
        assert!(cost.peak_kib.is_none_or(|peak| peak <= RESIDENT_LIMIT), "{name}: {cost:?}");
    }
}
