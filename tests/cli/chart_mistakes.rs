//! What is wrong with a chart, each with the whole message.

use std::fs::{self, File};
use std::path::Path;

use tempfile::TempDir;

use super::lockgate;

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
        "! a schema refers to file:///etc/passwd (only https is fetched), which could not be had, so it allows everything",
        "! a schema refers to https://127.0.0.1:1/b.json (its host has no public address), which could not be had, so it \
         allows everything",
    ] {
        assert!(ended.stderr.contains(line), "{line}\n{}", ended.stderr);
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
