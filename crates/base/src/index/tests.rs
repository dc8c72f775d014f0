//! Indexes as repositories serve them, and texts that are no index.

use std::io::{self, Read};

use super::*;

const SOME: &str = r#"apiVersion: v1
generated: "2026-01-01T00:00:00Z"
entries:
  demo:
  - {name: demo, version: 1.10.0, created: "2026-03-01T00:00:00Z", urls: [demo-1.10.0.tgz], digest: DIGEST}
  - name: demo
    version: 1.9.0
    description: |
      - version: 99.0.0
      of several lines
    maintainers: [{name: a, url: [b, {version: 1.0.0}]}]
    urls:
    - https://charts.example.com/demo-1.9.0.tgz
    - https://mirror.example.com/demo-1.9.0.tgz
  - {name: demo, version: 2.0.0-rc.1, urls: [rc.tgz]}
  - {name: demo, version: 1.10.0+b, created: "2026-04-01T00:00:00Z", urls: [b.tgz]}
  - {name: demo, version: nightly}
  - {version: 3.0.0}
  - {name: demo}
  - null
  - {name: demo, version: "0.1"}
  other:
  - {name: other, version: v1.0.0, digest: no digest}
  none: []
"#;

fn some() -> ChartIndex {
    let digest = "a1".repeat(32);
    ChartIndex::read(SOME.replace("DIGEST", &digest).as_bytes()).unwrap()
}

fn told(index: &str) -> String {
    ChartIndex::read(index.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_version_is_chosen_as_flux_chooses_it() {
    let index = some();
    assert_eq!((index.len(), index.left_out()), (3, 4));
    for (wanted, url) in [
        ("1.9.0", "https://charts.example.com/demo-1.9.0.tgz"),
        ("", "b.tgz"),
        ("*", "b.tgz"),
        (">=1.0.0 <1.10.0", "https://charts.example.com/demo-1.9.0.tgz"),
        (">=1.0.0-0", "rc.tgz"),
        // An exact match of the text wins over its meaning as a range.
        ("1.10.0", "demo-1.10.0.tgz"),
        ("1.10.x", "b.tgz"),
    ] {
        let choice = index.choose("demo", wanted).unwrap();
        assert_eq!(choice.url, Some(url), "{wanted}");
    }
    let choice = index.choose("demo", "1.10.0").unwrap();
    assert_eq!((choice.version, choice.digest), ("1.10.0", "a1".repeat(32).parse().ok()));
    // What is no digest is none.
    let without = index.choose("other", "1.x").unwrap();
    assert_eq!(without, Choice { version: "v1.0.0", url: None, digest: None });
    // This version is incomplete, so only its exact text selects it.
    assert!(index.choose("demo", "0.1").is_ok() && index.choose("demo", "0.x").is_err());
}

#[test]
fn what_is_missing_is_told_with_what_is_near() {
    let index = some();
    let missing = |name: &str, wanted: &str| index.choose(name, wanted).unwrap_err().to_string();
    assert_eq!(missing("dem", "*"), "no chart name found: the index has no 'dem', but demo");
    assert_eq!(
        missing("grafana", "*"),
        "no chart name found: the index has 3 charts, and none with a name similar to 'grafana'"
    );
    assert_eq!(missing("none", "*"), "no chart version found");
    assert_eq!(
        missing("demo", "9.x"),
        "no 'demo' chart with version matching '9.x' found; the index has 2.0.0-rc.1, 1.10.0+b, 1.10.0, 1.9.0 and 1 more"
    );
    assert_eq!(missing("demo", "latest"), "improper constraint: \"latest\"");
}

#[test]
fn what_is_no_index_is_told_with_its_line() {
    for (text, expected) in [
        ("", "empty index.yaml file"),
        ("# nothing\n", "empty index.yaml file"),
        ("entries: {}\n", "no API version specified"),
        ("apiVersion:\nentries: {}\n", "no API version specified"),
        ("- a\n", "line 1: an index is a map"),
        ("<html>\n", "line 1: an index is a map"),
        (
            "apiVersion: v1\nentries: [a]\n",
            "line 2: entries must be a map of charts to lists of their versions",
        ),
        ("apiVersion: v1\nentries:\n  a: {b: c}\n", "line 3: entries.a must be a list of its versions"),
        ("apiVersion: v1\nentries:\n  a:\n  - b\n", "line 4: a version of 'a' is no map"),
        ("apiVersion: v1\n? [a]\n: b\n", "line 2: a key must be a text"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
    let cut = "apiVersion: v1\nentries:\n  a:\n  - {name: a, version: 1.0.0, urls: [a";
    assert!(told(cut).starts_with("line 4: "), "{}", told(cut));
    let bytes =
        ChartIndex::read(&b"apiVersion: v1\nentries: {a\xff\xff\xff\xff: []}\n"[..]).unwrap_err().to_string();
    assert!(bytes.contains("it is not UTF-8"), "{bytes}");
    assert!(told(&format!("apiVersion: v1\na: {}", "[".repeat(1000))).contains("line 2: "));
    let large = ChartIndex::read(io::repeat(b'#')).unwrap_err().to_string();
    assert_eq!(large, "the index is larger than 64 MiB");
}

#[test]
fn json_is_read_as_well_and_so_is_a_mark_of_the_byte_order() {
    let json = "\u{feff}{\"apiVersion\":\"v1\",\"entries\":{\"dé\":[{\"name\":\"dé\",\"version\":\"1.0.0\",\"urls\":[\"a.tgz\"]}]}}";
    let index = ChartIndex::read(json.as_bytes()).unwrap();
    assert_eq!(index.choose("dé", "1.0.0").unwrap().url, Some("a.tgz"));
}

/// Hands out its bytes one at a time, and then fails.
struct Slow<'b>(&'b [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (first, rest) = self.0.split_first().ok_or_else(|| io::Error::other("it broke off"))?;
        self.0 = rest;
        buffer[0] = *first;
        Ok(1)
    }
}

#[test]
fn a_stream_that_fails_is_no_index_however_far_it_came() {
    let broken = ChartIndex::read(Slow("apiVersion: v1\nentries: {é: [".as_bytes())).unwrap_err();
    assert!(
        matches!(&broken, IndexError::Broken(error) if error.to_string() == "it broke off"),
        "{broken:?}"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(apiVersion: v1\nentries:\n)?[-a{}\\[\\]:, \n\"|>&*!v1.é]{0,60}") {
        if let Ok(index) = ChartIndex::read(text.as_bytes()) {
            let _ = index.choose("a", "*");
        }
    }
}
