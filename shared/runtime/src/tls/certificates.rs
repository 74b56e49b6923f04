//! From files to what rustls needs, and every way in which files can be wrong, said with the setting and the way out.
//!
//! There is no parser of certificates here. How long one is valid is found by asking the verification that peers will use
//! (`webpki`) about later and later moments: it cannot differ from what they will say.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::anyhow;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};

use super::tls_name;

/// Beyond this nobody asks how long a certificate is valid: 34 years, in seconds.
const ASKED_MAX_S: u64 = 1 << 30;

/// What the certificates are for.
#[derive(Debug)]
pub(super) enum Purpose {
    BetweenTiers { setting: &'static str, family: &'static str, callers: &'static [&'static str] },
    Edge,
}

/// What the files gave.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) server: Option<Arc<ServerConfig>>,
    pub(super) client: Option<Arc<ClientConfig>>,
    /// Unknown for certificates that lead to a CA which we do not have.
    pub(super) valid_until_ms: Option<i64>,
}

impl Purpose {
    /// For metrics.
    pub(super) const fn place(&self) -> &'static str {
        match self {
            Self::BetweenTiers { .. } => "tiers",
            Self::Edge => "edge",
        }
    }

    /// The setting that names this file.
    const fn setting(&self, file: usize) -> &'static str {
        match (self, file) {
            (Self::BetweenTiers { setting, .. }, _) => setting,
            (Self::Edge, 0) => "--edge-tls-cert",
            (Self::Edge, _) => "--edge-tls-key",
        }
    }

    const fn way_out(&self) -> &'static str {
        match self {
            Self::BetweenTiers { .. } => "make it with `trestle certificates --out DIR` and name DIR/FAMILY",
            Self::Edge => "name a PEM file with the certificate chain, and one with its key",
        }
    }

    pub(super) fn read(&self, files: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
        let read = |(at, path): (usize, &PathBuf)| {
            std::fs::read(path).map_err(|error| self.wrong(at, path, &format!("cannot be read ({error})")))
        };
        files.iter().enumerate().map(read).collect()
    }

    fn wrong(&self, at: usize, path: &std::path::Path, why: &str) -> anyhow::Error {
        anyhow!("{}: {} {why}; {}", self.setting(at), path.display(), self.way_out())
    }

    pub(super) fn load(&self, texts: &[Vec<u8>], files: &[PathBuf], now_ms: i64) -> anyhow::Result<Loaded> {
        let certificates = |at: usize| -> anyhow::Result<Vec<CertificateDer<'static>>> {
            let (text, path) = (&texts[at], &files[at]);
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
            let read = read.map_err(|error| self.wrong(at, path, &format!("is no PEM file ({error})")))?;
            if read.is_empty() { Err(self.wrong(at, path, "holds no certificate")) } else { Ok(read) }
        };
        let key = |at: usize| {
            let key = PrivateKeyDer::from_pem_slice(&texts[at]);
            key.map_err(|error| self.wrong(at, &files[at], &format!("holds no private key ({error})")))
        };
        let provider = Arc::new(ring::default_provider());
        match self {
            Self::BetweenTiers { family, callers, .. } => {
                let (chain, key) = (certificates(1)?, key(2)?);
                let roots = roots(&certificates(0)?).map_err(|error| self.wrong(0, &files[0], &error.to_string()))?;
                let until = valid_until(&chain, &roots, &provider, now_ms);
                let until = until.and_then(|until| is_for(&chain, family).map(|()| until));
                let until = until.map_err(|error| self.wrong(1, &files[1], &why(&error, family)))?;
                let mismatch = |error: Error| self.wrong(2, &files[2], &format!("does not fit node.pem ({error})"));
                let server = if callers.is_empty() {
                    None
                } else {
                    let verifier = Callers::new(&roots, &provider, callers)?;
                    let server = ServerConfig::builder_with_provider(provider.clone());
                    let server =
                        server.with_protocol_versions(&[&TLS13])?.with_client_cert_verifier(Arc::new(verifier));
                    Some(server.with_single_cert(chain.clone(), key.clone_key()).map_err(mismatch)?)
                };
                let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
                let client =
                    client.with_root_certificates(roots).with_client_auth_cert(chain, key).map_err(mismatch)?;
                Ok(Loaded { server: server.map(Arc::new), client: Some(Arc::new(client)), valid_until_ms: Some(until) })
            }
            Self::Edge => {
                let (chain, key) = (certificates(0)?, key(1)?);
                // Its CA is the clients' business; whoever signed the chain we have is good enough to learn the dates.
                let until = chain.last().map(|last| roots(std::slice::from_ref(last)));
                let until = until.map(|roots| roots.and_then(|roots| valid_until(&chain, &roots, &provider, now_ms)));
                if let Some(Err(error @ Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))) = &until {
                    return Err(self.wrong(0, &files[0], &why(error, "edge")));
                }
                let server = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
                let server = server.with_no_client_auth().with_single_cert(chain, key);
                let mut server = server
                    .map_err(|error| self.wrong(1, &files[1], &format!("does not fit the certificate ({error})")))?;
                server.alpn_protocols = vec![b"http/1.1".to_vec()];
                Ok(Loaded { server: Some(Arc::new(server)), client: None, valid_until_ms: until.and_then(Result::ok) })
            }
        }
    }
}

fn roots(certificates: &[CertificateDer<'_>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone().into_owned())?;
    }
    Ok(roots)
}

fn why(error: &Error, family: &str) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "has expired".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "is not valid yet; look at the clock of this machine".to_owned()
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "was not made by the CA in ca.pem beside it".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("is not for {}", tls_name(family)),
        other => format!("cannot be used ({other})"),
    }
}

fn is_for(chain: &[CertificateDer<'_>], family: &str) -> Result<(), Error> {
    let none = Error::NoCertificatesPresented;
    let name = ServerName::try_from(tls_name(family)).map_err(|error| Error::General(error.to_string()))?;
    verify_server_name(&ParsedCertificate::try_from(chain.first().ok_or(none)?)?, &name)
}

/// The last second in which peers will take this chain, or why they would not take it now.
fn valid_until(
    chain: &[CertificateDer<'_>],
    roots: &RootCertStore,
    provider: &CryptoProvider,
    now_ms: i64,
) -> Result<i64, Error> {
    let (first, others) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
    let (first, now_s) = (ParsedCertificate::try_from(first)?, u64::try_from(now_ms / 1_000).unwrap_or_default());
    let verify = |after_s: u64| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now_s + after_s));
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&first, roots, others, at, algorithms)
    };
    verify(0)?;
    let (mut good, mut bad) = (0, ASKED_MAX_S);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if verify(middle).is_ok() { good = middle } else { bad = middle }
    }
    Ok(i64::try_from((now_s + good) * 1_000).unwrap_or(i64::MAX))
}

/// Takes certificates of our CA that belong to a family with business here, and no others.
#[derive(Debug)]
struct Callers {
    chain: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

impl Callers {
    fn new(roots: &RootCertStore, provider: &Arc<CryptoProvider>, families: &[&str]) -> anyhow::Result<Self> {
        let names: Result<_, _> = families.iter().map(|family| ServerName::try_from(tls_name(family))).collect();
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider.clone()).build()?;
        Ok(Self { chain, names: names? })
    }
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let shown = ParsedCertificate::try_from(end_entity)?;
        if self.names.iter().any(|name| verify_server_name(&shown, name).is_ok()) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
