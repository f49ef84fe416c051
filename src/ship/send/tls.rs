//! TLS: whom to trust and how to prove who we are, from files that may change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::SetupError;
use super::files::{self, Watch};

/// Where systems keep their authorities, Debian's first; then Red Hat's, SUSE's and Alpine's.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Certificates of a connection.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM file of the authorities to trust. Default: the file that `SSL_CERT_FILE` names, else the system's, else
    /// Mozilla's as they were when podvisor was built.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, with what leads up to the authority.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// The name that the receiver must prove, a host name or an IP address. Default: the host in the URL, which is
    /// also the one that is asked for (SNI) in either case.
    pub server_name: Option<String>,
    /// Any certificate is taken.
    pub insecure_skip_verify: bool,
}

/// The present TLS config, and the files that it came from.
pub(super) struct Trust {
    tls: Tls,
    alpn: &'static [u8],
    watch: Watch,
    config: ClientConfig,
}

impl Trust {
    pub(super) fn new(
        tls: Tls,
        alpn: &'static [u8],
        every: Duration,
        now: Instant,
    ) -> Result<Self, SetupError> {
        let mut paths: Vec<_> = [&tls.ca_file, &tls.cert_file, &tls.key_file]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        if tls.ca_file.is_none() {
            paths.extend(system_files());
        }
        let watch = Watch::new(paths, every, now);
        let config = load(&tls, alpn)?;
        Ok(Self {
            tls,
            alpn,
            watch,
            config,
        })
    }

    pub(super) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// Reads the files again if they have changed. Says whether there is a new config, for new connections.
    pub(super) fn reload(&mut self, sink: &str, now: Instant) -> bool {
        if !self.watch.changed(now) {
            return false;
        }
        match load(&self.tls, self.alpn) {
            Ok(config) => {
                self.config = config;
                self.watch.good();
                true
            }
            Err(error) => {
                self.watch.bad(sink, &error.to_string());
                false
            }
        }
    }

    /// A handshake has failed: the files are looked at before the next attempt.
    pub(super) fn refused(&mut self) {
        self.watch.soon();
    }
}

fn load(tls: &Tls, alpn: &[u8]) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls, provider)?);
    let mut config = match (&tls.cert_file, &tls.key_file) {
        (None, None) => config.with_no_client_auth(),
        // Fails when they don't belong together, as between the two writes of a rotation.
        (Some(cert), Some(key)) => {
            config.with_client_auth_cert(certificates(cert)?, private(key)?)?
        }
        _ => return Err(SetupError::Pair),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

fn verifier(
    tls: &Tls,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, SetupError> {
    if tls.insecure_skip_verify {
        return Ok(Arc::new(TakesAny(provider)));
    }
    let roots = Arc::new(roots(tls.ca_file.as_deref())?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    Ok(match &tls.server_name {
        None => verifier,
        Some(name) => {
            let name = ServerName::try_from(name.clone()).map_err(|_| SetupError::ServerName)?;
            Arc::new(Named { verifier, name })
        }
    })
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in certificates(path)? {
            roots.add(certificate)?;
        }
        return Ok(roots);
    }
    for path in system_files() {
        // An old authority or two that can't be read doesn't make the others worthless.
        roots.add_parsable_certificates(certificates(&path).unwrap_or_default());
        if !roots.is_empty() {
            return Ok(roots);
        }
    }
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(roots)
}

/// What may hold the system's authorities: the first that has any counts.
fn system_files() -> Vec<PathBuf> {
    let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = SYSTEM.iter().map(PathBuf::from);
    given.into_iter().chain(usual).collect()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let content = pem(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(nothing(path, "certificate")),
    }
}

fn private(path: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    PrivateKeyDer::from_pem_slice(&pem(path)?).map_err(|_| nothing(path, "private key"))
}

fn pem(path: &Path) -> Result<Vec<u8>, SetupError> {
    files::read(path).map_err(|source| SetupError::File {
        path: path.to_owned(),
        source,
    })
}

fn nothing(path: &Path, what: &'static str) -> SetupError {
    let path = path.to_owned();
    SetupError::Nothing { path, what }
}

/// Wants another name than that of the host which was connected to.
#[derive(Debug)]
struct Named {
    verifier: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier
            .verify_server_cert(certificate, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Believes everything: `insecureSkipVerify`.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
