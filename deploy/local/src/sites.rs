//! The sites of a shop: places that keep serving carts and sessions while they cannot reach each other. The first is the
//! home site, which keeps orders, stock, accounts and money.

use std::str::FromStr;

use contract::Family;

use crate::blueprint::Blueprint;

/// The site of every node of a shop that has only one.
const ONLY: &str = "local";
/// Most sites on one machine.
const SITES_MAX: usize = 4;
/// Longest name.
const NAME_CHARS_MAX: usize = 20;

/// Names of sites, the home site first; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sites(Vec<String>);

impl Default for Sites {
    fn default() -> Self {
        Self(vec![ONLY.to_owned()])
    }
}

impl FromStr for Sites {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<_> = text.split(',').map(str::to_owned).collect();
        if names.len() > SITES_MAX {
            return Err(format!("{} sites are not possible; 1 to {SITES_MAX} fit on one machine", names.len()));
        }
        for (at, name) in names.iter().enumerate() {
            let letters = name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-');
            if !letters || !name.starts_with(|first: char| first.is_ascii_lowercase()) || name.len() > NAME_CHARS_MAX {
                return Err(format!(
                    "\"{name}\" cannot name a site; write a letter and up to 19 of a-z 0-9 -, as in seattle,london"
                ));
            }
            // `trestle cut A B` takes nodes, families and sites alike.
            let family = name.split('-').next().and_then(|first| first.parse::<Family>().ok());
            if let Some(family) = family {
                return Err(format!(
                    "\"{name}\" cannot name a site: {family} is a family of nodes; choose another name"
                ));
            }
            if names[..at].contains(name) {
                return Err(format!("\"{name}\" is named twice; every site has a name of its own"));
            }
        }
        Ok(Self(names))
    }
}

impl Sites {
    /// Where orders, stock, accounts and money are kept.
    pub(crate) fn home(&self) -> &str {
        self.0.first().map_or(ONLY, String::as_str)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(crate) fn are_many(&self) -> bool {
        self.0.len() > 1
    }

    /// How many nodes of a family there are in all.
    pub(crate) fn count(&self, family: Family, blueprint: &Blueprint) -> u32 {
        self.of(family, blueprint).count().try_into().unwrap_or(u32::MAX)
    }

    /// The site of each node of a family. Frontends, whose ports people know, are dealt to the sites in turn, at least one
    /// each; what the home site alone keeps stands there alone; of everything else each site has the blueprint's number.
    pub(crate) fn of(&self, family: Family, blueprint: &Blueprint) -> impl Iterator<Item = &str> {
        let (count, sites) = (blueprint.count(family) as usize, self.0.len());
        let (number, each) = match family {
            Family::Frontend => (count.max(sites), 1),
            Family::Orders | Family::Payments | Family::Provider => (count, count),
            _ => (count * sites, count),
        };
        (0..number).map(move |at| self.0[at / each % sites].as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_else_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "\"\" cannot name a site"),
            ("seattle,", "\"\" cannot name a site"),
            ("Seattle", "a-z 0-9"),
            ("seattle,logic", "logic is a family"),
            ("carts-1", "carts is a family"),
            ("a,b,a", "\"a\" is named twice"),
            ("a,b,c,d,e", "5 sites are not possible; 1 to 4"),
        ] {
            let error = text.parse::<Sites>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert_eq!("new-york,london".parse::<Sites>().unwrap().home(), "new-york");
        assert!(!Sites::default().are_many() && !"paris".parse::<Sites>().unwrap().are_many());
    }

    #[test]
    fn frontends_are_dealt_in_turn_and_the_home_site_has_what_is_kept_once() {
        let (sites, blueprint) = ("seattle,london".parse::<Sites>().unwrap(), Blueprint::default());
        let of = |family| sites.of(family, &blueprint).collect::<Vec<_>>();
        assert_eq!(of(Family::Frontend), ["seattle", "london"]);
        assert_eq!(of(Family::Carts), ["seattle", "seattle", "london", "london"]);
        assert_eq!(of(Family::Orders), ["seattle", "seattle"]);
        assert_eq!(of(Family::Provider), ["seattle"]);
        let three: Sites = "a,b,c".parse().unwrap();
        assert_eq!(three.count(Family::Frontend, &blueprint), 3, "at least one each");
        assert_eq!(Sites::default().of(Family::Logic, &blueprint).collect::<Vec<_>>(), ["local", "local"]);
    }
}
