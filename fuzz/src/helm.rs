//! The property of every chart: it renders or fails within its bounds, and gives all memory back.

use std::io::Write as _;
use std::rc::Rc;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use lockgate_base::tree::Tree;
use lockgate_render::helm::chart::archive::Bounds;
use lockgate_render::helm::chart::capabilities::Capabilities;
use lockgate_render::helm::chart::{Chart, files_of};
use lockgate_render::helm::context::{NoCluster, Now, RenderContext};
use lockgate_render::helm::engine::{Renderable, render as render_templates};
use lockgate_render::helm::error::Error;
use lockgate_render::helm::release::{Release, render};
use lockgate_render::helm::shelf::Prepared;
use lockgate_render::helm::template::ParsedTemplates;
use lockgate_render::helm::value::{Map, MapType, Value, live};
use lockgate_render::helm::values::GivenValues;

use crate::Case;

/// The stack size of a render.
const STACK: usize = 256 << 20;

/// Runs a render as the product does, and checks that none of its memory stays.
fn run(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let counted = || {
            let before = live();
            work();
            assert_eq!(live(), before, "memory is not given back");
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, counted);
        thread.expect("a thread starts").join().expect("a render does not panic");
    });
}

/// Renders a text as the only template of a chart.
pub fn template(text: &[u8]) {
    run(|| {
        let inner = Value::map([("k", Value::from("v")), ("n", Value::Float(1.0)), ("e", Value::Nil)]);
        let list = Value::list(vec![Value::from("a"), Value::Float(2.0), Value::Nil, inner.clone()]);
        let values = Value::map([("m", inner), ("l", list), ("s", "text".into()), ("t", true.into())]);
        let _ = rendered(text, values);
    });
}

/// Uses the first line as a pattern on the rest. Every function must accept a pattern that is valid, unless
/// it would cost too much.
pub fn regex(text: &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let (pattern, rest) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    run(|| {
        let values = || Value::map([("p", Value::from(pattern.to_vec())), ("s", Value::from(rest.to_vec()))]);
        let matches = rendered(b"{{ mustRegexMatch .Values.p .Values.s }}", values());
        for call in [
            "mustRegexFindAll .Values.p .Values.s -1",
            "mustRegexReplaceAll .Values.p .Values.s \"<$0>\"",
            "mustRegexSplit .Values.p .Values.s -1",
        ] {
            let other = rendered(format!("{{{{ {call} }}}}").as_bytes(), values());
            let is_over = other.as_ref().is_err_and(Error::is_bound);
            assert!(is_over || matches.is_ok() == other.is_ok(), "{call}: {matches:?} {other:?}");
        }
    });
}

fn rendered(text: &[u8], values: Value) -> Result<(), Error> {
    let mut context = RenderContext::new(Now::default(), [7; 32], &NoCluster);
    let top = Map::new(MapType::Values);
    top.insert("Values".into(), values)?;
    let file = Renderable {
        path: "c/templates/a.yaml".into(),
        text: text.into(),
        top,
        base_path: "c/templates".into(),
    };
    render_templates(vec![file], &ParsedTemplates::default(), &mut context).map(|_| ())
}

/// Renders a chart of these files, with the values in a file `given`.
pub fn chart(case: Case) {
    run(|| {
        let tree = Tree::in_memory(case.files.iter().map(|(path, content)| (path.clone(), content.clone())));
        let mut bounds = Bounds::default();
        let Ok(files) = files_of(&tree.reader(), "", &mut bounds) else { return };
        let Ok(chart) = Chart::load(files, &mut bounds) else { return };
        let given = case.files.iter().find(|(path, _)| path == "given").map_or("", |(_, content)| content);
        let Ok(given) = GivenValues::default().file("given", given.as_bytes()) else { return };
        let release = Release {
            name: "r".into(),
            namespace: "n".into(),
            revision: 1,
            is_upgrade: false,
            capabilities: Capabilities::default(),
            documents: Rc::default(),
        };
        let mut context = RenderContext::new(Now::default(), [7; 32], &NoCluster);
        let _ = render(Prepared::new(chart), &release, &given, &mut context);
    });
}

/// Unpacks the bytes, and the same bytes packed.
pub fn archive(bytes: &[u8]) {
    run(|| {
        let _ = Chart::unpack(bytes, &mut Bounds::default());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        if gzip.write_all(bytes).is_ok()
            && let Ok(packed) = gzip.finish()
        {
            let _ = Chart::unpack(&packed, &mut Bounds::default());
        }
    });
}
