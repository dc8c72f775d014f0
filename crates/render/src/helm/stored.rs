//! A rendered chart in the form in which helm stores it with a release.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::chart::{Chart, File};
use super::context::RenderContext;
use super::error::Error;
use super::notation::json::{COMPACT, encode};
use super::value::Value;

/// The chart as JSON, with its fields in helm's order. The charts in it are not stored.
pub fn chart(chart: &Chart, context: &mut RenderContext<'_>) -> Result<Json, Error> {
    let files = |files: &[File]| {
        let file = |file: &File| json!({"name": file.path, "data": STANDARD.encode(&file.content)});
        Json::Array(files.iter().map(file).collect())
    };
    let schema = chart.schema.as_ref().map(|schema| STANDARD.encode(schema));
    Ok(json!({
        "metadata": chart.metadata.as_json(),
        "lock": null,
        "templates": files(&chart.templates),
        "values": values(&Value::Map(chart.values.clone()), context)?,
        "schema": schema,
        "files": files(&chart.files),
    }))
}

/// Values as JSON, an object.
pub fn values(values: &Value, context: &mut RenderContext<'_>) -> Result<JsonMap<String, Json>, Error> {
    let text = encode(context, values, COMPACT)?;
    match serde_json::from_slice(&text) {
        Ok(Json::Object(entries)) => Ok(entries),
        Ok(Json::Null) => Ok(JsonMap::new()),
        _ => Err(Error::new("the values are no map")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::archive::Bounds;
    use super::super::context::{NoCluster, Now};
    use super::*;

    #[test]
    fn a_chart_is_stored_with_its_own_files_in_the_order_of_helm() {
        let files = [
            (
                "Chart.yaml",
                "{version: 1.0.0, name: demo, apiVersion: v2, appVersion: 2, type: application, keywords: [a],\
                            maintainers: [{name: m}], dependencies: [{name: c, version: 1.x, condition: c.on}]}",
            ),
            ("values.yaml", "a: 1\nb: [x, 1.5]\n"),
            ("templates/a.yaml", "a: 1"),
            ("README.md", "r"),
            ("charts/c/Chart.yaml", "{apiVersion: v2, name: c, version: 1.0.0}"),
        ];
        let files = files.map(|(path, text)| File { path: path.into(), content: text.as_bytes().into() });
        let loaded = Chart::load(files.into(), &mut Bounds::default()).unwrap();
        let mut context = RenderContext::new(Now::default(), [0; 32], &NoCluster);
        let stored = chart(&loaded, &mut context).unwrap().to_string();
        let expected = concat!(
            r#"{"metadata":{"name":"demo","version":"1.0.0","keywords":["a"],"maintainers":[{"name":"m"}],"#,
            r#""apiVersion":"v2","appVersion":"2","dependencies":[{"name":"c","version":"1.x","repository":"","condition":"c.on"}],"#,
            r#""type":"application"},"lock":null,"templates":[{"name":"templates/a.yaml","data":"YTogMQ=="}],"#,
            r#""values":{"a":1,"b":["x",1.5]},"schema":null,"files":[{"name":"README.md","data":"cg=="}]}"#
        );
        assert_eq!(stored, expected);
    }
}
