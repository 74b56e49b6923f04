//! Which server is the master of a key: what Sentinel and Cluster are about, and the only thing they are used for here.
//!
//! A view is a list of claims, "this server is the master of these slots since this epoch", and the claim of the newest
//! epoch wins: Sentinels and cluster nodes number every failover and every move of slots. So all answers of all who were
//! asked go on one pile, and whoever was paused or cut off during a failover and still tells of the old master is
//! outvoted by his own number. With one server, or Sentinel, there is one range with all slots.
//!
//! The driver has clients for both. The one for Sentinel takes the first answer, and the one for Cluster stays with a
//! master that is silent and not dead (it looks around only after a broken connection), resends writes on its own, so
//! that an error would prove nothing, and sends `WAIT` to any node it likes.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::{Cmd, Value};
use tokio::time::timeout;

use super::{
    links::connect,
    uri::{Login, Place, RedisUri},
};

/// How long one who is asked may take.
const ASKED_FOR: Duration = Duration::from_millis(300);
/// Most nodes of a cluster that are asked.
const ASKED_MAX: usize = 32;
/// Slots of a Redis Cluster.
pub(super) const SLOTS: u16 = 16_384;

/// Who is the master of what, as far as is known.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Grows with each view that is learned.
    pub(super) number: u64,
    /// The newest first.
    claims: Vec<Claim>,
    /// Nodes of the cluster.
    nodes: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    epoch: u64,
    slots: (u16, u16),
    address: String,
}

/// What one of those who were asked told.
type Told = (Vec<Claim>, BTreeSet<String>);

impl View {
    /// The address of a slot's master.
    pub(super) fn master(&self, slot: u16) -> Option<&str> {
        let claim = self.claims.iter().find(|claim| in_range(claim, slot))?;
        Some(&claim.address)
    }

    /// All masters.
    pub(super) fn masters(&self) -> BTreeSet<&str> {
        // A claim that another one covers in part counts, which is why a page takes each key once.
        let wins = |claim: &&Claim| self.master(claim.slots.0) == Some(&claim.address);
        self.claims.iter().filter(wins).map(|claim| claim.address.as_str()).collect()
    }

    /// Asks around. `known` is the view so far, which stands if nobody answers.
    pub(super) async fn learn(uri: &RedisUri, known: &Self) -> Result<Self, String> {
        let all = |epoch, address: &str| Claim { epoch, slots: (0, SLOTS - 1), address: address.to_owned() };
        let told = match &uri.place {
            Place::Server(address) => (vec![all(0, address)], BTreeSet::new()),
            Place::Sentinel { sentinels, service } => {
                let asked = sentinels.iter().map(async |sentinel| {
                    let (epoch, address) = ask_sentinel(sentinel, service).await?;
                    Ok::<Told, String>((vec![all(epoch, &address)], BTreeSet::new()))
                });
                most(asked.collect()).await?
            }
            Place::Cluster(seeds) => {
                let asked: BTreeSet<&String> = seeds.iter().chain(&known.nodes).take(ASKED_MAX).collect();
                most(asked.into_iter().map(|node| ask_node(node, &uri.login)).collect()).await?
            }
        };
        Ok(Self::of(known.number + 1, told))
    }

    fn of(number: u64, (mut claims, nodes): Told) -> Self {
        claims.sort_unstable_by(|one, other| other.cmp(one));
        claims.dedup();
        Self { number, claims, nodes }
    }
}

fn in_range(claim: &Claim, slot: u16) -> bool {
    let range: RangeInclusive<u16> = claim.slots.0..=claim.slots.1;
    range.contains(&slot)
}

/// The answers of most of them, since the silence of a few must not hold up a failover; of fewer if the others are dead.
async fn most(asked: Vec<impl Future<Output = Result<Told, String>>>) -> Result<Told, String> {
    let enough = asked.len() / 2 + 1;
    let mut answers = asked.into_iter().map(|one| timeout(ASKED_FOR, one)).collect::<FuturesUnordered<_>>();
    let (mut told, mut answered, mut why) = (Told::default(), 0, "nobody to ask".to_owned());
    while let Some(answer) = answers.next().await {
        match answer.unwrap_or_else(|_| Err(format!("no answer within {} ms", ASKED_FOR.as_millis()))) {
            Ok((claims, nodes)) => {
                told.0.extend(claims);
                told.1.extend(nodes);
                answered += 1;
            }
            Err(reason) => why = reason,
        }
        if answered == enough {
            break;
        }
    }
    if told.0.is_empty() { Err(why) } else { Ok(told) }
}

async fn ask(address: &str, login: &Login, cmd: Cmd) -> Result<Value, String> {
    let failed = |error: redis::RedisError| format!("{address}: {error}");
    let mut connection = connect(address, login, ASKED_FOR).await.map_err(failed)?;
    cmd.query_async(&mut connection).await.map_err(failed)
}

async fn ask_sentinel(sentinel: &str, service: &str) -> Result<(u64, String), String> {
    let mut cmd = redis::cmd("SENTINEL");
    cmd.arg("MASTER").arg(service);
    let told = ask(sentinel, &Login::default(), cmd).await?;
    let told: Vec<String> = redis::from_redis_value(told).map_err(|error| format!("{sentinel}: {error}"))?;
    let field = |name: &str| told.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
    let answer = || Some((field("config-epoch")?.parse().ok()?, joined(field("ip")?, field("port")?)));
    answer().ok_or_else(|| format!("{sentinel}: its answer about {service} is not understood"))
}

async fn ask_node(node: &str, login: &Login) -> Result<Told, String> {
    let mut cmd = redis::cmd("CLUSTER");
    cmd.arg("NODES");
    let told = ask(node, login, cmd).await?;
    let told: String = redis::from_redis_value(told).map_err(|error| format!("{node}: {error}"))?;
    Ok(told.lines().filter_map(|line| read_node(line, node)).unzip_flat())
}

/// `id ip:port@bus,host flags master ping pong epoch link slots...`. A node that never met another does not know its own
/// address: it is the one that was asked.
fn read_node(line: &str, asked: &str) -> Option<(Vec<Claim>, String)> {
    let mut words = line.split(' ');
    let address = words.nth(1)?.split(['@', ',']).next()?;
    let flags = words.next()?;
    let epoch = words.nth(3)?.parse().ok()?;
    let (host, port) = address.rsplit_once(':')?;
    if flags.contains("noaddr") || flags.contains("handshake") {
        return None;
    }
    let address = joined(if host.is_empty() { asked.rsplit_once(':')?.0 } else { host }, port);
    // After the state of the link. What begins with a bracket is on its way to another node.
    let slots = words.skip(1).filter(|word| !word.starts_with('[')).filter_map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    Some((slots.map(|slots| Claim { epoch, slots, address: address.clone() }).collect(), address))
}

fn joined(host: &str, port: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Claims and addresses of all lines.
trait UnzipFlat {
    fn unzip_flat(self) -> Told;
}

impl<I: Iterator<Item = (Vec<Claim>, String)>> UnzipFlat for I {
    fn unzip_flat(self) -> Told {
        let mut told = Told::default();
        for (claims, address) in self {
            told.0.extend(claims);
            told.1.insert(address);
        }
        told
    }
}

/// The slot of a key: CRC-16/XMODEM. Our keys have no hash tags.
pub(super) fn slot(key: &str) -> u16 {
    let crc = key.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
    }

    #[test]
    fn the_newest_claim_wins_whoever_tells_it_and_when() {
        let line = |address: &str, flags: &str, epoch: u64, slots: &str| {
            format!("id {address}@17000,host {flags} - 0 0 {epoch} connected {slots}")
        };
        let read = |lines: &[String]| lines.iter().filter_map(|line| read_node(line, "10.0.0.9:7")).unzip_flat();
        let before = [line("10.0.0.1:7", "master", 1, "0-100 200 [5->-x]"), line("10.0.0.2:7", "slave", 1, "")];
        let after = [line("10.0.0.1:7", "master,fail", 1, "0-100"), line(":7", "myself,master", 4, "0-100 200")];
        for told in [[&before[..], &after[..]].concat(), [&after[..], &before[..]].concat()] {
            let view = View::of(1, read(&told));
            assert_eq!((view.master(5), view.master(200)), (Some("10.0.0.9:7"), Some("10.0.0.9:7")));
            assert_eq!((view.master(101), view.masters()), (None, BTreeSet::from(["10.0.0.9:7"])));
            assert_eq!(view.nodes.len(), 3);
        }
        assert_eq!(read_node(&line(":0", "master,noaddr", 1, "0"), "a:1"), None);
    }
}
