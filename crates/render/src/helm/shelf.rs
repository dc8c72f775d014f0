//! The charts that were rendered last. Their archives need not be read again, nor their templates parsed.

use std::rc::Rc;

use super::chart::Chart;
use super::error::Error;
use super::template::ParsedTemplates;

/// The number of charts that are kept.
const KEPT: usize = 8;
/// The size of the charts that are kept together, in bytes of their files.
const BYTES_KEPT: usize = 8 * 1024 * 1024;

/// A chart with its parsed templates, which a copy shares.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The chart.
    pub chart: Chart,
    /// Its parsed templates.
    pub parsed: Rc<ParsedTemplates>,
}

impl Prepared {
    /// A chart that has not been rendered yet.
    pub fn new(chart: Chart) -> Self {
        Self { chart, parsed: Rc::default() }
    }
}

/// The charts that were rendered last, each under the digest of its content. Each rendering thread has a
/// shelf of its own, since the content cannot leave its thread.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The last one was used last.
    kept: Vec<(String, Prepared)>,
    reads: u64,
}

impl Shelf {
    /// The chart with this digest. `read` reads a chart that is not kept; its failures are not kept.
    pub fn chart(
        &mut self,
        digest: &str,
        read: impl FnOnce() -> Result<Chart, Error>,
    ) -> Result<Prepared, Error> {
        let at = self.kept.iter().position(|(known, _)| known == digest);
        let prepared = if let Some(at) = at {
            self.kept.remove(at).1
        } else {
            self.reads += 1;
            Prepared::new(read()?)
        };
        self.kept.push((digest.to_owned(), prepared.clone()));
        let size =
            |kept: &[(String, Prepared)]| kept.iter().map(|(_, kept)| kept.chart.size()).sum::<usize>();
        while self.kept.len() > KEPT || (!self.kept.is_empty() && size(&self.kept) > BYTES_KEPT) {
            self.kept.remove(0);
        }
        Ok(prepared)
    }

    /// How many charts were read.
    pub const fn reads(&self) -> u64 {
        self.reads
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::chart::File;
    use super::super::chart::archive::Bounds;
    use super::super::chart::capabilities::Capabilities;
    use super::super::context::{NoCluster, Now, RenderContext};
    use super::super::release::{Release, render};
    use super::super::value::live;
    use super::super::values::GivenValues;
    use super::*;

    fn chart(name: &str) -> Chart {
        let files = [
            ("Chart.yaml", format!("{{apiVersion: v2, name: {name}, version: 1.0.0}}")),
            ("values.yaml", "list: [a]\nmap: {a: 1}\n".into()),
            ("templates/_a.tpl", "{{ define \"a\" }}{{ .Release.Name }}{{ end }}".into()),
            (
                "templates/b.yaml",
                "a: {{ include \"a\" . }}\n{{ $_ := set .Values.map .Release.Name 1 }}b: {{ len .Values.map }}\n".into(),
            ),
            ("charts/c/Chart.yaml", "{apiVersion: v2, name: c, version: 1.0.0}".into()),
            ("charts/c/templates/c.yaml", "c: {{ toJson .Values }}\n".into()),
        ];
        let files = files.map(|(path, text)| File { path: path.into(), content: text.into_bytes().into() });
        Chart::load(files.into(), &mut Bounds::default()).unwrap()
    }

    fn rendered(prepared: Prepared, name: &str) -> String {
        let release = Release {
            name: name.into(),
            namespace: "n".into(),
            revision: 1,
            is_upgrade: false,
            capabilities: Capabilities::default(),
            documents: Rc::default(),
        };
        let mut context = RenderContext::new(Now::default(), [7; 32], &NoCluster);
        let rendered = render(prepared, &release, &GivenValues::default(), &mut context).unwrap();
        rendered.manifests.plain.iter().map(|plain| &*plain.text).collect()
    }

    #[test]
    fn a_hundred_releases_of_a_chart_read_it_and_parse_it_once() {
        let mut shelf = Shelf::default();
        let mut reads = 0;
        let mut counts = Vec::new();
        let mut held = BTreeMap::new();
        for at in 0..100 {
            let prepared = shelf.chart("digest", || {
                reads += 1;
                Ok(chart("demo"))
            });
            let prepared = prepared.unwrap();
            let parsed = Rc::clone(&prepared.parsed);
            let name = format!("r{at}");
            let text = rendered(prepared, &name);
            // A later release does not see the changes of an earlier one to its values.
            assert_eq!(text, format!("c: {{\"global\":{{}}}}\na: {name}\nb: 2\n"));
            counts.push(parsed.count());
            *held.entry(live()).or_insert(0) += 1;
        }
        assert_eq!((reads, counts), (1, vec![3; 100]));
        assert_eq!(held.into_values().collect::<Vec<_>>(), [100], "each render gives its memory back");
    }

    #[test]
    fn charts_are_kept_up_to_their_size() {
        let mut shelf = Shelf::default();
        let large = |name: &str, size: usize| {
            let yaml = format!("{{apiVersion: v2, name: {name}, version: 1.0.0}}");
            let files = [("Chart.yaml", yaml.into_bytes()), ("files/a", vec![b'a'; size])];
            let files = files.map(|(path, content)| File { path: path.into(), content: content.into() });
            Chart::load(files.into(), &mut Bounds::default())
        };
        let half = BYTES_KEPT / 2;
        for (name, size, reads) in [
            ("a", half, 1),
            ("b", half, 2),
            ("a", half, 2),
            ("c", half, 3),
            ("b", half, 4),
            // One that takes all the room and more leaves none, not even for itself.
            ("d", BYTES_KEPT + 1, 5),
            ("d", BYTES_KEPT + 1, 6),
        ] {
            shelf.chart(name, || large(name, size)).unwrap();
            assert_eq!(shelf.reads(), reads, "{name}");
        }
    }

    #[test]
    fn the_charts_that_were_used_last_are_kept() {
        let mut shelf = Shelf::default();
        let mut reads = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "a", "i", "a", "b"] {
            let read = || {
                reads.push(name);
                Ok(chart(name))
            };
            assert_eq!(shelf.chart(name, read).unwrap().chart.name(), name);
        }
        assert_eq!(reads, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "b"]);
        assert_eq!(shelf.reads(), 10);
        assert!(shelf.chart("z", || Err(Error::new("broken"))).is_err());
        assert!(shelf.chart("z", || Ok(chart("z"))).is_ok());
    }
}
