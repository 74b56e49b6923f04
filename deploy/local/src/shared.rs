//! `--sharing` and `--redis`: how carts and sessions are shared, and whether they live in the nodes' memory or in a Redis.
//!
//! No other data set can choose: an order, a piece of stock or a charge that is available on both sides of a partition is
//! sold twice (MEM-8).

use std::{collections::BTreeMap, str::FromStr};

use anyhow::bail;
use contract::{DATA_SETS, Family, Sharing};

use crate::{database::Hidden, sites::Sites};

/// The environment variable for `--redis`.
pub(crate) const REDIS_ENV: &str = "TRESTLE_REDIS";

/// One data set with the sharing that was chosen for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    family: Family,
    sharing: Sharing,
}

impl Choice {
    /// A data set's name and a strategy's text. The error is for people.
    pub(crate) fn new(name: &str, strategy: &str) -> Result<Self, String> {
        let choosable: Vec<_> = DATA_SETS.iter().filter(|set| set.is_choosable).map(|set| set.name).collect();
        let only = choosable.join(" and ");
        let set = DATA_SETS.iter().find(|set| set.name == name);
        let set = set.ok_or_else(|| format!("there is no data set \"{name}\"; {only} can choose their sharing"))?;
        if !set.is_choosable {
            return Err(format!("{name} are shared by {}, always: {}; only {only} can choose", set.sharing, set.why));
        }
        Ok(Self { family: set.family, sharing: strategy.parse().map_err(|error| format!("{name}: {error}"))? })
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, strategy) = text.split_once('=').ok_or("write DATA_SET=STRATEGY, for example carts=something(2)")?;
        Self::new(name, strategy)
    }
}

/// How carts and sessions are shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    sharing: BTreeMap<Family, Sharing>,
    redis: Option<Hidden>,
}

impl Shared {
    /// What the blueprint says, and then the command line.
    pub(crate) fn read(
        blueprint: &[Choice],
        options: &[Choice],
        redis: Option<&Hidden>,
        sites: &Sites,
    ) -> anyhow::Result<Self> {
        let all = blueprint.iter().chain(options);
        let sharing: BTreeMap<_, _> = all.map(|choice| (choice.family, choice.sharing)).collect();
        if let Some(uri) = redis {
            if !uri.expose().starts_with("redis") {
                bail!(
                    "--redis (or {REDIS_ENV}): write redis://host:port/0, redis+sentinel://... or redis+cluster://..."
                );
            }
            if sites.are_many() {
                bail!("--redis with --sites: a Redis does not merge between sites; leave one of them out");
            }
            if !sharing.is_empty() {
                bail!("--redis with --sharing: what is in a Redis is shared by it; leave one of them out");
            }
        }
        Ok(Self { sharing, redis: redis.cloned() })
    }

    /// The options of a node that shares.
    pub(crate) fn options(&self, family: Family) -> Vec<(&'static str, String)> {
        self.sharing.get(&family).map(|sharing| ("--sharing", sharing.to_string())).into_iter().collect()
    }

    /// What a node must be told by environment, because the URI may hold a password.
    pub(crate) fn environment(&self, family: Family) -> Option<(&'static str, Hidden)> {
        let name = match family {
            Family::Carts => "TRESTLE_STORE",
            Family::Sessions => "TRESTLE_SESSIONS",
            _ => return None,
        };
        Some((name, self.redis.clone()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_sold_twice_cannot_choose() {
        for (text, expected) in [
            ("orders=something(3)", "orders are shared by everything, always"),
            ("stock=nothing", "only sessions and carts can choose"),
            ("charges=everything", "charges are shared by everything, always"),
            ("cart=nothing", "there is no data set \"cart\""),
            ("carts=twice", "carts: \"twice\" is no sharing strategy"),
            ("carts", "write DATA_SET=STRATEGY"),
        ] {
            let error = text.parse::<Choice>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_overrides_the_blueprint() {
        let choice = |text: &str| text.parse::<Choice>().unwrap();
        let blueprint = [choice("carts=nothing"), choice("sessions=something(2)")];
        let shared = Shared::read(&blueprint, &[choice("carts=everything")], None, &Sites::default()).unwrap();
        assert_eq!(shared.options(Family::Carts), [("--sharing", "everything".to_owned())]);
        assert_eq!(shared.options(Family::Sessions), [("--sharing", "something(2)".to_owned())]);
        assert!(shared.options(Family::Orders).is_empty() && shared.environment(Family::Carts).is_none());
    }

    #[test]
    fn a_redis_goes_with_neither_sites_nor_sharing_and_is_never_shown() {
        let redis: Hidden = "redis://:s3cret@127.0.0.1:6379/0".parse().unwrap();
        let two: Sites = "seattle,london".parse().unwrap();
        assert!(Shared::read(&[], &[], Some(&redis), &two).unwrap_err().to_string().contains("--sites"));
        let choice = ["carts=nothing".parse().unwrap()];
        assert!(
            Shared::read(&[], &choice, Some(&redis), &Sites::default()).unwrap_err().to_string().contains("--sharing")
        );
        let shared = Shared::read(&[], &[], Some(&redis), &Sites::default()).unwrap();
        assert_eq!(shared.environment(Family::Carts).unwrap().0, "TRESTLE_STORE");
        assert_eq!(shared.environment(Family::Sessions).unwrap().0, "TRESTLE_SESSIONS");
        assert!(shared.environment(Family::Orders).is_none() && !format!("{shared:?}").contains("s3cret"));
        let other = "http://127.0.0.1".parse().unwrap();
        assert!(Shared::read(&[], &[], Some(&other), &Sites::default()).unwrap_err().to_string().contains("redis://"));
    }
}
