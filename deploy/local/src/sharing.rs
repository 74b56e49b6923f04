//! `--sharing` of `trestle up` and `"sharing"` of a blueprint: how the nodes of a family share what they hold (design step
//! 6). Only carts and sessions can be set: they merge, so any strategy is safe for them. Of money and stock there is one
//! truth, which a node that is cut off does not know (MEM-8), so anything else is refused by name.

use std::{collections::BTreeMap, str::FromStr};

use contract::{Family, Sharing};
use serde::Deserialize;

/// What is chosen; the rest keeps the default of its family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub(crate) struct Sharings {
    carts: Option<Sharing>,
    sessions: Option<Sharing>,
}

/// One choice of the command line: `carts=something(2)`.
#[derive(Clone, Debug)]
pub(crate) struct Choice(String, Sharing);

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (set, sharing) =
            text.split_once('=').ok_or("write DATA=STRATEGY, for example carts=something(2) or sessions=nothing")?;
        Sharings::default().place(set)?;
        Ok(Self(set.to_owned(), sharing.parse().map_err(|error| format!("{set}: {error}"))?))
    }
}

impl TryFrom<BTreeMap<String, String>> for Sharings {
    type Error = String;

    fn try_from(chosen: BTreeMap<String, String>) -> Result<Self, String> {
        let mut sharings = Self::default();
        for (set, sharing) in chosen {
            *sharings.place(&set)? = Some(sharing.parse().map_err(|error| format!("\"sharing\": {set}: {error}"))?);
        }
        Ok(sharings)
    }
}

impl Sharings {
    /// Choices of the command line win over those of the blueprint, later ones over earlier ones.
    pub(crate) fn or_else(mut self, choices: &[Choice]) -> Self {
        for Choice(set, sharing) in choices {
            if let Ok(place) = self.place(set) {
                *place = Some(*sharing);
            }
        }
        self
    }

    /// The option of a family's nodes.
    pub(crate) fn arguments(self, family: Family) -> Vec<String> {
        let chosen = match family {
            Family::Carts => self.carts,
            Family::Sessions => self.sessions,
            _ => None,
        };
        chosen.map_or_else(Vec::new, |sharing| vec!["--sharing".to_owned(), sharing.to_string()])
    }

    fn place(&mut self, set: &str) -> Result<&mut Option<Sharing>, String> {
        match set {
            "carts" => Ok(&mut self.carts),
            "sessions" => Ok(&mut self.sessions),
            "accounts" | "catalogue" | "products" | "stock" | "reservations" | "orders" | "operations" | "payments"
            | "charges" => Err(format!(
                "sharing of {set} cannot be set: money and stock have one truth, shared by everything, and a node that is \
                 cut off must refuse them; only carts and sessions can be set"
            )),
            _ => Err(format!("sharing of {set} cannot be set: only carts and sessions can be set")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_blueprint() {
        let blueprint: Sharings = serde_json::from_str(r#"{"carts": "something(2)", "sessions": "nothing"}"#).unwrap();
        let chosen = blueprint.or_else(&["carts=everything".parse().unwrap()]);
        assert_eq!(chosen.arguments(Family::Carts), ["--sharing", "everything"]);
        assert_eq!(chosen.arguments(Family::Sessions), ["--sharing", "nothing"]);
        assert!(chosen.arguments(Family::Orders).is_empty());
        assert!(Sharings::default().arguments(Family::Carts).is_empty());
    }

    #[test]
    fn what_is_unsafe_or_unknown_is_refused_by_name() {
        for set in ["orders", "operations", "stock", "charges", "accounts", "payments"] {
            let error = format!("{set}=nothing").parse::<Choice>().unwrap_err();
            assert!(error.contains(&format!("sharing of {set}")) && error.contains("one truth"), "{error}");
            let error = serde_json::from_str::<Sharings>(&format!(r#"{{"{set}": "everything"}}"#)).unwrap_err();
            assert!(error.to_string().contains(&format!("sharing of {set}")), "{error}");
        }
        for (bad, named) in [
            ("cart=nothing", "sharing of cart cannot be set"),
            ("carts", "DATA=STRATEGY"),
            ("carts=some", "carts: \"some\" is no sharing strategy"),
            ("carts=something(99)", "1 to 16"),
        ] {
            let error = bad.parse::<Choice>().unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
