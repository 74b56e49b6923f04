//! Which nodes there are, where each listens and what it is told: pure, so that it can be read and tested without
//! starting anything.

use std::path::{Path, PathBuf};

use contract::Family;

use crate::{
    blueprint::Blueprint,
    database::{Database, Hidden},
};

/// The provider's port, counted from `--port`; the highest of all.
pub(crate) const LAST_PORT_OFFSET: u16 = 19;
/// The port kept for the operator console, counted from `--port`; no frontend may take it.
const CONSOLE_OFFSET: u16 = 10;

/// Most frontends that the provider is told of; it asks the next one when one does not answer.
const WEBHOOKS_MAX: usize = 8;

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
    /// Where callers reach it, `host:port`.
    pub(crate) address: String,
    /// Where operators reach it. The provider, not being ours, has one address for both.
    pub(crate) ops_address: String,
    /// Arguments of `trestle`.
    pub(crate) args: Vec<String>,
    /// What it is told by environment, because arguments can be read by everybody.
    pub(crate) env: Option<(&'static str, Hidden)>,
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

    pub(crate) fn control(&self) -> PathBuf {
        self.file("control.json")
    }

    pub(crate) fn log(&self, node: &str) -> PathBuf {
        self.file("logs").join(format!("{node}.log"))
    }
}

/// How many ports [`plan`] needs besides the public ones.
pub(crate) fn inner_ports_needed(blueprint: &Blueprint) -> usize {
    let needed = |family: Family| match family {
        Family::Provider => 0,
        Family::Frontend => blueprint.count(family),
        _ => 2 * blueprint.count(family),
    };
    Family::ALL.into_iter().map(needed).sum::<u32>() as usize
}

/// All nodes, front to back. `inner` holds at least [`inner_ports_needed`] free ports.
pub(crate) fn plan(
    blueprint: &Blueprint,
    public: &PublicPorts,
    inner: &[u16],
    dir: &DataDir,
    database: &Database,
) -> Vec<NodePlan> {
    let mut inner = inner.iter().copied();
    let mut places = Vec::new();
    for family in Family::ALL.into_iter().rev() {
        for number in 1..=blueprint.count(family) {
            let port = match family {
                Family::Frontend => public.storefronts.get(number as usize - 1).copied(),
                Family::Provider => Some(public.provider),
                _ => inner.next(),
            };
            let ops_port = if family == Family::Provider { port } else { inner.next() };
            let (Some(port), Some(ops_port)) = (port, ops_port) else { continue };
            let [address, ops_address] = [port, ops_port].map(|port| format!("127.0.0.1:{port}"));
            let (id, env) = (format!("{family}-{number}"), database.environment(family));
            places.push(NodePlan { family, id, address, ops_address, args: Vec::new(), env });
        }
    }
    let sharing = |place: &NodePlan| blueprint.sharing().arguments(place.family);
    let args: Vec<_> = places.iter().map(|place| [arguments(place, &places, dir), sharing(place)].concat()).collect();
    places.into_iter().zip(args).map(|(place, args)| NodePlan { args, ..place }).collect()
}

fn arguments(node: &NodePlan, all: &[NodePlan], dir: &DataDir) -> Vec<String> {
    let of = |family: Family| all.iter().filter(move |node| node.family == family);
    let nodes = |family: Family| {
        let addresses: Vec<_> = of(family).map(|node| node.address.as_str()).collect();
        format!("static://{}", addresses.join(","))
    };
    let path = |name: &str| display(&dir.file(name));
    // A file for the family, unless the environment names a server.
    let store = |option: &'static str| match node.env {
        None => vec![(option, format!("sqlite://{}", path(&format!("{}.db", node.family))))],
        Some(_) => Vec::new(),
    };
    let peers = || vec![("--peers", nodes(node.family)), ("--advertise", node.address.clone())];
    let mut options = vec![("--listen", node.address.clone())];
    if node.family != Family::Provider {
        options.extend([
            ("--id", node.id.clone()),
            ("--ops-listen", node.ops_address.clone()),
            ("--secret-file", display(&dir.secret())),
            ("--log-format", "json".to_owned()),
            ("--drain-s", drain_s(node.family).to_string()),
        ]);
    }
    options.extend(match node.family {
        Family::Frontend => {
            vec![("--logic", nodes(Family::Logic)), ("--webhook-secret-file", display(&dir.webhook_secret()))]
        }
        Family::Logic => vec![
            ("--sessions", nodes(Family::Sessions)),
            ("--carts", nodes(Family::Carts)),
            ("--catalogue", nodes(Family::Catalogue)),
            ("--orders", nodes(Family::Orders)),
            ("--payments", nodes(Family::Payments)),
            ("--mailbox", path("mailbox")),
        ],
        Family::Sessions => [store("--accounts"), vec![("--sessions", "memory://".to_owned())], peers()].concat(),
        Family::Carts => [vec![("--store", "memory://".to_owned())], peers()].concat(),
        Family::Catalogue | Family::Orders => store("--store"),
        Family::Payments => [
            store("--store"),
            vec![("--provider", of(Family::Provider).map(|node| format!("http://{}", node.address)).collect())],
        ]
        .concat(),
        Family::Provider => {
            let told = of(Family::Frontend).take(WEBHOOKS_MAX);
            let told = told.map(|node| ("--webhook", format!("http://{}/webhooks/provider", node.address)));
            let secret = ("--webhook-secret-file", display(&dir.webhook_secret()));
            [vec![("--ledger", path("provider-ledger.jsonl")), secret], told.collect()].concat()
        }
    });
    let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    ["node".to_owned(), node.family.to_string()].into_iter().chain(options).collect()
}

/// Requests in flight may finish for this long. The tiers are told one after the other (`supervisor::drain`), so the
/// ones told later get less: all of them fit into the 5 s that Ctrl-C may take.
const fn drain_s(family: Family) -> u64 {
    match family {
        Family::Frontend => 4,
        Family::Logic => 3,
        _ => 2,
    }
}

/// The data folder is UTF-8 (`up` checks it), so nothing is lost.
fn display(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn planned(blueprint: &Blueprint, frontends: u32) -> Vec<NodePlan> {
        let inner: Vec<u16> = (40_000..).take(inner_ports_needed(blueprint)).collect();
        plan(blueprint, &PublicPorts::new(8080, frontends), &inner, &DataDir("/data".into()), &Database::Files)
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
        let inner: Vec<u16> = (40_000..).take(inner_ports_needed(&blueprint)).collect();
        let uri = "postgres://shop:s3cret@db/shop";
        let database = Database::read(Some(&uri.parse().unwrap())).unwrap();
        let nodes = plan(&blueprint, &PublicPorts::new(8080, 2), &inner, &DataDir("/data".into()), &database);
        for node in &nodes {
            let by_environment = node.env.as_ref().map(|(name, uri)| (*name, uri.expose()));
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
        assert!(planned(&blueprint, 2).iter().all(|node| node.env.is_none()), "files are no secret");
    }

    #[test]
    fn nodes_are_told_how_to_share_if_that_was_chosen() {
        let nodes = planned(&Blueprint::default(), 2);
        assert!(!nodes.iter().any(|node| node.args.iter().any(|arg| arg == "--sharing")));
        let chosen = Blueprint::default().with_sharing(&["carts=something(2)".parse().unwrap()]);
        let nodes = planned(&chosen, 2);
        assert_eq!(option(node(&nodes, "carts-2"), "--sharing"), "something(2)");
        assert_eq!(nodes.iter().filter(|node| node.args.iter().any(|arg| arg == "--sharing")).count(), 2);
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
