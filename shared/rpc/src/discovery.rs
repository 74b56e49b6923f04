//! Discovery by URI: `static://host:port,...`, `dns://name:port` (all addresses, re-resolved), `file://members.json`.
//! Who is a member comes from here; who is asked is decided by readiness probes. No gossip.

use std::{collections::BTreeSet, fmt, path::PathBuf, str::FromStr};

/// Where the nodes of a family are listed.
#[derive(Clone, PartialEq, Eq)]
pub enum Discovery {
    /// A fixed list.
    Static(Vec<String>),
    /// All addresses of a name.
    Dns(String),
    /// A JSON array of `"host:port"`, read again when asked.
    File(PathBuf),
}

/// A list of nodes that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The URI makes no sense.
    #[error(
        "\"{0}\" is no discovery URI; write static://host:port,host:port or dns://name:port or file:///path/members.json"
    )]
    BadUri(String),
    /// The name cannot be resolved.
    #[error("dns://{0}: cannot be resolved: {1}")]
    Dns(String, std::io::Error),
    /// The file cannot be read.
    #[error("file://{0}: {1}")]
    File(String, String),
}

impl FromStr for Discovery {
    type Err = DiscoveryError;

    fn from_str(uri: &str) -> Result<Self, DiscoveryError> {
        let bad = || DiscoveryError::BadUri(uri.to_owned());
        let has_port = |address: &str| {
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        match uri.split_once("://").ok_or_else(bad)? {
            ("static", list) => {
                let addresses: Vec<String> = list.split(',').map(|address| address.trim().to_owned()).collect();
                if addresses.iter().all(|address| has_port(address)) { Ok(Self::Static(addresses)) } else { Err(bad()) }
            }
            ("dns", name) if has_port(name) => Ok(Self::Dns(name.to_owned())),
            ("file", path) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(list) => write!(f, "static://{}", list.join(",")),
            Self::Dns(name) => write!(f, "dns://{name}"),
            Self::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Discovery {
    /// The members now, sorted.
    ///
    /// # Errors
    /// [`DiscoveryError`] when the name or file cannot be read; callers keep the members they know.
    pub async fn members(&self) -> Result<BTreeSet<String>, DiscoveryError> {
        match self {
            Self::Static(list) => Ok(list.iter().cloned().collect()),
            Self::Dns(name) => {
                let addresses =
                    tokio::net::lookup_host(name).await.map_err(|error| DiscoveryError::Dns(name.clone(), error))?;
                Ok(addresses.map(|address| address.to_string()).collect())
            }
            Self::File(path) => {
                let failed = |error: String| DiscoveryError::File(path.display().to_string(), error);
                let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.to_string()))?;
                let list: Vec<String> = serde_json::from_str(&text)
                    .map_err(|error| failed(format!("expected a JSON array of \"host:port\": {error}")))?;
                Ok(list.into_iter().collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_and_nonsense_is_named() {
        for good in ["static://127.0.0.1:1,[::1]:2", "dns://logic:7000", "file:///etc/trestle/logic.json"] {
            assert_eq!(good.parse::<Discovery>().unwrap().to_string(), good);
        }
        for bad in ["", "logic:7000", "static://", "static://a:1,b", "dns://logic", "file://", "gossip://x:1"] {
            let error = bad.parse::<Discovery>().unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("static://"), "{error}");
        }
    }
}
