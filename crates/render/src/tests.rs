//! Hostile inputs end at a budget, and ordinary ones stay far below it. A part of a budget is often spent
//! beforehand, so that the rest of it is small and the test fast.

mod mistakes;
mod noise;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lockgate_base::tree::Tree;

use super::budget::Cost;
use super::kustomize::{Flavour, Overlay};
use super::*;

const EACH: [Cost; 10] = [
    Cost::Steps,
    Cost::FileBytes,
    Cost::Nodes,
    Cost::Copied,
    Cost::CopiedBytes,
    Cost::SubstitutedBytes,
    Cost::Objects,
    Cost::RenderedBytes,
    Cost::Folders,
    Cost::Memory,
];

fn rendered(
    files: &[(&str, String)],
    variable: Option<String>,
    budget: &Budget,
) -> Result<ResourceSet, RenderError> {
    let tree = Tree::in_memory(files.iter().map(|(path, text)| ((*path).to_owned(), text.clone())));
    let overlay = Overlay::from_spec(&serde_json::json!({})).unwrap();
    let recipe =
        kustomize::KustomizeRecipe { path: String::new(), flavour: Flavour::Flux(Box::new(overlay)) };
    let variables = variable.map(|value| {
        Variables::new(BTreeMap::from([("V".to_owned(), value)]), BTreeSet::new(), true).unwrap()
    });
    render_within(&tree, &Recipe::Kustomize(recipe), &Inputs { variables }, budget)
}

fn built(files: &[(&str, String)], variable: Option<String>, budget: &Budget) -> Result<ResourceSet, String> {
    rendered(files, variable, budget).map_err(|error| {
        assert_eq!(error.category(), FaultCategory::Build, "{error}");
        error.to_string()
    })
}

fn config_map(name: &str, rest: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n{rest}---\n")
}

fn error(files: &[(&str, String)], variable: Option<String>, budget: &Budget) -> String {
    built(files, variable, budget).unwrap_err()
}

#[test]
fn a_long_glob_over_a_long_value_is_told_with_its_expression() {
    for operator in ["#", "##", "%", "%%"] {
        // The other way round the pattern begins with what the value does not have.
        let text = if operator.starts_with('#') {
            format!("${{V{operator}*{}b}}", "a".repeat(20_000))
        } else {
            format!("${{V{operator}b{}*}}", "a".repeat(20_000))
        };
        let files = [("a.yaml", config_map("a", &format!("data:\n  x: {text}\n")))];
        let budget = Budget::with_left(Cost::Steps, 1_000_000);
        let told = error(&files, Some("a".repeat(100_000)), &budget);
        let expected = "a.yaml: ConfigMap/a: the build is too expensive: more than 50000000 steps of \
            patterns or templates; the limit was exceeded in '${V";
        assert!(told.starts_with(expected), "{told}");
        assert!(told.len() < 300, "{} bytes are told", told.len());
    }
}

#[test]
fn replacements_that_double_the_depth_end_at_the_deepest_object() {
    let mut kustomization = String::from("resources: [a.yaml]\nreplacements:\n");
    let (mut depths, names) = ([1, 1], ["a", "b"]);
    for step in 0..14 {
        let (from, to) = (step % 2, (step + 1) % 2);
        let bottom = "x.".repeat(depths[to]);
        writeln!(
            kustomization,
            "- source: {{kind: ConfigMap, name: {}, fieldPath: spec}}\n  targets:\n  - select: {{name: {}}}\n    \
             fieldPaths: [spec.{}]",
            names[from],
            names[to],
            bottom.trim_end_matches('.'),
        )
        .unwrap();
        depths[to] += depths[from];
    }
    let object = |name: &str| config_map(name, "spec: {x: {}}\n");
    let files = [("kustomization.yaml", kustomization), ("a.yaml", object("a") + &object("b"))];
    let told = error(&files, None, &Budget::default());
    assert!(told.contains("replacements["), "{told}");
    assert!(told.contains("an object nests deeper than 200 levels"), "{told}");
}

#[test]
fn files_of_many_empty_lists_end_at_the_values_that_are_read() {
    let lists = format!("x: [{}]\n", "[],".repeat(20_000));
    let files: Vec<(String, String)> =
        (0..8).map(|at| (format!("{at}.yaml"), config_map(&format!("a{at}"), &lists))).collect();
    let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    let told = error(&files, None, &Budget::with_left(Cost::Nodes, 100_000));
    assert_eq!(
        told.lines().next(),
        Some("4.yaml: the build is too expensive: more than 1000000 values that are read")
    );
}

#[test]
fn many_overlays_of_one_base_end_at_the_values_that_are_read() {
    let numbers: Vec<String> = (0..200).map(|at| at.to_string()).collect();
    let mut files = vec![
        ("kustomization.yaml".to_owned(), format!("resources: [o{}]\n", numbers.join(", o"))),
        ("base/kustomization.yaml".to_owned(), "resources: [a.yaml]\n".to_owned()),
        ("base/a.yaml".to_owned(), config_map("a", &format!("x: [{}]\n", "[],".repeat(1_000)))),
    ];
    for number in numbers {
        let text = format!("namePrefix: p{number}-\nresources: [../base]\n");
        files.push((format!("o{number}/kustomization.yaml"), text));
    }
    let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    let told = error(&files, None, &Budget::with_left(Cost::Nodes, 100_000));
    assert!(told.contains("more than 1000000 values that are read"), "{told}");
    let told = error(&files, None, &Budget::with_left(Cost::FileBytes, 100_000));
    assert!(told.contains("base/a.yaml: the build is too expensive"), "{told}");
}

#[test]
fn substituted_text_is_summed_over_the_build() {
    let lines: Vec<String> = (0..30).map(|key| format!("  k{key}: ${{V}}\n")).collect();
    let data = lines.concat();
    let object = |at: usize| config_map(&format!("a{at}"), &format!("data:\n{data}"));
    let files = [("a.yaml", (0..100).map(object).collect())];
    let value = "v".repeat(450_000 / 100);
    let budget = Budget::with_left(Cost::SubstitutedBytes, 500_000);
    let told = error(&files, Some(value), &budget);
    assert!(told.starts_with("a.yaml: ConfigMap/a3: the build is too expensive"), "{told}");
    assert!(
        told.ends_with("bytes of text with substituted variables; the limit was exceeded in '${V}'"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(budget.left(Cost::SubstitutedBytes), 0);
}

#[test]
fn a_variable_that_is_read_as_many_values_ends_at_the_values_that_are_read() {
    let files = [("a.yaml", config_map("a", "x: ${V}\n"))];
    let told =
        error(&files, Some(format!("[{}]", "[],".repeat(20_000))), &Budget::with_left(Cost::Nodes, 10_000));
    assert!(told.contains("more than 1000000 values that are read"), "{told}");
}

#[test]
fn what_is_put_into_objects_is_counted_where_it_is_put() {
    let list = format!("x: [{}]\ny: {{}}\n", "{},".repeat(2_000));
    let configuration = "commonLabels:\n- {path: x/l, create: true}\n".to_owned();
    let doubling = "- {op: copy, from: /x, path: /x/-}\n".repeat(30).replace('\n', "\n    ");
    let long = "v".repeat(2_000);
    for (field, cost) in [
        (format!("configurations: [c.yaml]\ncommonLabels: {{a: {long}}}\n"), Cost::CopiedBytes),
        ("configurations: [c.yaml]\ncommonLabels: {a: b}\n".to_owned(), Cost::Copied),
        (format!("patches:\n- target: {{kind: ConfigMap}}\n  patch: |\n    {doubling}\n"), Cost::Copied),
        (
            "replacements:\n- source: {kind: ConfigMap, fieldPath: x}\n  targets:\n  - select: {kind: ConfigMap}\n    \
             fieldPaths: [y.a, y.b]\n    options: {create: true}\n"
                .to_owned(),
            Cost::Copied,
        ),
    ] {
        let files = [
            ("kustomization.yaml", format!("resources: [a.yaml]\n{field}")),
            ("a.yaml", config_map("a", &list)),
            ("c.yaml", configuration.clone()),
        ];
        let name = if cost == Cost::Copied { "values that are put" } else { "bytes that are put" };
        let told = error(&files, None, &Budget::with_left(cost, 1_500));
        assert!(told.contains(name), "{field}: {told}");
    }
}

#[test]
fn a_path_of_many_parts_makes_no_deep_object() {
    let path = ["y"; 300];
    for field in [
        format!("configurations: [c.yaml]\ncommonLabels: {{a: b}}\n#{}", path.join("/")),
        format!(
            "replacements:\n- sourceValue: a\n  targets:\n  - select: {{kind: ConfigMap}}\n    fieldPaths: [{}]\n    \
             options: {{create: true}}\n",
            path.join(".")
        ),
    ] {
        let files = [
            ("kustomization.yaml", format!("resources: [a.yaml]\n{field}")),
            ("a.yaml", config_map("a", "")),
            ("c.yaml", format!("commonLabels:\n- {{path: {}, create: true}}\n", path.join("/"))),
        ];
        let told = error(&files, None, &Budget::default());
        assert!(told.contains("an object nests deeper than 200 levels"), "{told}");
    }
}

#[test]
fn an_ordinary_build_spends_a_small_part_of_the_budget() {
    const COUNT: usize = 500;
    let object = |at: usize| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{at}, labels: {{app: d{at}}}}}\nspec:\n  selector: \
             {{matchLabels: {{app: d{at}}}}}\n  template:\n    metadata: {{labels: {{app: d{at}}}}}\n    spec:\n      \
             containers:\n      - name: c\n        image: registry.local/app:1\n        env:\n        - {{name: A, value: '${{V##*.}}'}}\n        resources: {{limits: {{cpu: 1, memory: 1Gi}}, requests: {{cpu: 1, memory: 1Gi}}}}\n---\n"
        )
    };
    let kustomization = "namespace: n\nnamePrefix: p-\nresources: [a.yaml]\ncommonLabels: {x: y}\ncommonAnnotations: {a: \
                         b}\nimages: [{name: registry.local/app, newTag: '2'}]\npatches:\n- target: {kind: Deployment, name: \
                         'd[0-9]*'}\n  patch: |\n    - {op: add, path: /spec/replicas, value: 2}\n- target: {kind: \
                         Deployment}\n  patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: \
                         any}\n    spec: {paused: false}\n";
    let files =
        [("kustomization.yaml", kustomization.to_owned()), ("a.yaml", (0..COUNT).map(object).collect())];
    let budget = Budget::default();
    assert_eq!(built(&files, Some("a.b.c".to_owned()), &budget).unwrap().len(), COUNT);
    for cost in EACH {
        // Ten times as many objects take up five sixths of the budget at most.
        assert!(
            budget.spent(cost) < cost.limit() / 12,
            "{cost:?}: {} of {}",
            budget.spent(cost),
            cost.limit()
        );
    }
}
