//! Mistakes in charts, each with the whole message, and charts that exceed a bound.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use harness::measure::ended;
use tempfile::TempDir;

use super::lockgate;

/// The data that the process may map, in KiB: 256 MiB besides the stack of as much, which is reserved whole.
const DATA_LIMIT: u64 = 2 * 256 * 1024;
/// What may be resident of it, in KiB.
pub(crate) const RESIDENT_LIMIT: u64 = 256 * 1024;

const CHART: &str = "{apiVersion: v2, name: demo, version: 1.0.0}";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join("demo").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn told(files: &[(&str, &str)], flags: &[&str]) -> String {
    let folder = folder(files);
    let ended = lockgate(folder.path(), &[&["build", "--chart", "demo"], flags].concat(), "");
    assert_eq!(ended.code, 1, "{files:?}: {}", ended.stderr);
    ended.stderr
}

#[test]
fn each_mistake_of_a_template_has_its_message() {
    for (text, message) in [
        (
            "a: 1\nb: {{ nosuch 1 }}\n",
            "parse error at (demo/templates/a.yaml:2): function \"nosuch\" not defined",
        ),
        (
            "a: {{ .Values.x.y.z }}\n",
            "demo/templates/a.yaml:1:13\n  executing \"demo/templates/a.yaml\" at <.Values.x.y.z>:\n    nil pointer evaluating \
             interface {}.y",
        ),
        ("\n{{ fail \"no good\" }}\n", "execution error at (demo/templates/a.yaml:2:3): no good"),
        (
            "a: {{ required \"x is needed\" .Values.x }}\n",
            "execution error at (demo/templates/a.yaml:1:6): x is needed",
        ),
        (
            "a: 1\n---\n{{ if true }}\nb: 1\nc: [1\nd: 2\n{{ end }}\n",
            "YAML parse error on demo/templates/a.yaml: error converting YAML to JSON: yaml: line 3: illegal placement of ':' \
             indicator (line 6 of what the template prints)",
        ),
    ] {
        let told = told(&[("Chart.yaml", CHART), ("templates/a.yaml", text)], &[]);
        assert!(told.contains(message), "{text}\n{told}");
    }
}

#[test]
fn each_mistake_of_a_chart_has_its_message() {
    for (text, message) in [
        ("{apiVersion: v2, version: 1.0.0}", "validation: chart.metadata.name is required"),
        ("{apiVersion: v2, name: demo}", "validation: chart.metadata.version is required"),
        ("{apiVersion: v3, name: demo, version: 1.0.0}", "unsupported chart version"),
        ("{apiVersion: v2, name: a/b, version: 1.0.0}", "validation: chart.metadata.name \"a/b\" is invalid"),
        ("{apiVersion: v2, name: demo, version: x}", "validation: chart.metadata.version \"x\" is invalid"),
        (
            "{apiVersion: v2, name: demo, version: 1.0.0, type: x}",
            "validation: chart.metadata.type must be application or library",
        ),
        (
            "{apiVersion: v2, name: demo, version: 1.0.0, kubeVersion: '>=1.99.0'}",
            "chart requires kubeVersion: >=1.99.0 which is incompatible with Kubernetes v1.36.0",
        ),
        (
            "{apiVersion: v2, name: demo, version: 1.0.0, dependencies: [{name: db, version: 1.x.x}]}",
            "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch \
             missing dependencies: found in Chart.yaml, but missing in charts/ directory: db",
        ),
    ] {
        let told = told(&[("Chart.yaml", text), ("templates/a.yaml", "a: 1\n")], &[]);
        assert!(told.contains(message), "{text}\n{told}");
    }
}

#[test]
fn a_schema_tells_path_rule_and_where_the_value_is_from() {
    let schema = r#"{"properties": {"replicas": {"type": "integer"}, "image": {"required": ["tag"]}, "size": {"maximum": 3},
        "level": {"enum": ["a", "b"]}, "env": {"additionalProperties": false}}}"#;
    let files = [
        ("Chart.yaml", CHART),
        ("values.yaml", "replicas: many\nimage: {}\nsize: 1\nenv: {}\n"),
        ("values.schema.json", schema),
        ("given.yaml", "level: c\nsize: 9\n"),
        ("templates/a.yaml", "a: 1\n"),
    ];
    let message = told(&files, &["-f", "demo/given.yaml", "--set", "size=4,env.x=1"]);
    assert!(message.contains(
        "values don't meet the specifications of the schema(s) in the following chart(s):\ndemo:\n"
    ));
    for line in [
        "- at '/image': missing property 'tag' (set nowhere)",
        "- at '/replicas': got string, want integer (from values.yaml of the chart demo)",
        "- at '/level': value must be one of 'a', 'b' (from demo/given.yaml)",
        "- at '/size': maximum: got 4, want 3 (from --set)",
        "- at '/env': additional properties 'x' not allowed (from --set)",
    ] {
        assert!(message.contains(line), "{line}\n{message}");
    }
    let folder = folder(&files);
    let release = "kind: HelmRelease\napiVersion: helm.toolkit.fluxcd.io/v2\nmetadata: {name: r, namespace: apps}\nspec:\n  \
                   values: {level: c}\n  valuesFrom: [{kind: ConfigMap, name: m}, {kind: Secret, name: s, valuesKey: k, \
                   targetPath: size}]\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: m}\ndata: {values.yaml: \
                   'replicas: few'}\n---\nkind: Secret\napiVersion: v1\nmetadata: {name: s}\nstringData: {k: '5'}\n";
    fs::write(folder.path().join("release.yaml"), release).unwrap();
    let ended = lockgate(folder.path(), &["build", "--chart", "demo", "--helmrelease", "release.yaml"], "");
    for line in [
        "- at '/replicas': got string, want integer (from spec.valuesFrom[0]: ConfigMap apps/m, key values.yaml)",
        "- at '/size': maximum: got 5, want 3 (from spec.valuesFrom[1]: Secret apps/s, key k)",
        "- at '/level': value must be one of 'a', 'b' (from spec.values)",
    ] {
        assert!(ended.stderr.contains(line), "{line}\n{}", ended.stderr);
    }
}

#[test]
fn what_a_schema_refers_to_is_not_fetched_from_this_machine() {
    let schema = r#"{"properties": {"a": {"$ref": "file:///etc/passwd"}, "b": {"$ref": "https://127.0.0.1:1/b.json#/x"}}}"#;
    let files = [
        ("Chart.yaml", CHART),
        ("values.yaml", "a: 1\nb: 1\n"),
        ("values.schema.json", schema),
        ("templates/a.yaml", "a: 1\n"),
    ];
    let folder = folder(&files);
    let ended = lockgate(folder.path(), &["build", "--chart", "demo"], "");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for line in [
        "! a schema refers to file:///etc/passwd (only https is fetched), which could not be fetched, so it allows everything",
        "! a schema refers to https://127.0.0.1:1/b.json (its host has no public address), which could not be fetched, so it \
         allows everything",
    ] {
        assert!(ended.stderr.contains(line), "{line}\n{}", ended.stderr);
    }
}

/// Renders a template as the only one of a chart, in a process that may have 256 MiB, and gives its error.
fn refused(text: &str) -> String {
    let folder = folder(&[("Chart.yaml", CHART), ("templates/a.yaml", text)]);
    let mut command = Command::new("bash");
    let script = format!("ulimit -d {DATA_LIMIT}; exec \"$0\" build --chart demo");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_lockgate")]).current_dir(folder.path());
    let output = File::create(folder.path().join("printed")).unwrap();
    let (status, told, cost) = ended(&mut command, output).unwrap();
    assert_eq!(status.code(), Some(1), "{text}\n{told}");
    assert!(cost.peak_kib.is_none_or(|peak| peak <= RESIDENT_LIMIT), "{text}\n{cost:?}");
    told
}

#[test]
fn each_bound_stops_a_chart_within_256_mebibytes() {
    let steps = "the build is too expensive: more than 50000000 steps of patterns or templates";
    // What takes the processor long counts for many steps: the bound in steps is one in time.
    let slow = r#"{{ range 100000 }}{{ $_ := genCA "a" 1 }}{{ $_ := derivePassword 1 "long" "a" "b" "c" }}{{ $_ := bcrypt "a" }}
        {{ $_ := regexFindAll ".*[^A-Z]|[A-Z]" (repeat 3000 "A") -1 }}{{ end }}"#;
    let nested = "templates and their expressions nest more than 20000 deep";
    let cases: [(&str, &str); 11] = [
        (
            r#"{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}"#,
            "rendering template has a nested reference name: x: unable to execute template",
        ),
        (r#"{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}"#, nested),
        (r#"{{ $t := "{{ tpl .t . }}" }}{{ tpl $t (dict "t" $t) }}"#, nested),
        ("{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}", steps),
        (slow, steps),
        (
            r#"{{ range 100000 }}{{ print "0123456789012345678901234567890123456789" | repeat 100 }}{{ end }}"#,
            "the templates print more than 64 MiB",
        ),
        (
            r#"{{ $s := "0123456789" }}{{ range 100 }}{{ $s = print $s $s }}{{ end }}"#,
            "a string is larger than 16 MiB",
        ),
        (
            r#"{{ $l := list }}{{ range 100 }}{{ $l = append $l (repeat 4000000 "x") }}{{ end }}"#,
            "the chart's values take more than 128 MiB of memory",
        ),
        (
            r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toJson $d }}"#,
            "a value holds itself, or is more than 10000 levels deep",
        ),
        // What finds the groups would take gigabytes.
        (
            r#"{{ regexReplaceAll (repeat 10000 "(a?)") (repeat 100000 "a") "$1" }}"#,
            "the chart's values take more than 128 MiB of memory",
        ),
        (
            r#"{{ regexMatch "(a{1000}){2}" "x" }}{{ mustRegexMatch "(a{1000}){2}" "x" }}"#,
            "invalid repeat count",
        ),
    ];
    for (text, message) in cases {
        let told = refused(text);
        assert!(told.contains(message), "{text}\n{told}");
        assert!(told.contains("demo/templates/a.yaml") || told.contains("gotpl"), "{text}\n{told}");
    }
}

#[test]
fn what_is_no_chart_is_not_read_whole() {
    let folder = folder(&[("Chart.yaml", CHART)]);
    let large = File::create(folder.path().join("large.tgz")).unwrap();
    large.set_len(21 << 20).unwrap();
    let ended = lockgate(Path::new(folder.path()), &["build", "--chart", "large.tgz"], "");
    assert!(ended.stderr.contains("large.tgz: is larger than 20 MiB"), "{}", ended.stderr);
}
