//! Which nodes there are, where each listens and what it is told: pure, so that it can be read and tested without
//! starting anything.

mod told;

use std::path::PathBuf;

use contract::Family;

use crate::{
    blueprint::Blueprint,
    database::{Database, Hidden},
    shared::Shared,
    sites::Sites,
};
use told::Told;

/// The provider's port, counted from `--port`; the highest of all.
pub(crate) const LAST_PORT_OFFSET: u16 = 19;
/// The port kept for the operator console, counted from `--port`; no frontend may take it.
const CONSOLE_OFFSET: u16 = 10;

/// Public ports: chosen by the user, so that bookmarks and scripts hold.
#[derive(Clone, Debug)]
pub(crate) struct PublicPorts {
    pub(crate) storefronts: Vec<u16>,
    pub(crate) provider: u16,
}

impl PublicPorts {
    /// `port` is at most 65535 - [`LAST_PORT_OFFSET`].
    pub(crate) fn new(port: u16, frontends: u32) -> Self {
        let offsets = (0..LAST_PORT_OFFSET).filter(|offset| *offset != CONSOLE_OFFSET);
        let storefronts = offsets.zip(0..frontends).map(|(offset, _)| port + offset).collect();
        Self { storefronts, provider: port + LAST_PORT_OFFSET }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = u16> {
        self.storefronts.iter().copied().chain([self.provider])
    }
}

/// One node to be.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    pub(crate) family: Family,
    pub(crate) id: String,
    /// Where it stands: a name of `--sites`, or "local".
    pub(crate) site: String,
    /// Where callers reach it, `host:port`.
    pub(crate) address: String,
    /// Where operators reach it. The provider, not being ours, has one address for both.
    pub(crate) ops_address: String,
    /// Arguments of `trestle`.
    pub(crate) args: Vec<String>,
    /// What it is told by environment, because arguments can be read by everybody.
    pub(crate) env: Vec<(&'static str, Hidden)>,
}

/// Where one supervisor keeps its files.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(pub(crate) PathBuf);

impl DataDir {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.file("cluster.secret")
    }

    /// What the provider signs its events with.
    pub(crate) fn webhook_secret(&self) -> PathBuf {
        self.file("webhook.secret")
    }

    /// Certificates, a folder for each family.
    pub(crate) fn tls(&self) -> PathBuf {
        self.file("tls")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.file("control.json")
    }

    pub(crate) fn log(&self, node: &str) -> PathBuf {
        self.file("logs").join(format!("{node}.log"))
    }
}

/// How many ports [`plan`] needs besides the public ones.
pub(crate) fn inner_ports_needed(blueprint: &Blueprint, sites: &Sites) -> usize {
    let needed = |family: Family| match family {
        Family::Provider => 0,
        Family::Frontend => sites.count(family, blueprint),
        _ => 2 * sites.count(family, blueprint),
    };
    Family::ALL.into_iter().map(needed).sum::<u32>() as usize
}

/// What there shall be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) sites: &'a Sites,
    pub(crate) database: &'a Database,
    pub(crate) shared: &'a Shared,
    pub(crate) tls: bool,
}

/// All nodes, front to back. `inner` holds at least [`inner_ports_needed`] free ports. Numbers run on over the sites, so an
/// id means one node, and `logic-1` is there whether or not there are sites.
pub(crate) fn plan(wanted: Wanted<'_>, public: &PublicPorts, inner: &[u16], dir: &DataDir) -> Vec<NodePlan> {
    let Wanted { blueprint, sites, database, shared, tls } = wanted;
    let mut inner = inner.iter().copied();
    let mut places = Vec::new();
    for family in Family::ALL.into_iter().rev() {
        for (at, site) in sites.of(family, blueprint).enumerate() {
            let port = match family {
                Family::Frontend => public.storefronts.get(at).copied(),
                Family::Provider => Some(public.provider),
                _ => inner.next(),
            };
            let ops_port = if family == Family::Provider { port } else { inner.next() };
            let (Some(port), Some(ops_port)) = (port, ops_port) else { continue };
            let [address, ops_address] = [port, ops_port].map(|port| format!("127.0.0.1:{port}"));
            // Who stands elsewhere has no database: it asks the home site, or must do without.
            let database = database.environment(family).filter(|_| site == sites.home());
            let env = database.into_iter().chain(shared.environment(family)).collect();
            let (id, site) = (format!("{family}-{}", at + 1), site.to_owned());
            places.push(NodePlan { family, id, site, address, ops_address, args: Vec::new(), env });
        }
    }
    let args: Vec<_> =
        places.iter().map(|place| Told { node: place, all: &places, sites, shared, tls, dir }.arguments()).collect();
    places.into_iter().zip(args).map(|(place, args)| NodePlan { args, ..place }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn planned(blueprint: &Blueprint, frontends: u32) -> Vec<NodePlan> {
        plan_of(blueprint, &Sites::default(), frontends, &Database::Files)
    }

    fn plan_of(blueprint: &Blueprint, sites: &Sites, frontends: u32, database: &Database) -> Vec<NodePlan> {
        let inner: Vec<u16> = (40_000..).take(inner_ports_needed(blueprint, sites)).collect();
        let wanted = Wanted { blueprint, sites, database, shared: &Shared::default(), tls: false };
        plan(wanted, &PublicPorts::new(8080, frontends), &inner, &DataDir("/data".into()))
    }

    fn option<'a>(node: &'a NodePlan, name: &str) -> &'a str {
        let at = node.args.iter().position(|arg| arg == name).unwrap_or_else(|| panic!("{name}: {:?}", node.args));
        &node.args[at + 1]
    }

    fn node<'a>(nodes: &'a [NodePlan], id: &str) -> &'a NodePlan {
        nodes.iter().find(|node| node.id == id).unwrap()
    }

    #[test]
    fn two_of_each_and_one_provider_on_the_documented_ports() {
        let nodes = planned(&Blueprint::default(), 2);
        let ids: Vec<_> = nodes.iter().map(|node| node.id.as_str()).collect();
        assert_eq!(nodes.len(), 15);
        assert_eq!(ids[..4], ["frontend-1", "frontend-2", "logic-1", "logic-2"]);
        assert_eq!(ids[14], "provider-1");
        assert_eq!(node(&nodes, "frontend-1").address, "127.0.0.1:8080");
        assert_eq!(node(&nodes, "frontend-2").address, "127.0.0.1:8081");
        let provider = node(&nodes, "provider-1");
        assert_eq!((provider.address.as_str(), &provider.address), ("127.0.0.1:8099", &provider.ops_address));
        let addresses: BTreeSet<_> = nodes.iter().flat_map(|node| [&node.address, &node.ops_address]).collect();
        assert_eq!(addresses.len(), 29, "no address twice, but for the provider's");
    }

    #[test]
    fn nodes_are_told_where_the_others_are() {
        let nodes = planned(&Blueprint::default(), 2);
        let list = |family: &str| {
            format!(
                "static://{},{}",
                node(&nodes, &format!("{family}-1")).address,
                node(&nodes, &format!("{family}-2")).address
            )
        };
        assert_eq!(option(node(&nodes, "frontend-2"), "--logic"), list("logic"));
        for family in ["sessions", "carts", "catalogue", "orders", "payments"] {
            assert_eq!(option(node(&nodes, "logic-1"), &format!("--{family}")), list(family));
        }
        let carts = node(&nodes, "carts-2");
        assert_eq!(option(carts, "--peers"), list("carts"));
        assert_eq!(option(carts, "--advertise"), carts.address);
        let payments = node(&nodes, "payments-2");
        assert_eq!(option(payments, "--provider"), "http://127.0.0.1:8099");
        assert!(!payments.args.iter().any(|arg| arg == "--permits"), "they lease the provider's 50 from each other");
        assert_eq!(option(payments, "--store"), "sqlite:///data/payments.db");
        assert_eq!(payments.args[..2], ["node", "payments"]);
        let provider = node(&nodes, "provider-1");
        assert_eq!(option(provider, "--webhook"), "http://127.0.0.1:8080/webhooks/provider");
        assert!(provider.args.contains(&"http://127.0.0.1:8081/webhooks/provider".to_owned()), "{:?}", provider.args);
        for told in [provider, node(&nodes, "frontend-2")] {
            assert_eq!(option(told, "--webhook-secret-file"), "/data/webhook.secret", "one secret for both ends");
        }
    }

    #[test]
    fn a_server_replaces_the_files_of_four_families_and_no_argument_shows_its_password() {
        let blueprint = Blueprint::default();
        let uri = "postgres://shop:s3cret@db/shop";
        let database = Database::read(Some(&uri.parse().unwrap())).unwrap();
        let nodes = plan_of(&blueprint, &Sites::default(), 2, &database);
        for node in &nodes {
            let by_environment = node.env.first().map(|(name, uri)| (*name, uri.expose()));
            let expected = match node.family {
                Family::Catalogue | Family::Orders | Family::Payments => Some(("TRESTLE_STORE", uri)),
                Family::Sessions => Some(("TRESTLE_ACCOUNTS", uri)),
                _ => None,
            };
            assert_eq!(by_environment, expected, "{}", node.id);
            assert!(!node.args.iter().any(|arg| arg.contains("sqlite:")), "{:?}", node.args);
            assert!(!format!("{node:?}").contains("s3cret"), "{node:?}");
        }
        assert_eq!(option(node(&nodes, "carts-1"), "--store"), "memory://");
        assert_eq!(option(node(&nodes, "sessions-1"), "--sessions"), "memory://");
        assert!(planned(&blueprint, 2).iter().all(|node| node.env.is_empty()), "files are no secret");
    }

    #[test]
    fn another_site_shares_carts_and_sessions_and_asks_the_home_site_for_the_rest() {
        let (blueprint, sites) = (Blueprint::default(), "seattle,london".parse::<Sites>().unwrap());
        let database = Database::read(Some(&"postgres://shop:s3cret@db/shop".parse().unwrap())).unwrap();
        let nodes = plan_of(&blueprint, &sites, 2, &database);
        assert_eq!(nodes.len(), 2 + 4 * 4 + 2 * 2 + 1);
        let list = |ids: [&str; 2]| format!("static://{}", ids.map(|id| node(&nodes, id).address.clone()).join(","));
        let (home, other) = (node(&nodes, "logic-2"), node(&nodes, "logic-3"));
        assert_eq!((home.site.as_str(), other.site.as_str()), ("seattle", "london"));
        assert_eq!(option(node(&nodes, "frontend-2"), "--logic"), list(["logic-3", "logic-4"]));
        for (name, expected) in [
            ("--carts", ["carts-3", "carts-4"]),
            ("--sessions", ["sessions-3", "sessions-4"]),
            ("--catalogue", ["catalogue-3", "catalogue-4"]),
            ("--orders", ["orders-1", "orders-2"]),
            ("--payments", ["payments-1", "payments-2"]),
            ("--stock", ["catalogue-1", "catalogue-2"]),
            ("--accounts", ["sessions-1", "sessions-2"]),
        ] {
            assert_eq!(option(other, name), list(expected), "{name}");
        }
        assert_eq!(option(other, "--home-site"), "seattle");
        assert!(!home.args.iter().any(|arg| ["--home-site", "--stock", "--accounts"].contains(&arg.as_str())));
        let copy = node(&nodes, "catalogue-4");
        assert_eq!(option(copy, "--copy-of"), list(["catalogue-1", "catalogue-2"]));
        for away in [copy, node(&nodes, "sessions-3")] {
            assert!(away.env.is_empty() && !away.args.iter().any(|arg| arg.contains("sqlite:")), "{away:?}");
        }
        for family in ["carts", "sessions"] {
            let of = |number: u32| format!("{family}-{number}");
            let (first, third) = (node(&nodes, &of(1)), node(&nodes, &of(3)));
            assert_eq!((option(first, "--site"), option(third, "--site")), ("seattle", "london"));
            assert_eq!(option(first, "--peers"), list([&of(1), &of(2)]));
            assert_eq!(option(first, "--remote"), format!("london={}", list([&of(3), &of(4)])));
            assert_eq!(option(third, "--remote"), format!("seattle={}", list([&of(1), &of(2)])));
        }
        let provider = node(&nodes, "provider-1");
        assert_eq!(provider.args.iter().filter(|arg| *arg == "--webhook").count(), 1, "events go to the home site");
    }

    #[test]
    fn sixteen_of_each_fit_between_console_and_provider() {
        let most = r#"{"frontend":16,"logic":16,"sessions":16,"carts":16,"catalogue":16,"orders":16,"payments":16}"#;
        let blueprint: Blueprint = serde_json::from_str(most).unwrap();
        let nodes = planned(&blueprint, 16);
        assert_eq!(nodes.len(), 7 * 16 + 1);
        let ports: BTreeSet<_> = PublicPorts::new(8080, 16).all().collect();
        assert_eq!(ports.len(), 17);
        assert!(!ports.contains(&8090) && ports.last() == Some(&8099));
    }
}
