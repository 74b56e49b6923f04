//! A Redis Cluster of three masters with a replica each.

use super::{PORTS, READY, Redis, Slot, or_panic, sentinel::is_copy, until};

/// The slots of the three masters.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];
/// After which silence a node is taken for dead, in milliseconds.
const NODE_TIMEOUT_MS: u32 = 800;

/// A cluster of one's own.
#[derive(Debug)]
pub struct Cluster {
    /// Three masters, then their replicas in the same order.
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts one, and returns when every node says that all is well and every replica has copied its master.
    #[must_use]
    pub fn start() -> Self {
        let nodes: Vec<Redis> = (0..2 * SLOTS.len()).map(|_| node()).collect();
        let cluster = Self { nodes };
        for (number, ((first, last), node)) in SLOTS.iter().zip(&cluster.nodes).enumerate() {
            node.told(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            node.told(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for other in &cluster.nodes[1..] {
            let bus = other.bus.as_ref().map(Slot::port).unwrap_or_default().to_string();
            cluster.nodes[0].told(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), &bus]);
        }
        let info = |node: &Redis, field| node.info(&["CLUSTER", "INFO"], field);
        until("nodes have met", || cluster.nodes.iter().all(|node| info(node, "cluster_known_nodes") == "6"));
        let (masters, replicas) = cluster.nodes.split_at(SLOTS.len());
        for (master, replica) in masters.iter().zip(replicas) {
            let id = master.told(&["CLUSTER", "MYID"]);
            // Until the handshake with it is over, its id is not known everywhere.
            until("the replica follows", || replica.cli(&["CLUSTER", "REPLICATE", &id]).is_ok());
        }
        cluster.until_well();
        cluster
    }

    /// Waits until every node says that all is well, and whoever is a replica has copied its master.
    pub fn until_well(&self) {
        until("the cluster is well", || {
            self.nodes.iter().all(|node| {
                let replication = ["INFO", "replication"];
                node.info(&["CLUSTER", "INFO"], "cluster_state") == "ok"
                    && (is_copy(node) || node.info(&replication, "connected_slaves") == "1")
            })
        });
    }

    /// Waits until a node is a master.
    pub fn until_master(&self, node: usize) {
        until("the replica takes over", || self.nodes[node].info(&["INFO", "replication"], "role") == "master");
    }

    /// Whether a node keeps a key, as master or as replica.
    #[must_use]
    pub fn keeps(&self, node: usize, key: &str) -> bool {
        let slot: u16 = self.nodes[node].told(&["CLUSTER", "KEYSLOT", key]).parse().unwrap_or_default();
        let (first, last) = SLOTS[node % SLOTS.len()];
        (first..=last).contains(&slot)
    }

    /// `redis+cluster://127.0.0.1:port,...`, two of the nodes.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("redis+cluster://{},{}", self.nodes[0].address(), self.nodes[4].address())
    }
}

fn node() -> Redis {
    let mut redis = Redis::made(&[], READY);
    let base = redis.data();
    let bus = or_panic(base.parent().ok_or_else(|| "no folder".to_owned()).and_then(|base| Slot::claim(base, PORTS)));
    let settings = [
        ("--appendonly", "yes".to_owned()),
        ("--cluster-enabled", "yes".to_owned()),
        ("--cluster-port", bus.port().to_string()),
        ("--cluster-node-timeout", NODE_TIMEOUT_MS.to_string()),
        // A shard that is down does not take the others down.
        ("--cluster-require-full-coverage", "no".to_owned()),
    ];
    redis.settings = settings.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    redis.bus = Some(bus);
    redis.start_again();
    redis
}
