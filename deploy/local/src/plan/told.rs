//! What one node is told: the arguments that say where it listens, what it keeps and where the others are.

use std::{path::Path, time::Duration};

use contract::Family;

use super::{DataDir, NodePlan};
use crate::{shared::Shared, sites::Sites};

/// Most frontends that the provider is told of; it asks the next one when one does not answer.
const WEBHOOKS_MAX: usize = 8;

/// How long a node that is restarted goes on taking work. Shorter than elsewhere: its only callers are nodes, which probe four
/// times a second, and there is no balancer. When the whole shop ends there is no delay (`supervisor::drain`).
const DRAIN_DELAY: Duration = Duration::from_secs(2);
const _: () = assert!(DRAIN_DELAY.as_millis() > rpc::DRAIN_SEEN_WITHIN.as_millis());
/// How long its requests in flight may take then: more than any request. At the end of the whole shop the supervisor's own
/// bound is shorter.
const DRAIN: Duration = Duration::from_secs(10);

type Options = Vec<(&'static str, String)>;

/// What one node is told.
pub(super) struct Told<'a> {
    pub(super) node: &'a NodePlan,
    pub(super) all: &'a [NodePlan],
    pub(super) sites: &'a Sites,
    pub(super) shared: &'a Shared,
    pub(super) tls: bool,
    pub(super) dir: &'a DataDir,
}

impl Told<'_> {
    pub(super) fn arguments(&self) -> Vec<String> {
        let node = self.node;
        let mut options = vec![("--listen", node.address.clone())];
        if node.family != Family::Provider {
            options.extend([
                ("--id", node.id.clone()),
                ("--ops-listen", node.ops_address.clone()),
                ("--secret-file", display(&self.dir.secret())),
                ("--log-format", "json".to_owned()),
                ("--drain-delay-s", DRAIN_DELAY.as_secs().to_string()),
                ("--drain-s", DRAIN.as_secs().to_string()),
            ]);
            let folder = self.tls.then(|| display(&self.dir.tls().join(node.family.name())));
            options.extend(folder.map(|folder| ("--tls", folder)));
        }
        options.extend(match node.family {
            Family::Frontend => {
                let secret = ("--webhook-secret-file", display(&self.dir.webhook_secret()));
                vec![("--logic", self.here(Family::Logic)), secret]
            }
            Family::Logic => self.logic(),
            Family::Sessions => {
                let accounts = if self.is_at_home() { self.store("--accounts") } else { Vec::new() };
                [accounts, self.memory("--sessions"), self.peers()].concat()
            }
            Family::Carts => [self.memory("--store"), self.peers()].concat(),
            Family::Catalogue if !self.is_at_home() => vec![("--copy-of", self.at_home(Family::Catalogue))],
            Family::Catalogue | Family::Orders => self.store("--store"),
            Family::Payments => {
                let provider =
                    self.of(Family::Provider, self.sites.home()).map(|node| format!("http://{}", node.address));
                [self.store("--store"), vec![("--provider", provider.collect())]].concat()
            }
            Family::Provider => self.provider(),
        });
        let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        ["node".to_owned(), node.family.to_string()].into_iter().chain(options).collect()
    }

    fn logic(&self) -> Options {
        let mut options = vec![
            ("--sessions", self.here(Family::Sessions)),
            ("--carts", self.here(Family::Carts)),
            ("--catalogue", self.here(Family::Catalogue)),
            ("--orders", self.at_home(Family::Orders)),
            ("--payments", self.at_home(Family::Payments)),
            ("--mailbox", self.path("mailbox")),
        ];
        if !self.is_at_home() {
            options.extend([
                ("--stock", self.at_home(Family::Catalogue)),
                ("--accounts", self.at_home(Family::Sessions)),
                ("--home-site", self.sites.home().to_owned()),
            ]);
        }
        options
    }

    fn provider(&self) -> Options {
        let told = self.of(Family::Frontend, self.sites.home()).take(WEBHOOKS_MAX);
        let told = told.map(|node| ("--webhook", format!("http://{}/webhooks/provider", node.address)));
        let secret = ("--webhook-secret-file", display(&self.dir.webhook_secret()));
        [vec![("--ledger", self.path("provider-ledger.jsonl")), secret], told.collect()].concat()
    }

    /// Whom a node of a replicated family shares with: its own site, and the others from afar.
    fn peers(&self) -> Options {
        let family = self.node.family;
        let mut options = vec![("--peers", self.here(family)), ("--advertise", self.node.address.clone())];
        options.extend(self.shared.options(family));
        if self.sites.are_many() {
            options.push(("--site", self.node.site.clone()));
            let others = self.sites.names().filter(|site| *site != self.node.site);
            options.extend(others.map(|site| ("--remote", format!("{site}={}", self.list(family, site)))));
        }
        options
    }

    /// A file for the family, unless the environment names a server.
    fn store(&self, option: &'static str) -> Options {
        self.unless_told(option, format!("sqlite://{}", self.path(&format!("{}.db", self.node.family))))
    }

    /// The memory of the family's nodes, unless the environment names a server.
    fn memory(&self, option: &'static str) -> Options {
        self.unless_told(option, "memory://".to_owned())
    }

    fn unless_told(&self, option: &'static str, value: String) -> Options {
        let variable = format!("TRESTLE_{}", option.trim_start_matches('-').to_uppercase());
        let is_told = self.node.env.iter().any(|(name, _)| *name == variable);
        if is_told { Vec::new() } else { vec![(option, value)] }
    }

    fn is_at_home(&self) -> bool {
        self.node.site == self.sites.home()
    }

    fn here(&self, family: Family) -> String {
        self.list(family, &self.node.site)
    }

    fn at_home(&self, family: Family) -> String {
        self.list(family, self.sites.home())
    }

    fn list(&self, family: Family, site: &str) -> String {
        let addresses: Vec<_> = self.of(family, site).map(|node| node.address.as_str()).collect();
        format!("static://{}", addresses.join(","))
    }

    fn of(&self, family: Family, site: &str) -> impl Iterator<Item = &NodePlan> {
        self.all.iter().filter(move |node| node.family == family && node.site == site)
    }

    fn path(&self, name: &str) -> String {
        display(&self.dir.file(name))
    }
}

/// The data folder is UTF-8 (`up` checks it), so nothing is lost.
fn display(path: &Path) -> String {
    path.display().to_string()
}
