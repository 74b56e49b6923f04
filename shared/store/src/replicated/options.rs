//! The options of a node that shares its data with others, the same for carts and sessions.

use std::str::FromStr;

use clap::Args;
use contract::Sharing;
use rpc::{Discovery, DiscoveryError};

use super::ENTRIES_MAX;
use crate::ring::Member;

const HOUR_MS: i64 = 3_600_000;

/// Options of a node that shares its data with others.
#[derive(Args, Clone, Debug)]
pub struct SharingOptions {
    /// All nodes of this family at this site, this one included: static://host:port,... or dns://name:port or
    /// file:///path.json. Without it the node is alone, and its end loses what it holds.
    #[arg(long, env = "TRESTLE_PEERS", value_name = "DISCOVERY_URI")]
    pub peers: Option<Discovery>,
    /// This node's address as it stands among --peers; the address of --listen unless given.
    #[arg(long, env = "TRESTLE_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// How many nodes of each site keep a copy: nothing (one does), something(N) or everything (all do). The same for all
    /// nodes of a family [default: something(3) for carts, everything for sessions].
    #[arg(long, env = "TRESTLE_SHARING", value_name = "STRATEGY")]
    pub sharing: Option<Sharing>,
    /// Name of the site this node belongs to, if there are several.
    #[arg(long, env = "TRESTLE_SITE", default_value = "", hide_default_value = true, value_name = "NAME")]
    pub site: String,
    /// The nodes of this family at another site; may be given again. They get copies too, but are never waited for.
    #[arg(long, env = "TRESTLE_REMOTE", value_name = "NAME=DISCOVERY_URI", value_delimiter = ' ')]
    pub remote: Vec<Remote>,
    /// A node that stood still for longer than this many hours throws away what it knew and copies from its peers, 1 to
    /// 8760. Longer than any partition that is to be survived.
    #[arg(long, env = "TRESTLE_HORIZON", default_value_t = 24, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(1..=8_760))]
    pub horizon: i64,
}

/// The nodes of a family at another site.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The site's name.
    pub site: String,
    /// Its nodes.
    pub nodes: Discovery,
}

/// Text that names no other site.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no name.
    #[error("\"{0}\" names no site; write NAME=DISCOVERY_URI, for example london=static://10.0.1.1:7000")]
    NoName(String),
    /// The nodes cannot be found like that.
    #[error(transparent)]
    Nodes(#[from] DiscoveryError),
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        match text.split_once('=') {
            Some((site, nodes)) if !site.is_empty() => Ok(Self { site: site.to_owned(), nodes: nodes.parse()? }),
            _ => Err(RemoteError::NoName(text.to_owned())),
        }
    }
}

/// How a node takes part.
#[derive(Clone, Debug)]
pub struct Setup {
    /// This node.
    pub own: Member,
    /// All nodes of its site, itself included or not.
    pub peers: Option<Discovery>,
    /// The nodes of other sites.
    pub remotes: Vec<Remote>,
    /// How many copies.
    pub sharing: Sharing,
    /// Most entries of this node.
    pub entries_max: usize,
    /// Away for longer than this, a node throws away what it knew, in milliseconds.
    pub horizon_ms: i64,
}

impl Setup {
    /// A copy of everything on every node of one site.
    #[must_use]
    pub fn new(peers: Option<Discovery>, own_address: &str) -> Self {
        let own = Member { site: String::new(), name: own_address.to_owned() };
        let (sharing, entries_max) = (Sharing::Everything, ENTRIES_MAX);
        Self { own, peers, remotes: Vec::new(), sharing, entries_max, horizon_ms: 24 * HOUR_MS }
    }
}

impl SharingOptions {
    /// What the options say for a node that listens at this address.
    ///
    /// # Errors
    /// When two options contradict each other; the message names them.
    pub fn setup(&self, listening_at: &str, default: Sharing) -> anyhow::Result<Setup> {
        let mut sites: Vec<_> = self.remote.iter().map(|remote| &remote.site).chain([&self.site]).collect();
        sites.sort();
        if let Some(twice) = sites.windows(2).find(|pair| pair[0] == pair[1]) {
            anyhow::bail!(
                "--remote {}=...: that site is named twice; --site and --remote are different sites",
                twice[0]
            );
        }
        let name = self.advertise.clone().unwrap_or_else(|| listening_at.to_owned());
        if let Some(Discovery::Static(list)) = &self.peers
            && !list.contains(&name)
        {
            // It would be two members to the others, and they would never agree with it about who they are.
            anyhow::bail!("--peers {}: this node is not in it as {name}; add that, or set --advertise", list.join(","));
        }
        Ok(Setup {
            own: Member { site: self.site.clone(), name },
            peers: self.peers.clone(),
            remotes: self.remote.clone(),
            sharing: self.sharing.unwrap_or(default),
            entries_max: ENTRIES_MAX,
            horizon_ms: self.horizon * HOUR_MS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        options: SharingOptions,
    }

    fn options(arguments: &[&str]) -> Result<SharingOptions, String> {
        let all = ["node"].iter().chain(arguments);
        <Cli as clap::Parser>::try_parse_from(all).map(|cli| cli.options).map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_a_set_up() {
        let setup = options(&[]).unwrap().setup("a:1", Sharing::Something(3)).unwrap();
        assert_eq!(
            (setup.own.name.as_str(), setup.sharing, setup.horizon_ms),
            ("a:1", Sharing::Something(3), 24 * HOUR_MS)
        );
        let all = ["--sharing", "something(2)", "--site", "seattle", "--remote", "london=static://b:1,c:1"];
        let more = ["--remote", "paris=dns://carts.paris:7000", "--advertise", "a:2", "--horizon", "1"];
        let setup = options(&[&all[..], &more].concat()).unwrap().setup("a:1", Sharing::Everything).unwrap();
        assert_eq!((setup.own.site.as_str(), setup.own.name.as_str()), ("seattle", "a:2"));
        assert_eq!((setup.sharing, setup.horizon_ms), (Sharing::Something(2), HOUR_MS));
        let remotes: Vec<_> = setup.remotes.iter().map(|remote| format!("{}={}", remote.site, remote.nodes)).collect();
        assert_eq!(remotes, ["london=static://b:1,c:1", "paris=dns://carts.paris:7000"]);
    }

    #[test]
    fn errors_name_the_option_and_what_to_write() {
        for (bad, named) in [
            (["--sharing", "some"], ["--sharing", "something(N)"]),
            (["--remote", "static://b:1"], ["--remote", "NAME=DISCOVERY_URI"]),
            (["--remote", "london=b:1"], ["--remote", "static://"]),
            (["--horizon", "0"], ["--horizon", "1..=8760"]),
        ] {
            let error = options(&bad).unwrap_err();
            assert!(named.iter().all(|name| error.contains(name)), "{error}");
        }
        let twice = options(&["--site", "london", "--remote", "london=static://b:1"]).unwrap();
        let error = twice.setup("a:1", Sharing::Everything).unwrap_err().to_string();
        assert!(error.contains("--remote london=") && error.contains("--site"), "{error}");
        let absent = options(&["--peers", "static://b:1,c:1"]).unwrap();
        let error = absent.setup("a:1", Sharing::Everything).unwrap_err().to_string();
        assert!(error.contains("--peers b:1,c:1") && error.contains("a:1") && error.contains("--advertise"), "{error}");
    }
}
