//! values.schema.json: checks the values of a chart, and of each chart in it, against its schema.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::rc::Rc;

use boon::{Compiler, ErrorKind, InstanceToken, Schemas, UrlLoader, ValidationError};
use serde_json::{Map as JsonMap, Number, Value as Json};

use super::references::{Documents, OWN};
use crate::helm::chart::Chart;
use crate::helm::context::RenderContext;
use crate::helm::error::Error;
use crate::helm::go::number::{FloatForm, format_float};
use crate::helm::go::quote::quote;
use crate::helm::value::{DEPTH, Map, MapType, Str, Value, too_deep};
use crate::helm::values::origin::Origins;

/// Fails if values violate the schemas of a chart or of its subcharts, with helm's words and the origin of
/// each value. A missing document counts as one that allows everything. Returns the URLs of missing
/// documents, each with the reason.
pub fn validate(
    chart: &Chart,
    values: &Map,
    origins: &Origins,
    documents: &Rc<Documents>,
    context: &mut RenderContext<'_>,
) -> Result<Vec<String>, Error> {
    let mut check = Check {
        documents: Rc::clone(documents),
        missing: BTreeSet::new(),
        origins: origins.clone(),
        path: Vec::new(),
        told: String::new(),
    };
    check.chart(chart, values, context)?;
    let told = check.told;
    if told.is_empty() {
        return Ok(check.missing.into_iter().collect());
    }
    Err(Error::new(format!(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{told}"
    )))
}

/// The state of a check, and its findings so far.
struct Check {
    documents: Rc<Documents>,
    missing: BTreeSet<String>,
    /// The origins of the values of the checked chart, and of its parents.
    origins: Origins,
    /// The path of the chart's values within those of the outermost chart.
    path: Vec<String>,
    told: String,
}

impl Check {
    fn chart(&mut self, chart: &Chart, values: &Map, context: &mut RenderContext<'_>) -> Result<(), Error> {
        let outer = self.origins.clone();
        let own = self.path.iter().rev().fold(chart.values.clone(), |inner, step| {
            let entry = (Str::from(&**step), Value::Map(inner));
            Map::from_entries(MapType::Any, [entry].into_iter().collect())
        });
        self.origins = outer.over([(format!("values.yaml of the chart {}", chart.name()), own)]);
        if let Some(schema) = &chart.schema {
            context.spend(schema.len())?;
            let values = json_of(&Value::Map(values.clone()), 0)?;
            if let Err(error) = self.one(schema, &values) {
                let _ = write!(self.told, "{}:\n{error}", chart.name());
            }
        }
        for part in &chart.dependencies {
            match values.get(part.name().as_bytes()) {
                None | Some(Value::Nil) => {}
                Some(Value::Map(inner)) => {
                    self.path.push(part.name().to_owned());
                    self.chart(part, &inner, context)?;
                    self.path.pop();
                }
                Some(other) => {
                    let (name, got) = (part.name(), other.type_name());
                    let _ = writeln!(
                        self.told,
                        "{name}:\ninvalid type for values: expected object (map), got {got}"
                    );
                }
            }
        }
        self.origins = outer;
        Ok(())
    }

    fn one(&mut self, schema: &[u8], values: &Json) -> Result<(), String> {
        let mut schema: Json = serde_json::from_slice(schema).map_err(|error| error.to_string())?;
        self.missing.extend(self.documents.without_missing(&mut schema));
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(Loader(Rc::clone(&self.documents))));
        let mut schemas = Schemas::new();
        compiler.add_resource(OWN, schema).map_err(|error| error.to_string())?;
        let index = compiler.compile(OWN, &mut schemas).map_err(|error| error.to_string())?;
        match schemas.validate(values, index) {
            Ok(()) => Ok(()),
            Err(error) => {
                let mut told = String::new();
                let origin = |error: &ValidationError<'_, '_>| self.origin(error, values);
                for cause in &error.causes {
                    tell(cause, &error, 1, &origin, &mut told);
                }
                let told = told.strip_prefix('\n').unwrap_or(&told);
                Err(format!("{told}\n"))
            }
        }
    }

    /// The origin of the values that an error is about.
    fn origin(&self, error: &ValidationError<'_, '_>, values: &Json) -> String {
        let steps = error.instance_location.tokens.iter().map(|token| match token {
            InstanceToken::Prop(name) => name.to_string(),
            InstanceToken::Item(at) => at.to_string(),
        });
        let path: Vec<String> = steps.collect();
        let mut names: Vec<&str> = Vec::new();
        let mut add = |more: Option<&str>| {
            let way: Vec<String> =
                path.iter().map(String::as_str).chain(more).map(ToOwned::to_owned).collect();
            let found = way.iter().try_fold(values, |value, step| match value {
                Json::Array(items) => items.get(step.parse::<usize>().ok()?),
                other => other.get(step),
            });
            let whole: Vec<String> = self.path.iter().chain(&way).cloned().collect();
            let is_same = |value: &Value| json_of(value, 0).is_ok_and(|value| found == Some(&value));
            for name in self.origins.of(&whole, is_same) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        };
        match &error.kind {
            ErrorKind::Required { .. } => {}
            ErrorKind::AdditionalProperties { got } => got.iter().for_each(|name| add(Some(name.as_ref()))),
            ErrorKind::PropertyName { prop } => add(Some(prop.as_ref())),
            _ => add(None),
        }
        if names.is_empty() { " (set nowhere)".into() } else { format!(" (from {})", names.join(" and ")) }
    }
}

/// Returns documents that were fetched before. It fetches nothing and reads no file.
struct Loader(Rc<Documents>);

impl UrlLoader for Loader {
    fn load(&self, url: &str) -> Result<Json, Box<dyn StdError>> {
        Ok(self.0.get(url).unwrap_or(Json::Bool(true)))
    }
}

/// Values as JSON. A number without a fraction becomes an integer.
fn json_of(value: &Value, depth: usize) -> Result<Json, Error> {
    if depth > DEPTH {
        return Err(too_deep());
    }
    Ok(match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) | Value::Int64(number) => Json::from(*number),
        Value::Uint8(number) => Json::from(*number),
        Value::Uint64(number) => Json::from(*number),
        Value::Float(number) => whole(*number)
            .map(Json::from)
            .or_else(|| Number::from_f64(*number).map(Json::Number))
            .unwrap_or_default(),
        Value::Str(text) => Json::String(text.lossy().into_owned()),
        Value::List(list) => {
            let items = list.items().iter().map(|item| json_of(item, depth + 1));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let mut entries = JsonMap::new();
            for (key, value) in map.entries() {
                entries.insert(key.lossy().into_owned(), json_of(&value, depth + 1)?);
            }
            Json::Object(entries)
        }
        _ => Json::Null,
    })
}

/// The whole number that a float is.
#[expect(clippy::cast_possible_truncation, clippy::float_cmp, reason = "only what a float has exactly")]
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.trunc() == number && number.abs() <= EXACT).then_some(number as i64)
}

/// Writes an error and its causes, each on its own line, as the Go library of the same author prints them.
/// For an error without causes, `origin` returns the origin of its value.
fn tell(
    error: &ValidationError<'_, '_>,
    parent: &ValidationError<'_, '_>,
    indent: usize,
    origin: &dyn Fn(&ValidationError<'_, '_>) -> String,
    out: &mut String,
) {
    let mut indent = indent;
    for (word, length) in combinations(error, parent) {
        line(error, length, word, indent, out);
        indent += 1;
    }
    let is_reference = matches!(error.kind, ErrorKind::Reference { .. });
    if !(is_reference && error.causes.len() == 1) {
        line(error, error.instance_location.tokens.len(), &words(&error.kind), indent, out);
        if error.causes.is_empty() {
            out.push_str(&origin(error));
        }
        indent += 1;
    }
    for cause in &error.causes {
        tell(cause, error, indent, origin, out);
    }
}

fn line(error: &ValidationError<'_, '_>, length: usize, words: &str, indent: usize, out: &mut String) {
    let way: String = error.instance_location.tokens.iter().take(length).map(token).collect();
    let space = "  ".repeat(indent.saturating_sub(1));
    let _ = write!(out, "\n{space}- at {}: {words}", quoted(&way));
}

/// The combinations between an error and its parent error, each with the length of the path to its value. The
/// library leaves them out if only one schema of a combination failed.
fn combinations(
    error: &ValidationError<'_, '_>,
    parent: &ValidationError<'_, '_>,
) -> Vec<(&'static str, usize)> {
    let base = match &parent.kind {
        ErrorKind::Reference { url, .. } | ErrorKind::Schema { url } => url,
        _ => parent.schema_url,
    };
    let Some(way) = error.schema_url.strip_prefix(base) else { return Vec::new() };
    let mut found = Vec::new();
    let mut length = parent.instance_location.tokens.len();
    let mut steps = way.trim_start_matches('#').split('/').filter(|step| !step.is_empty());
    while let Some(step) = steps.next() {
        let combination = match step {
            "allOf" => Some("'allOf' failed"),
            "anyOf" => Some("'anyOf' failed"),
            "oneOf" => Some("'oneOf' failed, none matched"),
            _ => None,
        };
        match step {
            "properties" | "patternProperties" | "prefixItems" => {
                length += 1;
                steps.next();
            }
            "items" | "additionalProperties" | "additionalItems" | "contains" => length += 1,
            _ => {
                if let Some(word) = combination {
                    steps.next();
                    found.push((word, length));
                }
            }
        }
    }
    if matches!(parent.kind, ErrorKind::AllOf | ErrorKind::AnyOf | ErrorKind::OneOf(_)) && !found.is_empty() {
        found.remove(0);
    }
    found
}

/// A step of a JSON pointer.
fn token(token: &InstanceToken<'_>) -> String {
    match token {
        InstanceToken::Prop(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        InstanceToken::Item(at) => format!("/{at}"),
    }
}

fn words(kind: &ErrorKind<'_, '_>) -> String {
    match kind {
        ErrorKind::Type { got, want } => {
            let want: Vec<String> = want.iter().map(|want| want.to_string()).collect();
            format!("got {got}, want {}", want.join(" or "))
        }
        ErrorKind::Enum { want } => one_of(want),
        ErrorKind::Const { want } if is_simple(want) => format!("value must be {}", shown(want)),
        ErrorKind::Const { .. } => "'const' failed".into(),
        ErrorKind::Format { got, want, err } => format!("{} is not valid {want}: {err}", shown(got)),
        ErrorKind::MinProperties { got, want } => counts("minProperties", *got, *want),
        ErrorKind::MaxProperties { got, want } => counts("maxProperties", *got, *want),
        ErrorKind::MinItems { got, want } => counts("minItems", *got, *want),
        ErrorKind::MaxItems { got, want } => counts("maxItems", *got, *want),
        ErrorKind::MinLength { got, want } => counts("minLength", *got, *want),
        ErrorKind::MaxLength { got, want } => counts("maxLength", *got, *want),
        ErrorKind::Minimum { got, want } => numbers("minimum", got, want),
        ErrorKind::Maximum { got, want } => numbers("maximum", got, want),
        ErrorKind::ExclusiveMinimum { got, want } => numbers("exclusiveMinimum", got, want),
        ErrorKind::ExclusiveMaximum { got, want } => numbers("exclusiveMaximum", got, want),
        ErrorKind::MultipleOf { got, want } => numbers("multipleOf", got, want),
        ErrorKind::AdditionalProperties { got } => {
            format!("additional properties {} not allowed", all_quoted(got.iter().map(AsRef::as_ref)))
        }
        ErrorKind::Required { want } => {
            let word = if want.len() == 1 { "property" } else { "properties" };
            format!("missing {word} {}", all_quoted(want.iter().copied()))
        }
        ErrorKind::Dependency { prop, missing } | ErrorKind::DependentRequired { prop, missing } => {
            let missing = all_quoted(missing.iter().copied());
            format!("properties {missing} required, if {} exists", quoted(prop))
        }
        ErrorKind::PropertyName { prop } => format!("invalid propertyName {}", quoted(prop)),
        ErrorKind::UniqueItems { got: [a, b] } => format!("items at {a} and {b} are equal"),
        ErrorKind::AdditionalItems { got } => format!("last {got} additionalItem(s) not allowed"),
        ErrorKind::MinContains { got, want } if got.is_empty() => {
            format!("min {want} items required to match contains schema, but none matched")
        }
        ErrorKind::MinContains { got, want } => contained("min", got, *want),
        ErrorKind::MaxContains { got, want } => contained("max", got, *want),
        ErrorKind::Pattern { got, want } => {
            format!("{} does not match pattern {}", quoted(got), quoted(want))
        }
        ErrorKind::Not => "'not' failed".into(),
        ErrorKind::AllOf => "'allOf' failed".into(),
        ErrorKind::AnyOf => "'anyOf' failed".into(),
        ErrorKind::OneOf(None) => "'oneOf' failed, none matched".into(),
        ErrorKind::OneOf(Some((a, b))) => format!("'oneOf' failed, subschemas {a}, {b} matched"),
        // Both libraries have the same words.
        other => other.to_string(),
    }
}

fn one_of(want: &[Json]) -> String {
    if !want.iter().all(is_simple) {
        return "'enum' failed".into();
    }
    let shown: Vec<String> = want.iter().map(shown).collect();
    let word = if shown.len() == 1 { "" } else { "one of " };
    format!("value must be {word}{}", shown.join(", "))
}

fn counts(rule: &str, got: usize, want: usize) -> String {
    format!("{rule}: got {}, want {}", grouped(&got.to_string()), grouped(&want.to_string()))
}

fn numbers(rule: &str, got: &Number, want: &Number) -> String {
    let text = |number: &Number| {
        let general = format_float(number.as_f64().unwrap_or_default(), FloatForm::General, None);
        match general.split_once('e') {
            None => grouped(&general),
            Some((digits, exponent)) => {
                let raised = exponent.trim_start_matches('+').chars().map(superscript);
                format!("{digits}×10{}", raised.collect::<String>())
            }
        }
    };
    format!("{rule}: got {}, want {}", text(got), text(want))
}

fn contained(word: &str, got: &[usize], want: usize) -> String {
    let places: Vec<String> = got.iter().map(usize::to_string).collect();
    let (count, places) = (got.len(), places.join(" "));
    format!("{word} {want} items required to match contains schema, but matched {count} items at {places}")
}

/// A digit or a minus as a superscript.
fn superscript(character: char) -> char {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    character.to_digit(10).and_then(|digit| DIGITS.get(digit as usize)).copied().unwrap_or('⁻')
}

/// A number with a comma between thousands.
fn grouped(number: &str) -> String {
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(a, b)| (a, Some(b)));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        let _ = write!(out, ".{fraction}");
    }
    out
}

fn is_simple(value: &Json) -> bool {
    !matches!(value, Json::Array(_) | Json::Object(_))
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(_) | Json::Object(_) => "value".into(),
        Json::Null => "<nil>".into(),
        other => other.to_string(),
    }
}

fn all_quoted<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(quoted).collect::<Vec<_>>().join(", ")
}

/// A text between single quotes.
fn quoted(text: &str) -> String {
    let double = quote(text.as_bytes(), false);
    let double = String::from_utf8_lossy(&double);
    let inner = double.trim_start_matches('"');
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    format!("'{}'", inner.replace("\\\"", "\"").replace('\'', "\\'"))
}
