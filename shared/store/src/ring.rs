//! Who holds a key: key -> virtual node -> preference list of members.
//!
//! A pure function of the members (MEM-2): nodes that know the same members place alike, without a word between them, and
//! [`Ring::view`] is the one number to compare before two of them rely on it.
//!
//! - A key's hash chooses one of [`VNODES`] virtual nodes. There are many more of them than members, so that members get
//!   even shares, and few enough to keep a table and a digest of each.
//! - Each member has a score for each virtual node; the order of the scores is the preference list ("highest random
//!   weight", Thaler and Ravishankar 1998). A member that joins takes the places where it scores high, one that leaves
//!   gives up its own, and nothing moves between the others: their scores did not change. A ring of points, as in
//!   Dynamo, needs tokens to be dealt out for that; a hash modulo n moves nearly everything.
//! - The *primaries* of a virtual node are the first so many members of each site, as the strategy says. Whoever is next
//!   stands in for a primary that does not answer.
//!
//! The hash is our own, because places must be the same in every process and release: FNV-1a over the bytes (Fowler, Noll,
//! Vo), whose weak upper bits are then mixed by the finalizer of `SplitMix64` (Steele, Lea, Flood 2014).

use std::ops::Range;

use contract::Sharing;

/// How many virtual nodes there are; each has a number of 16 bits.
pub const VNODES: usize = 1 << 16;

/// A node that holds entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The site it belongs to; one name for all if there is one site only.
    pub site: String,
    /// Its address, as all members write it.
    pub name: String,
}

/// Where everything belongs, for one set of members and one strategy.
#[derive(Debug)]
pub struct Ring {
    /// By site, then name.
    members: Vec<Member>,
    hashes: Vec<u64>,
    /// Where the members of each site lie, and how many copies it keeps.
    sites: Vec<(Range<usize>, usize)>,
    /// The primaries of each virtual node, one after the other; none if every member is one of all.
    table: Option<Vec<u16>>,
    view: u64,
}

impl Ring {
    /// The ring of these members; at most 65,535, given in any order.
    #[must_use]
    pub fn new(mut members: Vec<Member>, sharing: Sharing) -> Self {
        members.sort();
        members.dedup();
        members.truncate(usize::from(u16::MAX));
        let hashes = members.iter().map(|member| hash(member.name.as_bytes())).collect();
        let spelled = members.iter().map(|member| format!("{}/{}\n", member.site, member.name)).collect::<String>();
        let mut ring = Self { members, hashes, sites: Vec::new(), table: None, view: hash(spelled.as_bytes()) };
        ring.sites = ring
            .members
            .chunk_by(|one, next| one.site == next.site)
            .scan(0, |from, site| {
                let begins = std::mem::replace(from, *from + site.len());
                Some((begins..*from, sharing.copies(site.len())))
            })
            .collect();
        if ring.sites.iter().any(|(site, copies)| *copies < site.len()) {
            let mut table = Vec::new();
            for vnode in 0..=u16::MAX {
                for (site, copies) in &ring.sites {
                    let firsts = ring.firsts(site, *copies, vnode).into_iter();
                    table.extend(firsts.filter_map(|member| u16::try_from(member).ok()));
                }
            }
            ring.table = Some(table);
        }
        ring
    }

    /// Names the members: equal on two nodes that know the same ones.
    #[must_use]
    pub const fn view(&self) -> u64 {
        self.view
    }

    /// All members, by site and name.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The number by which the other functions know a member.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name == name)
    }

    /// The members that are to hold a virtual node, of all sites.
    pub fn primaries(&self, vnode: u16) -> impl Iterator<Item = usize> {
        let each = self.sites.iter().map(|(_, copies)| copies).sum::<usize>();
        let (some, all) = match &self.table {
            Some(table) => (&table[usize::from(vnode) * each..][..each], 0..0),
            None => (&[][..], 0..self.members.len()),
        };
        some.iter().map(|member| usize::from(*member)).chain(all)
    }

    /// Whether a member is to hold a virtual node.
    #[must_use]
    pub fn is_primary(&self, member: usize, vnode: u16) -> bool {
        self.table.is_none() || self.primaries(vnode).any(|primary| primary == member)
    }

    /// Whether every member is to hold everything.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.table.is_none()
    }

    /// The copies that a member's site keeps, and its members in order of preference: primaries, then those that stand
    /// in for them.
    #[must_use]
    pub fn preference(&self, member: usize, vnode: u16) -> (usize, Vec<usize>) {
        let site = self.sites.iter().find(|(site, _)| site.contains(&member));
        site.map_or_else(Default::default, |(site, copies)| (*copies, self.firsts(site, site.len(), vnode)))
    }

    /// The first so many of a site's members for a virtual node, best first.
    fn firsts(&self, site: &Range<usize>, count: usize, vnode: u16) -> Vec<usize> {
        let mut best: Vec<(u64, usize)> = Vec::with_capacity(count + 1);
        for member in site.clone() {
            let score = mix(self.hashes[member] ^ u64::from(vnode));
            if best.len() < count || best.last().is_some_and(|(least, _)| score > *least) {
                best.insert(best.partition_point(|(better, _)| *better >= score), (score, member));
                best.truncate(count);
            }
        }
        best.into_iter().map(|(_, member)| member).collect()
    }
}

/// The virtual node of a key with these bytes.
#[must_use]
pub fn vnode(key: &[u8]) -> u16 {
    let [first, second, ..] = hash(key).to_be_bytes();
    u16::from_be_bytes([first, second])
}

/// A hash that is the same everywhere and always.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = Hasher::default();
    hasher.take(bytes);
    hasher.finish()
}

/// The same in pieces, for values that are hashed while they are spelled out.
pub(crate) struct Hasher(u64);

impl Default for Hasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) const fn finish(&self) -> u64 {
        mix(self.0)
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
