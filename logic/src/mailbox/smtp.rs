//! Receipts by SMTP, to a relay nearby: plain SMTP, since what leaves the machine is the relay's business.
//!
//! A relay that took a receipt and whose answer was lost gets it again, under the same Message-ID: whoever receives it
//! tells the two apart by that.

use std::{fmt, str::FromStr, time::Duration};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    address::{AddressError, Envelope},
};

/// Bound of each step of the dialogue. A receipt that is not taken in time comes again with its event.
const STEP_WITHIN: Duration = Duration::from_secs(2);

/// Where a relay is: `smtp://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpUri {
    host: String,
    port: u16,
}

/// A text that names no relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" names no mail relay; write smtp://host:port, for example smtp://127.0.0.1:25")]
pub struct SmtpUriError(String);

impl FromStr for SmtpUri {
    type Err = SmtpUriError;

    fn from_str(text: &str) -> Result<Self, SmtpUriError> {
        let parts = text.strip_prefix("smtp://").and_then(|rest| rest.rsplit_once(':'));
        let port = parts.and_then(|(_, port)| port.parse().ok()).filter(|port| *port > 0);
        let host = parts.map(|(host, _)| host).filter(|host| !host.is_empty() && !host.contains(['/', '@', ' ', ':']));
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self { host: host.to_owned(), port }),
            _ => Err(SmtpUriError(text.to_owned())),
        }
    }
}

/// A relay. One connection for each receipt: there are few, and none is worth keeping a connection for.
#[derive(Clone)]
pub(super) struct Smtp(AsyncSmtpTransport<Tokio1Executor>);

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smtp")
    }
}

impl Smtp {
    pub(super) fn new(relay: &SmtpUri) -> Self {
        // "Dangerous" is lettre's word for SMTP without TLS.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(relay.host.clone());
        Self(builder.port(relay.port).timeout(Some(STEP_WITHIN)).build())
    }

    pub(super) async fn send(&self, from: &str, to: &str, mail: &str) -> std::io::Result<()> {
        let wrong = |error: AddressError| std::io::Error::other(error);
        let (from, to): (Address, Address) = (from.parse().map_err(wrong)?, to.parse().map_err(wrong)?);
        let envelope = Envelope::new(Some(from), vec![to]).map_err(std::io::Error::other)?;
        let mail = mail.replace('\n', "\r\n");
        self.0.send_raw(&envelope, mail.as_bytes()).await.map(|_| ()).map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_a_host_and_a_port() {
        let relay: SmtpUri = "smtp://mail.local:2525".parse().unwrap();
        assert_eq!(relay, SmtpUri { host: "mail.local".to_owned(), port: 2525 });
        for bad in [
            "",
            "smtp://",
            "smtp://host",
            "smtp://:25",
            "smtp://h:0",
            "smtp://h:99999",
            "smtps://h:25",
            "smtp://a@h:25",
            "smtp://h/x:25",
        ] {
            let error = bad.parse::<SmtpUri>().unwrap_err().to_string();
            assert!(error.contains("smtp://host:port"), "{error}");
        }
    }
}
