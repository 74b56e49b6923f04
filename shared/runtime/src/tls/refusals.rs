//! Handshakes that failed: counted by side and reason, and logged at most once a second, so that whoever knocks a thousand
//! times writes no thousand lines.

use std::{
    error, io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::Counter};
use rustls::{AlertDescription, CertificateError, Error};
use tokio::time::Instant;

use crate::Metrics;

/// Least time between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Who noticed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Listener,
    Caller,
}

#[derive(Debug)]
pub(super) struct Refusals {
    count: Counter<u64>,
    /// When a line was written last, and how many were not since.
    log: Mutex<(Option<Instant>, u64)>,
}

impl Refusals {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let count = metrics
            .meter()
            .u64_counter("trestle_tls_refused")
            .with_description("TLS handshakes that failed, by who noticed (listener, caller) and reason")
            .build();
        Self { count, log: Mutex::default() }
    }

    pub(super) fn note(&self, side: Side, error: &io::Error) {
        self.add(side, reason(error), error);
    }

    /// A client that did not finish its handshake in time.
    pub(super) fn silent(&self) {
        self.add(Side::Listener, "silent", &"the client did not finish the handshake in time");
    }

    fn add(&self, side: Side, reason: &'static str, error: &dyn std::fmt::Display) {
        let side = match side {
            Side::Listener => "listener",
            Side::Caller => "caller",
        };
        self.count.add(1, &[KeyValue::new("side", side), KeyValue::new("reason", reason)]);
        let (now, mut log) = (Instant::now(), self.log.lock().unwrap_or_else(PoisonError::into_inner));
        if log.0.is_some_and(|last| now.duration_since(last) < LOG_EVERY) {
            log.1 += 1;
            return;
        }
        let unlogged = std::mem::replace(&mut *log, (Some(now), 0)).1;
        drop(log);
        tracing::warn!(side, reason, %error, unlogged, "a TLS handshake failed");
    }
}

/// The TLS error behind one of a stream.
fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn reason(error: &io::Error) -> &'static str {
    match of_tls(error) {
        Some(Error::NoCertificatesPresented) => "no_certificate",
        Some(Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => "expired",
            CertificateError::ApplicationVerificationFailure
            | CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. } => "family",
            CertificateError::UnknownIssuer | CertificateError::BadSignature => "foreign_ca",
            _ => "bad_certificate",
        },
        Some(Error::InvalidMessage(_)) => "not_tls",
        Some(Error::PeerIncompatible(_)) => "version",
        Some(Error::AlertReceived(_)) => "refused_by_peer",
        Some(_) => "other",
        None => "gone",
    }
}

/// Whether an error says that the other side refused our certificate. In TLS 1.3 that shows only after we have sent the
/// request; but a node reads no byte of it before the handshake is over, so nothing was done. A connection that broke in
/// any other way proves nothing.
#[must_use]
pub fn refused_by_peer(error: &(dyn error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let tls = error.downcast_ref::<io::Error>().and_then(of_tls).or_else(|| error.downcast_ref());
        if let Some(Error::AlertReceived(alert)) = tls {
            return is_of_handshake(*alert);
        }
        cause = error.source();
    }
    false
}

/// Alerts about certificates, which come in no other phase.
const fn is_of_handshake(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::HandshakeFailure
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alerts_about_certificates_prove_that_nothing_was_read() {
        let broken = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        assert!(refused_by_peer(&broken(Error::AlertReceived(AlertDescription::AccessDenied))));
        assert!(!refused_by_peer(&broken(Error::AlertReceived(AlertDescription::BadRecordMac))));
        assert!(!refused_by_peer(&broken(Error::DecryptError)));
        assert!(!refused_by_peer(&io::Error::from(io::ErrorKind::ConnectionReset)));
    }
}
