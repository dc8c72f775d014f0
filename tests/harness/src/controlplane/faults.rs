//! Starting, stopping and disturbing etcd and the API server.

use anyhow::Context as _;
use axum::http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::ControlPlane;
use crate::process::{Process, lock};

impl ControlPlane {
    /// Kills the API server; nothing listens on its port until it is started again.
    pub fn kill_apiserver(&self) {
        end(lock(&self.processes).apiserver.take());
    }

    /// Starts the API server on its port and waits until it is ready.
    pub async fn start_apiserver(&self) -> anyhow::Result<()> {
        let process = self.launch("kube-apiserver", self.layout.apiserver())?;
        lock(&self.processes).apiserver = Some(process);
        self.wait_ready().await
    }

    /// Kills the API server and starts it again.
    pub async fn restart_apiserver(&self) -> anyhow::Result<()> {
        self.kill_apiserver();
        self.start_apiserver().await
    }

    /// Stops the API server as a debugger would: connections stay open and nothing answers.
    pub fn pause_apiserver(&self) {
        signal(lock(&self.processes).apiserver.as_ref(), libc::SIGSTOP);
    }

    /// Resumes after `pause_apiserver`.
    pub fn resume_apiserver(&self) {
        signal(lock(&self.processes).apiserver.as_ref(), libc::SIGCONT);
    }

    /// Stops etcd as a debugger would.
    pub fn pause_etcd(&self) {
        signal(lock(&self.processes).etcd.as_ref(), libc::SIGSTOP);
    }

    /// Resumes after `pause_etcd`.
    pub fn resume_etcd(&self) {
        signal(lock(&self.processes).etcd.as_ref(), libc::SIGCONT);
    }

    /// Kills etcd; its data stays.
    pub fn kill_etcd(&self) {
        end(lock(&self.processes).etcd.take());
    }

    /// Starts etcd on its data and waits until it answers.
    pub async fn start_etcd(&self) -> anyhow::Result<()> {
        let process = self.launch("etcd", self.layout.etcd())?;
        lock(&self.processes).etcd = Some(process);
        self.until(async || self.etcd_call("/v3/maintenance/status", &json!({})).await.map(drop))
            .await
            .context("etcd did not start")
    }

    /// Drops etcd's history up to now, so that watches from an older revision end with 410 Gone.
    pub async fn compact_etcd(&self) -> anyhow::Result<()> {
        let status = self.etcd_call("/v3/maintenance/status", &json!({})).await?;
        let revision = status.pointer("/header/revision").context("etcd told no revision")?;
        self.etcd_call("/v3/kv/compaction", &json!({ "revision": revision, "physical": true }))
            .await
            .map(drop)
    }

    /// Waits until the API server says that it is ready.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        let client = self.client().await?;
        self.until(async || {
            let answer = client.request_text(Request::get("/readyz").body(Vec::new())?).await?;
            anyhow::ensure!(answer == "ok", "readyz answers {answer}");
            Ok(())
        })
        .await
        .context("the API server did not become ready")
    }

    /// One call of etcd's JSON gateway.
    async fn etcd_call(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.layout.etcd_port)).await?;
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "etcd answers {answer}");
        let (start, end) = (answer.find('{').context("no JSON")?, answer.rfind('}').context("no JSON")?);
        Ok(serde_json::from_str(answer.get(start..=end).unwrap_or_default())?)
    }
}

/// Kills a process, even one that is kept.
fn end(process: Option<Process>) {
    if let Some(process) = process {
        process.kill();
    }
}

fn signal(process: Option<&Process>, signal: i32) {
    if let Some(process) = process {
        process.signal(signal);
    }
}
