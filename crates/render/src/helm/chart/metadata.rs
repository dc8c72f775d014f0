//! Chart.yaml and requirements.yaml: the metadata of a chart, read as Go's JSON decoder reads them.

mod stored;

use std::collections::BTreeMap;

use lockgate_base::model::version::Version;
use lockgate_base::model::yaml::{Dialect, first_document};
use serde_json::{Map as JsonMap, Value as Json};

use crate::helm::error::Error;
use crate::helm::go::number::{FloatForm, format_float};
use crate::helm::go::quote::quote;
use crate::helm::go::unicode::is_print;
use crate::helm::value::{Map, MapType, Str, Value};
use crate::helm::values::read::{json_type, value_of};

/// The content of Chart.yaml. Missing fields are empty.
#[derive(Debug, Clone, Default)]
pub struct ChartMetadata {
    pub(in crate::helm) name: String,
    home: String,
    sources: Vec<String>,
    pub(in crate::helm) version: String,
    description: String,
    keywords: Vec<String>,
    maintainers: Vec<Option<Maintainer>>,
    icon: String,
    pub(in crate::helm) api_version: String,
    condition: String,
    tags: String,
    app_version: String,
    pub(in crate::helm) deprecated: bool,
    annotations: Option<BTreeMap<String, String>>,
    pub(in crate::helm) kube_version: String,
    /// `None` where the field is not written, or null.
    pub(in crate::helm) dependencies: Option<Vec<Dependency>>,
    pub(in crate::helm) kind: String,
    has_null_dependency: bool,
}

#[derive(Debug, Clone, Default)]
struct Maintainer {
    name: String,
    email: String,
    url: String,
}

/// A chart that another one depends on.
#[derive(Debug, Clone, Default)]
pub(in crate::helm) struct Dependency {
    pub(in crate::helm) name: String,
    pub(in crate::helm) version: String,
    repository: String,
    pub(in crate::helm) condition: String,
    pub(in crate::helm) tags: Vec<String>,
    pub(in crate::helm) enabled: bool,
    pub(in crate::helm) import_values: Vec<Value>,
    pub(in crate::helm) alias: String,
}

type Done<T> = Result<T, Error>;

impl ChartMetadata {
    /// Reads a file over the known fields: a field that the file does not have stays. `go_type` is the type
    /// into which helm reads the file.
    pub(super) fn read(&mut self, text: &[u8], go_type: &str) -> Done<()> {
        let text = std::str::from_utf8(text)
            .map_err(|_| Error::new("error converting YAML to JSON: yaml: invalid leading UTF-8 octet"))?;
        let document = first_document(text, Dialect::V2)
            .map_err(|error| Error::new(format!("error converting YAML to JSON: yaml: {error}")))?;
        let fields = match &document.value {
            Json::Null => return Ok(()),
            Json::Object(fields) => Fields { of: "Metadata", path: "", entries: fields },
            other => {
                let got = json_type(other);
                return Err(json_error(&format!("{got} into Go value of type {go_type}")));
            }
        };
        fields.text("name", &mut self.name)?;
        fields.text("home", &mut self.home)?;
        fields.texts("sources", &mut self.sources)?;
        fields.text("version", &mut self.version)?;
        fields.text("description", &mut self.description)?;
        fields.texts("keywords", &mut self.keywords)?;
        fields.text("icon", &mut self.icon)?;
        fields.text("apiVersion", &mut self.api_version)?;
        fields.text("condition", &mut self.condition)?;
        fields.text("tags", &mut self.tags)?;
        fields.text("appVersion", &mut self.app_version)?;
        fields.truth("deprecated", &mut self.deprecated)?;
        fields.text("kubeVersion", &mut self.kube_version)?;
        fields.text("type", &mut self.kind)?;
        fields.annotations(&mut self.annotations)?;
        if let Some(items) = fields.items("maintainers", "[]*v2.Maintainer")? {
            self.maintainers = items.iter().map(Maintainer::read).collect::<Done<_>>()?;
        }
        if let Some(items) = fields.items("dependencies", "[]*v2.Dependency")? {
            self.has_null_dependency = items.iter().any(Json::is_null);
            let written = items.iter().filter(|item| !item.is_null());
            self.dependencies = Some(written.map(Dependency::read).collect::<Done<_>>()?);
        } else if fields.get("dependencies").is_some() {
            self.dependencies = None;
        }
        Ok(())
    }

    /// Checks that all required fields exist, with helm's messages, and removes unprintable characters from
    /// the texts.
    pub(super) fn validate(&mut self) -> Done<()> {
        let error = |message: String| Err(Error::new(format!("validation: {message}")));
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            *text = sanitized(text);
        }
        for text in self.sources.iter_mut().chain(&mut self.keywords) {
            *text = sanitized(text);
        }
        let name = quoted(&self.name);
        let is_base = !self.name.contains('/');
        if self.api_version.is_empty() {
            return error("chart.metadata.apiVersion is required".into());
        }
        if self.name.is_empty() {
            return error("chart.metadata.name is required".into());
        }
        if self.name == "." || self.name == ".." {
            return error(format!("chart.metadata.name {name} is not allowed"));
        }
        if !is_base {
            return error(format!("chart.metadata.name {name} is invalid"));
        }
        if self.version.is_empty() {
            return error("chart.metadata.version is required".into());
        }
        if Version::parse(&self.version).is_err() {
            return error(format!("chart.metadata.version {} is invalid", quoted(&self.version)));
        }
        if !matches!(&*self.kind, "" | "application" | "library") {
            return error("chart.metadata.type must be application or library".into());
        }
        for maintainer in &mut self.maintainers {
            let Some(maintainer) = maintainer else {
                return error("maintainers must not contain empty or null nodes".into());
            };
            for text in [&mut maintainer.name, &mut maintainer.email, &mut maintainer.url] {
                *text = sanitized(text);
            }
        }
        if self.has_null_dependency {
            return error("dependencies must not contain empty or null nodes".into());
        }
        let mut seen = Vec::new();
        for dependency in self.dependencies.iter_mut().flatten() {
            dependency.validate()?;
            let key = if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias };
            if seen.contains(key) {
                return error(format!("more than one dependency with name or alias {}", quoted(key)));
            }
            seen.push(key.clone());
        }
        Ok(())
    }

    /// `.Chart`, whose keys are the names of Go's fields.
    pub(in crate::helm) fn as_map(&self, is_root: bool) -> Value {
        let texts = |texts: &[String]| Value::list(texts.iter().map(|text| Value::from(&**text)).collect());
        let annotations = match &self.annotations {
            None => Map::nil(MapType::Strings),
            Some(entries) => {
                let entries = entries.iter().map(|(key, value)| (Str::from(&**key), Value::from(&**value)));
                Map::from_entries(MapType::Strings, entries.collect())
            }
        };
        let maintainers = self.maintainers.iter().flatten().map(Maintainer::as_map).collect();
        let dependencies = self.dependencies.iter().flatten().map(Dependency::as_map).collect();
        Value::map([
            ("Name", Value::from(&*self.name)),
            ("Home", (&*self.home).into()),
            ("Sources", texts(&self.sources)),
            ("Version", (&*self.version).into()),
            ("Description", (&*self.description).into()),
            ("Keywords", texts(&self.keywords)),
            ("Maintainers", Value::list(maintainers)),
            ("Icon", (&*self.icon).into()),
            ("APIVersion", (&*self.api_version).into()),
            ("Condition", (&*self.condition).into()),
            ("Tags", (&*self.tags).into()),
            ("AppVersion", (&*self.app_version).into()),
            ("Deprecated", self.deprecated.into()),
            ("Annotations", Value::Map(annotations)),
            ("KubeVersion", (&*self.kube_version).into()),
            ("Dependencies", Value::list(dependencies)),
            ("Type", (&*self.kind).into()),
            ("IsRoot", is_root.into()),
        ])
    }

    /// Whether it is a library, whose templates print nothing by themselves.
    pub(in crate::helm) fn is_library(&self) -> bool {
        self.kind.eq_ignore_ascii_case("library")
    }
}

impl Maintainer {
    fn read(item: &Json) -> Done<Option<Self>> {
        let mut maintainer = Self::default();
        let Some(fields) = Fields::of_item(item, "Maintainer", "maintainers")? else { return Ok(None) };
        fields.text("name", &mut maintainer.name)?;
        fields.text("email", &mut maintainer.email)?;
        fields.text("url", &mut maintainer.url)?;
        Ok(Some(maintainer))
    }

    fn as_map(&self) -> Value {
        Value::map([
            ("Name", Value::from(&*self.name)),
            ("Email", (&*self.email).into()),
            ("URL", (&*self.url).into()),
        ])
    }
}

impl Dependency {
    /// The address of the chart's repository.
    pub(in crate::helm) fn repository(&self) -> &str {
        &self.repository
    }

    fn read(item: &Json) -> Done<Self> {
        let mut dependency = Self::default();
        let Some(fields) = Fields::of_item(item, "Dependency", "dependencies")? else {
            return Ok(dependency);
        };
        fields.text("name", &mut dependency.name)?;
        fields.text("version", &mut dependency.version)?;
        fields.text("repository", &mut dependency.repository)?;
        fields.text("condition", &mut dependency.condition)?;
        fields.texts("tags", &mut dependency.tags)?;
        fields.truth("enabled", &mut dependency.enabled)?;
        fields.text("alias", &mut dependency.alias)?;
        if let Some(items) = fields.items("import-values", "[]interface {}")? {
            dependency.import_values = items.iter().map(value_of).collect();
        }
        Ok(dependency)
    }

    fn validate(&mut self) -> Done<()> {
        for text in [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition] {
            *text = sanitized(text);
        }
        for text in &mut self.tags {
            *text = sanitized(text);
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !self.alias.bytes().all(fits) {
            let name = quoted(&self.name);
            return Err(Error::new(format!(
                "validation: dependency {name} has disallowed characters in the alias"
            )));
        }
        Ok(())
    }

    fn as_map(&self) -> Value {
        let tags = self.tags.iter().map(|tag| Value::from(&**tag)).collect();
        Value::map([
            ("Name", Value::from(&*self.name)),
            ("Version", (&*self.version).into()),
            ("Repository", (&*self.repository).into()),
            ("Condition", (&*self.condition).into()),
            ("Tags", Value::list(tags)),
            ("Enabled", self.enabled.into()),
            ("ImportValues", Value::list(self.import_values.clone())),
            ("Alias", (&*self.alias).into()),
        ])
    }
}

/// The fields of a JSON object, read into those of a Go struct.
struct Fields<'j> {
    of: &'static str,
    /// The way to the object within `Metadata`, with a dot at its end.
    path: &'static str,
    entries: &'j JsonMap<String, Json>,
}

impl<'j> Fields<'j> {
    fn of_item(item: &'j Json, of: &'static str, path: &'static str) -> Done<Option<Self>> {
        match item {
            Json::Null => Ok(None),
            Json::Object(fields) => Ok(Some(Self { of, path, entries: fields })),
            other => {
                let got = json_type(other);
                Err(json_error(&format!("{got} into Go struct field Metadata.{path} of type v2.{of}")))
            }
        }
    }

    fn get(&self, name: &str) -> Option<&'j Json> {
        field(self.entries, name)
    }

    fn wrong<T>(&self, name: &str, got: &Json, wanted: &str) -> Done<T> {
        let (of, path, got) = (self.of, self.path, json_type(got));
        let way = if path.is_empty() { format!("{of}.{name}") } else { format!("Metadata.{path}.{name}") };
        Err(json_error(&format!("{got} into Go struct field {way} of type {wanted}")))
    }

    fn text(&self, name: &str, into: &mut String) -> Done<()> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(()),
            Some(value) => match as_text(value) {
                Some(text) => {
                    *into = text;
                    Ok(())
                }
                None => self.wrong(name, value, "string"),
            },
        }
    }

    fn truth(&self, name: &str, into: &mut bool) -> Done<()> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(()),
            Some(Json::Bool(value)) => {
                *into = *value;
                Ok(())
            }
            Some(other) => self.wrong(name, other, "bool"),
        }
    }

    fn items(&self, name: &str, wanted: &str) -> Done<Option<&'j Vec<Json>>> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Array(items)) => Ok(Some(items)),
            Some(other) => self.wrong(name, other, wanted),
        }
    }

    fn texts(&self, name: &str, into: &mut Vec<String>) -> Done<()> {
        let Some(items) = self.items(name, "[]string")? else { return Ok(()) };
        let mut texts = Vec::new();
        for item in items {
            match as_text(item) {
                Some(text) => texts.push(text),
                None if item.is_null() => texts.push(String::new()),
                None => return self.wrong(name, item, "string"),
            }
        }
        *into = texts;
        Ok(())
    }

    fn annotations(&self, into: &mut Option<BTreeMap<String, String>>) -> Done<()> {
        let name = "annotations";
        let entries = match self.get(name) {
            None | Some(Json::Null) => return Ok(()),
            Some(Json::Object(entries)) => entries,
            Some(other) => return self.wrong(name, other, "map[string]string"),
        };
        let known = into.get_or_insert_default();
        for (key, value) in entries {
            let text = if value.is_null() { Some(String::new()) } else { as_text(value) };
            let Some(text) = text else { return self.wrong(name, value, "string") };
            known.insert(key.clone(), text);
        }
        Ok(())
    }
}

/// A field by its name; where none has it exactly, by its name in other case, as Go's JSON decoder finds it.
pub(in crate::helm) fn field<'j>(fields: &'j JsonMap<String, Json>, name: &str) -> Option<&'j Json> {
    let other_case = || {
        let mut found = fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    };
    fields.get(name).or_else(other_case)
}

/// A scalar as text, as sigs.k8s.io/yaml makes one where Go wants a string.
pub(in crate::helm) fn as_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(number) if number.is_f64() => {
            #[expect(clippy::cast_possible_truncation, reason = "as the library, which prints a float32")]
            let single = number.as_f64()? as f32;
            // The shortest text of the float32, in the form that Go's 'g' has.
            let shortest: f64 = single.to_string().parse().ok()?;
            Some(format_float(shortest, FloatForm::General, None))
        }
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn json_error(what: &str) -> Error {
    Error::new(format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {what}"))
}

/// Space is a blank, and what cannot be printed is left out.
fn sanitized(text: &str) -> String {
    let kept = |character: char| match character {
        _ if character.is_whitespace() => Some(' '),
        _ if is_print(character) => Some(character),
        _ => None,
    };
    text.chars().filter_map(kept).collect()
}

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&quote(text.as_bytes(), false)).into_owned()
}
