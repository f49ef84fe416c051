//! TLS: whom to believe, and who we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::{Reply, Server, answer};
use super::*;

/// An authority with a folder for its files.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let name = format!("authority {:x}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &pem).unwrap();
        let issuer = Issuer::new(params, key);
        Self {
            issuer,
            pem,
            folder,
        }
    }

    /// Its own certificate.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certificate and key, PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server with that name; `clients` must have certificates of that authority.
    pub(super) fn server(
        &self,
        name: &str,
        clients: Option<&Authority>,
        alpn: &[u8],
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(der(&authority.pem)).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let (certificate, key) = self.issue(name);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let mut config = config
            .with_single_cert(vec![der(&certificate)], key)
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A new connection for every request.
fn close() -> Reply {
    answer("200 OK", "connection: close\r\n", "")
}

async fn https(config: Arc<ServerConfig>) -> Server {
    Server::tls(move |_| config.clone(), |_| close()).await
}

fn trusting(server: &Server, ca: &Path) -> Target {
    let mut target = target(Protocol::HttpNdjson, &server.https("/"));
    target.tls.ca_file = Some(ca.to_owned());
    target
}

#[tokio::test]
async fn only_the_right_authority_and_name() {
    let (ours, others) = (Authority::new(), Authority::new());
    let server = https(ours.server("localhost", None, b"http/1.1")).await;
    assert_eq!(
        send(&sender(trusting(&server, &ours.file()))).await,
        DELIVERED
    );
    let unknown = failure(send(&sender(trusting(&server, &others.file()))).await);
    assert_eq!((unknown.reason, unknown.stale), (Reason::Tls, false));
    assert!(
        unknown.message.contains("UnknownIssuer"),
        "{}",
        unknown.message
    );
    let system = target(Protocol::HttpNdjson, &server.https("/"));
    assert_eq!(failure(send(&sender(system)).await).reason, Reason::Tls);
    let mut any = target(Protocol::HttpNdjson, &server.https("/"));
    any.tls.insecure_skip_verify = true;
    assert_eq!(send(&sender(any)).await, DELIVERED);
}

#[tokio::test]
async fn another_name_may_be_wanted() {
    let ours = Authority::new();
    let server = https(ours.server("vector.example", None, b"http/1.1")).await;
    let wrong = failure(send(&sender(trusting(&server, &ours.file()))).await);
    assert_eq!(wrong.reason, Reason::Tls);
    assert!(wrong.message.contains("certificate"), "{}", wrong.message);
    let mut named = trusting(&server, &ours.file());
    named.tls.server_name = Some("vector.example".to_owned());
    assert_eq!(send(&sender(named)).await, DELIVERED);
}

#[tokio::test]
async fn who_has_no_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let plain = failure(send(&sender(target(Protocol::HttpNdjson, &url))).await);
    assert_eq!(plain.reason, Reason::Tls, "{}", plain.message);
}

/// Our certificate and key as files.
fn identity(target: &mut Target, folder: &TempDir, (cert, key): &(String, String)) {
    let (cert_file, key_file) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert_file, cert).unwrap();
    std::fs::write(&key_file, key).unwrap();
    target.tls.cert_file = Some(cert_file);
    target.tls.key_file = Some(key_file);
}

#[tokio::test]
async fn clients_prove_who_they_are() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let server = https(ours.server("localhost", Some(&clients), b"http/1.1")).await;
    let nobody = failure(send(&sender(trusting(&server, &ours.file()))).await);
    assert_eq!(nobody.reason, Reason::Tls, "{}", nobody.message);
    let folder = tempfile::tempdir().unwrap();
    let mut known = trusting(&server, &ours.file());
    identity(&mut known, &folder, &clients.issue("podvisor"));
    assert_eq!(send(&sender(known.clone())).await, DELIVERED);
    identity(&mut known, &folder, &ours.issue("podvisor"));
    let stranger = failure(send(&sender(known)).await);
    assert_eq!(stranger.reason, Reason::Tls, "{}", stranger.message);
}

#[tokio::test]
async fn authorities_change_under_way() {
    let (first, second) = (Authority::new(), Authority::new());
    let configs = [&first, &second].map(|ca| ca.server("localhost", None, b"http/1.1"));
    let server = Server::tls(move |n| configs[(n / 2).min(1)].clone(), |_| close()).await;
    let ca = first.file();
    let sender = sender(trusting(&server, &ca));
    assert_eq!(send(&sender).await, DELIVERED);
    std::fs::write(&ca, "half a certif").unwrap();
    assert_eq!(send(&sender).await, DELIVERED, "the old one stays");
    let renewed = failure(send(&sender).await);
    assert_eq!(renewed.reason, Reason::Tls);
    std::fs::write(&ca, &second.pem).unwrap();
    assert_eq!(send(&sender).await, DELIVERED);
}

#[tokio::test]
async fn our_own_certificate_changes_with_its_key() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let server = https(ours.server("localhost", Some(&clients), b"http/1.1")).await;
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (clients.issue("podvisor"), clients.issue("podvisor"));
    let mut given = trusting(&server, &ours.file());
    identity(&mut given, &folder, &old);
    let sender = sender(given.clone());
    assert_eq!(send(&sender).await, DELIVERED);
    identity(&mut given, &folder, &(new.0.clone(), old.1.clone()));
    assert_eq!(
        send(&sender).await,
        DELIVERED,
        "half of a pair is of no use"
    );
    identity(&mut given, &folder, &new);
    assert_eq!(send(&sender).await, DELIVERED);
    let peers: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.peer)
        .collect();
    let [old, new] = [old, new].map(|(pem, _)| Some(der(&pem).to_vec()));
    assert_eq!(peers, [old.clone(), old, new]);
}

#[tokio::test]
async fn connections_are_kept_while_nothing_changes() {
    let ours = Authority::new();
    let config = ours.server("localhost", None, b"http/1.1");
    let server = Server::tls(move |_| config.clone(), |_| answer("200 OK", "", "")).await;
    let sender = sender(trusting(&server, &ours.file()));
    for _ in 0..3 {
        assert_eq!(send(&sender).await, DELIVERED);
    }
    assert_eq!(server.connections(), 1);
}
