//! Fetches the documents that the schemas of a chart refer to: over https, from public addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_core::pipeline::ports::{DocumentHosts, FetchedDocuments};
use lockgate_git::{GuardedResolver, system_roots};
use lockgate_render::helm::chart::Chart;
use lockgate_render::helm::chart::references::{BYTES_LIMIT, Documents};
use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy};

/// The time limit for all documents of a chart together.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most redirects of a document.
const REDIRECTS: u32 = 5;

/// Fetches all documents that the schemas of a chart refer to, directly or through other documents. A
/// document that cannot be fetched is noted, and stops nothing.
pub(crate) fn fetch(chart: &Chart) -> Documents {
    let mut documents = Documents::default();
    let mut client = None;
    loop {
        let wanted = documents.wanted(chart);
        if wanted.is_empty() {
            return documents;
        }
        for url in wanted {
            let client = client.get_or_insert_with(|| Client::new(system_roots(), is_public));
            let answer = client.get(&url);
            documents.add(url, answer);
        }
    }
}

/// All hosts of the public internet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicHosts;

impl DocumentHosts for PublicHosts {
    fn fetch(&self, urls: Vec<String>) -> FetchedDocuments<'_> {
        Box::pin(async move {
            let asked = urls.clone();
            let fetched = tokio::task::spawn_blocking(move || {
                let client = Client::new(system_roots(), is_public);
                let fetch = |url: String| {
                    let answer = client.get(&url);
                    (url, answer)
                };
                urls.into_iter().map(fetch).collect()
            });
            let lost = |url| (url, Err("its fetch came to no end".to_owned()));
            fetched.await.unwrap_or_else(|_| asked.into_iter().map(lost).collect())
        })
    }
}

/// A client with a time limit of its own.
struct Client {
    agent: Agent,
    deadline: Instant,
}

impl Client {
    fn new(roots: &[Certificate<'static>], is_allowed: fn(IpAddr) -> bool) -> Self {
        let proxy = Proxy::try_from_env();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        // If a proxy is set, it decides which addresses it connects to.
        let resolver = GuardedResolver::new(is_allowed, proxy.as_ref().map(|proxy| proxy.uri().clone()));
        let config = Config::builder()
            .tls_config(tls)
            .https_only(true)
            .max_redirects(REDIRECTS)
            .proxy(proxy)
            .user_agent(concat!("lockgate/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Self { agent, deadline: Instant::now() + TIMEOUT }
    }

    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("the documents of a chart may take {} s", TIMEOUT.as_secs()));
        }
        let request = self.agent.get(url).config().timeout_global(Some(left)).build();
        let mut response = request.call().map_err(|error| told(&error))?;
        // The limit is one byte more, so that a document that is too large can be told from one that just
        // fits.
        let limit = BYTES_LIMIT as u64 + 1;
        response.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| told(&error))
    }
}

fn told(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "its host has no public address".into(),
        ureq::Error::StatusCode(status) => format!("HTTP {status}"),
        ureq::Error::RequireHttpsOnly(_) => "only https is fetched".into(),
        ureq::Error::Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        other => other.to_string(),
    }
}

/// Whether an address is one of the public internet. A chart must not make this program send requests to
/// servers that only it can reach.
fn is_public(address: IpAddr) -> bool {
    fn is_public_v4(address: Ipv4Addr) -> bool {
        let [a, b, c, _] = address.octets();
        !(address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_broadcast()
            || address.is_documentation()
            || a == 0
            || a >= 224
            || (a == 100 && (64..128).contains(&b))
            || (a == 192 && b == 0 && c == 0)
            || (a == 198 && (b == 18 || b == 19)))
    }
    fn is_public_v6(address: Ipv6Addr) -> bool {
        let [a, b, c, d, e, f, high, low] = address.segments();
        let inner = Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
        match (a, b, c, d, e, f) {
            // IPv4 in IPv6, directly and through a translator.
            (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => is_public_v4(inner),
            // Only this block is allocated; parts of it are for documentation and tunnels.
            _ => a & 0xe000 == 0x2000 && a != 0x2002 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)),
        }
    }
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::{Document, DocumentServer};
    use ureq::tls::{PemItem, parse_pem};

    use super::*;

    #[test]
    fn a_document_is_read_over_https_and_from_where_it_may_be() {
        let text = |text: &str| Document::Text(text.into());
        let documents = BTreeMap::from([
            ("/a.json".to_owned(), text("{\"type\": \"object\"}")),
            ("/large.json".to_owned(), text(&"x".repeat(BYTES_LIMIT + 2))),
            ("/moved.json".to_owned(), Document::At("a.json".into())),
            ("/plain.json".to_owned(), Document::At("http://127.0.0.1/a.json".into())),
            ("/round.json".to_owned(), Document::At("round.json".into())),
        ]);
        let server = DocumentServer::start(documents).unwrap();
        let roots: Vec<_> = parse_pem(server.ca_pem().as_bytes())
            .filter_map(|item| match item.unwrap() {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        let client = Client::new(&roots, |_| true);
        let get = |client: &Client, path: &str| {
            let answer = client.get(&format!("https://{}{path}", server.address()));
            answer.map(|text| String::from_utf8(text).unwrap())
        };
        let document = Ok("{\"type\": \"object\"}".to_owned());
        assert_eq!(get(&client, "/a.json"), document);
        assert_eq!(get(&client, "/moved.json"), document);
        assert_eq!(get(&client, "/none.json"), Err("HTTP 404".into()));
        assert_eq!(get(&client, "/plain.json"), Err("only https is fetched".into()));
        for path in ["/large.json", "/round.json"] {
            assert!(get(&client, path).is_err(), "{path}");
        }
        // The product's own client sends no request to this machine.
        let client = Client::new(&roots, is_public);
        assert_eq!(get(&client, "/a.json"), Err("its host has no public address".into()));
        // Nor does it trust a certificate of an unknown authority.
        let client = Client::new(system_roots(), |_| true);
        assert!(get(&client, "/a.json").is_err());
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        let is_public = |address: &str| super::is_public(address.parse().unwrap());
        for address in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(is_public(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.1.2.3",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "255.255.255.255",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "::7f00:1",
        ] {
            assert!(!is_public(address), "{address}");
        }
    }
}
