//! The request of `kubectl get` to the API server.

use serde_json::Value;

/// The names of the columns of a list as the server prints it, and the whole table.
pub(crate) async fn printed(client: &kube::Client, path: &str) -> (Vec<String>, Value) {
    let request = http::Request::get(path).header("accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    let table: Value = client.request(request.body(Vec::new()).unwrap()).await.unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap();
    (columns.iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect(), table)
}
