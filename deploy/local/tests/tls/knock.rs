//! Clients that a node of ours would never be: they show a certificate of somebody else's, or none.

use std::{path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::TLS13,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Longer than any of it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whom a client trusts, and what it shows.
pub(crate) struct Knock {
    roots: RootCertStore,
    shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Knock {
    /// Trusts the CA of this file and shows nothing.
    pub(crate) fn trusting(ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        Self { roots, shown: None }
    }

    /// Shows what is in a node's folder, unchecked.
    pub(crate) fn showing(self, folder: &Path) -> Self {
        let chain = vec![CertificateDer::from_pem_file(folder.join("node.pem")).unwrap()];
        Self { shown: Some((chain, PrivateKeyDer::from_pem_file(folder.join("node.key")).unwrap())), ..self }
    }

    /// Shows a certificate of the CA in this folder that was valid until an hour ago.
    pub(crate) fn showing_expired(self, ca: &Path, name: &str, now_ms: i64) -> Self {
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(u64::try_from(now_ms).unwrap());
        let mut of_ca = CertificateParams::default();
        of_ca.distinguished_name = rcgen::DistinguishedName::new();
        of_ca.distinguished_name.push(DnType::CommonName, "Trestle CA");
        let ca = KeyPair::from_pem(&std::fs::read_to_string(ca.join("ca.key")).unwrap()).unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = now - Duration::from_secs(7_200);
        params.not_after = now - Duration::from_secs(3_600);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &Issuer::new(of_ca, ca)).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self { shown: Some((vec![certificate.der().clone()], key)), ..self }
    }

    /// Asks whether the node is ready: the first line of its answer and its certificate, or why there is none.
    pub(crate) async fn ask(&self, address: &str, name: &str) -> Result<(String, Vec<u8>), String> {
        let (answer, certificate) = self.send(address, name, "GET /health/ready HTTP/1.1\r\nhost: x\r\n").await?;
        Ok((answer.lines().next().unwrap_or_default().to_owned(), certificate))
    }

    /// One request without a body; its whole answer and the certificate of who answered.
    pub(crate) async fn send(&self, address: &str, name: &str, head: &str) -> Result<(String, Vec<u8>), String> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_protocol_versions(&[&TLS13]).unwrap().with_root_certificates(self.roots.clone());
        let config = match &self.shown {
            Some((chain, key)) => config.with_client_auth_cert(chain.clone(), key.clone_key()).unwrap(),
            None => config.with_no_client_auth(),
        };
        let asked = async {
            let stream = TcpStream::connect(address).await?;
            let name = name.to_owned().try_into().unwrap();
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
            stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok((answer, certificate))
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await.unwrap();
        asked.map_err(|error: std::io::Error| error.to_string())
    }
}
