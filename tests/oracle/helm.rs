//! Templates rendered by lockgate and by the real helm engine.
//!
//! The Go side is the small module in `helm/`, built once into the cache folder.

pub(crate) mod values;
mod documents;
mod functions;
mod random_values;
mod versions;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_render::helm::context::{NoCluster, Now, RenderContext};
use lockgate_render::helm::engine::{Renderable, render};
use lockgate_render::helm::template::ParsedTemplates;
use lockgate_render::helm::value::{Map, MapType, Str, Value};
use serde_json::{Value as Json, json};

use super::Peer;

/// The result of `now` on both sides, in seconds since 1970.
pub(crate) const NOW: i64 = 1_700_000_000;

/// The result of a template: its text, or its error.
pub(crate) type Answer = Result<Vec<u8>, String>;

/// The program that is built from a Go module in this folder.
pub(crate) fn built(module: &str) -> PathBuf {
    harness::oracle(module).expect("the program is built")
}

/// The real engine, which answers one request at a time.
pub(crate) struct Helm(Peer);

impl Helm {
    pub(crate) fn start() -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| built("helm"));
        Self(Peer::start(program))
    }

    /// Sends a request and returns its answer.
    pub(crate) fn request(&mut self, request: &Json) -> Json {
        self.0.request(request)
    }

    /// Renders one template of a chart without other templates.
    pub(crate) fn ask(&mut self, template: &[u8], values: &Json) -> Answer {
        let request =
            json!({"templates": {"templates/a": STANDARD.encode(template)}, "values": values, "now": NOW});
        let answer = self.request(&request);
        let decoded = |text: &Json| STANDARD.decode(text.as_str().unwrap_or_default()).expect("base64");
        match &answer["error"] {
            Json::Null => Ok(decoded(&answer["outputs"]["c/templates/a"])),
            error => Err(String::from_utf8_lossy(&decoded(error)).into_owned()),
        }
    }
}

/// A value as from YAML and JSON files, in which every number is a float.
pub(crate) fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Float(number.as_f64().expect("a float")),
        Json::String(text) => Value::str(text.as_str()),
        Json::Array(items) => Value::list(items.iter().map(value_of).collect()),
        Json::Object(map) => Value::map(map.iter().map(|(key, value)| (key.as_str(), value_of(value)))),
    }
}

/// Renders the same template with lockgate.
pub(crate) fn ours(template: &[u8], values: &Json) -> Answer {
    let now = Now { seconds: NOW, nanoseconds: 0 };
    let mut context = RenderContext::new(now, [7; 32], &NoCluster);
    let Value::Map(values) = value_of(values) else { panic!("the values are a map") };
    let top = BTreeMap::from([(Str::from("Values"), Value::Map(values.seen_as(MapType::Values)))]);
    let path = "c/templates/a";
    let file = Renderable {
        path: path.into(),
        text: template.into(),
        top: Map::from_entries(MapType::Any, top),
        base_path: "c/templates".into(),
    };
    let mut printed = render(vec![file], &ParsedTemplates::default(), &mut context)
        .map_err(|error| error.text().clone())?;
    Ok(printed.remove(path.as_bytes()).expect("the template was printed"))
}

/// Both answers, if they differ.
pub(crate) fn difference(helm: &mut Helm, template: &[u8], values: &Json) -> Option<String> {
    let (theirs, ours) = (helm.ask(template, values), ours(template, values));
    if theirs == ours {
        return None;
    }
    let shown = |answer: &Answer| match answer {
        Ok(text) => format!("{:?}", String::from_utf8_lossy(text).chars().take(1000).collect::<String>()),
        Err(error) => format!("error: {}", error.chars().take(1000).collect::<String>()),
    };
    let template = String::from_utf8_lossy(template);
    Some(format!("{template}\n  helm:     {}\n  lockgate: {}\n", shown(&theirs), shown(&ours)))
}
