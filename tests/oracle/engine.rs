//! Charts and templates rendered by lockgate and by the real helm, which the Go module in `helm/` holds.

mod charts;
mod generated;
mod rules;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_render::helm::context::{Context, NoCluster, Now};
use lockgate_render::helm::engine::{Renderable, render};
use lockgate_render::helm::value::{Map, MapType, Value};
use serde_json::{Value as Json, json};

/// The real helm's engine, answering one request at a time.
pub(crate) struct Helm {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Templates by their paths in the chart, and the values that they are rendered with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) templates: BTreeMap<String, Vec<u8>>,
    pub(crate) values: Json,
}

/// What each template printed, or why none did.
pub(crate) type Printed = Result<BTreeMap<String, Vec<u8>>, Vec<u8>>;

impl Helm {
    /// Starts the program, which is built on first use.
    pub(crate) fn start() -> Self {
        static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let program = PROGRAM.get_or_init(build).as_ref();
        let program = program.unwrap_or_else(|reason| panic!("helm's engine cannot be built: {reason}"));
        let mut child = Command::new(program)
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("helm's engine starts");
        let input = child.stdin.take().expect("standard input is piped");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Self { child, input, output }
    }

    /// Sends a request and gives the answer to it.
    pub(crate) fn ask(&mut self, request: &Json) -> Json {
        writeln!(self.input, "{request}").expect("helm's engine takes a request");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("helm's engine answers");
        assert!(!line.is_empty(), "helm's engine ended at {request}");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Renders a case.
    pub(crate) fn render(&mut self, case: &Case) -> Printed {
        let templates: BTreeMap<_, _> =
            case.templates.iter().map(|(path, text)| (path, STANDARD.encode(text))).collect();
        let answer = self.ask(&json!({"templates": templates, "values": case.values, "now": NOW}));
        printed(&answer)
    }
}

/// The time that templates are told.
pub(crate) const NOW: i64 = 1_790_000_000;

/// The outputs of an answer.
pub(crate) fn printed(answer: &Json) -> Printed {
    let bytes = |text: &Json| STANDARD.decode(text.as_str().unwrap_or_default()).expect("it is base64");
    if answer["error"].is_string() {
        return Err(bytes(&answer["error"]));
    }
    let outputs = answer["outputs"].as_object().into_iter().flatten();
    Ok(outputs.map(|(path, text)| (path.clone(), bytes(text))).collect())
}

impl Drop for Helm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn build() -> Result<PathBuf, String> {
    let program = Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("/tmp/h1dev/target")).join("oracle-helm");
    let module = Path::new("/work/wt/helm1/tests/oracle/helm");
    let output = Command::new("go")
        .args(["build", "-p", "1", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(module)
        .output()
        .map_err(|error| format!("go cannot be run: {error}"))?;
    let failure = || format!("the Go module cannot be built: {}", String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(program) } else { Err(failure()) }
}

/// A JSON value as values files give it: each number is a float.
pub(crate) fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or_default()),
        Json::String(text) => Value::from(&**text),
        Json::Array(items) => Value::list(items.iter().map(value_of).collect()),
        Json::Object(entries) => Value::map(entries.iter().map(|(key, value)| (&**key, value_of(value)))),
    }
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
    let mut context = Context::new(Now { seconds: NOW, nanoseconds: 0 }, [7; 32], &NoCluster);
    match render(files.collect(), &mut context) {
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
