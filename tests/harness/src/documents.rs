//! A server of fixed documents over HTTPS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};

use crate::pki::Authority;
use crate::serve::Server;

/// A server's answer to a path.
#[derive(Debug, Clone)]
pub enum Document {
    /// This text.
    Text(String),
    /// A redirect to this URL.
    At(String),
}

/// A server of fixed documents over HTTPS, with a certificate of its own authority.
#[derive(Debug)]
pub struct DocumentServer {
    server: Server,
    authority: Authority,
}

impl DocumentServer {
    /// Serves documents by their paths, such as `/a.json`, on a free port.
    pub fn start(documents: BTreeMap<String, Document>) -> anyhow::Result<Self> {
        let authority = Authority::new("test-document-ca")?;
        let identity = authority.server(&["localhost", "127.0.0.1"])?;
        let answer = move |uri: Uri| -> Response {
            match documents.get(uri.path()) {
                Some(Document::Text(text)) => text.clone().into_response(),
                Some(Document::At(url)) => {
                    (StatusCode::FOUND, [(header::LOCATION, url.clone())]).into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            }
        };
        let app = Router::new().fallback(async move |uri: Uri| answer(uri));
        Ok(Self { server: Server::https(app, &identity)?, authority })
    }

    /// The authority of the server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}
