//! Templates and charts rendered by lockgate and by the real helm.

mod charts;
mod flags;
mod generated;
mod rules;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_render::helm::context::{NoCluster, Now, RenderContext};
use lockgate_render::helm::engine::{Renderable, render};
use lockgate_render::helm::template::ParsedTemplates;
use lockgate_render::helm::value::{Map, MapType, Value};
use serde_json::{Value as Json, json};

use super::helm::{Helm, NOW, value_of};

/// Templates by their paths in the chart, and the values that they are rendered with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) templates: BTreeMap<String, Vec<u8>>,
    pub(crate) values: Json,
}

/// What each template printed, or why none did.
pub(crate) type Printed = Result<BTreeMap<String, Vec<u8>>, Vec<u8>>;

/// Renders a case with the real engine.
pub(crate) fn theirs(helm: &mut Helm, case: &Case) -> Printed {
    let templates: BTreeMap<_, _> =
        case.templates.iter().map(|(path, text)| (path, STANDARD.encode(text))).collect();
    printed(&helm.request(&json!({"templates": templates, "values": case.values, "now": NOW})))
}

/// The outputs of an answer.
fn printed(answer: &Json) -> Printed {
    let bytes = |text: &Json| STANDARD.decode(text.as_str().unwrap_or_default()).expect("it is base64");
    if answer["error"].is_string() {
        return Err(bytes(&answer["error"]));
    }
    let outputs = answer["outputs"].as_object().into_iter().flatten();
    Ok(outputs.map(|(path, text)| (path.clone(), bytes(text))).collect())
}

/// What lockgate makes of a case.
pub(crate) fn ours(case: &Case) -> Printed {
    let values = match value_of(&case.values) {
        Value::Map(map) => map.seen_as(MapType::Values),
        _ => Map::new(MapType::Values),
    };
    let release = Value::map([
        ("Name", Value::from("r")),
        ("Namespace", Value::from("ns")),
        ("IsUpgrade", Value::Bool(false)),
        ("IsInstall", Value::Bool(true)),
        ("Revision", Value::Int(1)),
        ("Service", Value::from("Helm")),
    ]);
    let top = Map::new(MapType::Values);
    for (key, value) in [
        ("Values", Value::Map(values)),
        ("Release", release),
        ("Files", Value::Map(Map::new(MapType::Files))),
        ("Subcharts", Value::map::<&str>([])),
    ] {
        top.insert(key.into(), value).expect("it is no nil map");
    }
    let files = case.templates.iter().map(|(path, text)| Renderable {
        path: format!("c/{path}").into(),
        text: text.clone().into(),
        top: top.clone(),
        base_path: "c/templates".into(),
    });
    let mut context = RenderContext::new(Now { seconds: NOW, nanoseconds: 0 }, [7; 32], &NoCluster);
    match render(files.collect(), &ParsedTemplates::default(), &mut context) {
        Ok(printed) => {
            Ok(printed.into_iter().map(|(path, text)| (path.lossy().into_owned(), text)).collect())
        }
        Err(error) => Err(error.text().into_bytes()),
    }
}

/// Runs `work` where templates may nest: on a thread with a large stack.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(1 << 30);
        let thread = builder.spawn_scoped(scope, work).expect("a thread starts");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What differs, if anything does.
pub(crate) fn difference(case: &Case, theirs: &Printed, ours: &Printed) -> Option<String> {
    if theirs == ours {
        return None;
    }
    let shown = |printed: &Printed| match printed {
        Ok(outputs) => outputs
            .iter()
            .map(|(path, text)| format!("{path}: {:?}", String::from_utf8_lossy(text)))
            .collect::<Vec<_>>()
            .join("\n      "),
        Err(error) => format!("error: {}", String::from_utf8_lossy(error)),
    };
    let templates: Vec<_> = case.templates.values().map(|text| String::from_utf8_lossy(text)).collect();
    Some(format!(
        "=== {}\n  {}\n  values {}\n  helm: {}\n  ours: {}",
        case.name,
        templates.join("\n  ---\n  "),
        case.values,
        shown(theirs),
        shown(ours)
    ))
}
