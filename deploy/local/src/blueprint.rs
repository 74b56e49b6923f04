//! How many nodes of each family: the local cluster blueprint (design step 8, by hand).

use std::path::Path;

use contract::Family;
use serde::Deserialize;

use crate::sharing::{Choice, Sharings};

/// Most nodes of one family on one machine. Every payments node needs at least one of the 50 permits, and the public
/// ports of 16 frontends still fit below the provider's.
pub(crate) const COUNT_MAX: u32 = 16;

/// Numbers of nodes, each 1 to [`COUNT_MAX`]; families that a file leaves out keep the default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Blueprint {
    frontend: u32,
    logic: u32,
    sessions: u32,
    carts: u32,
    catalogue: u32,
    orders: u32,
    payments: u32,
    provider: u32,
    sharing: Sharings,
}

impl Default for Blueprint {
    /// Two of each, so that any node can be killed; the third party is one.
    fn default() -> Self {
        let sharing = Sharings::default();
        Self {
            frontend: 2,
            logic: 2,
            sessions: 2,
            carts: 2,
            catalogue: 2,
            orders: 2,
            payments: 2,
            provider: 1,
            sharing,
        }
    }
}

impl Blueprint {
    /// Reads `--blueprint`; without it the default.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else { return Ok(Self::default()) };
        let refused = |reason: String| anyhow::anyhow!("--blueprint {}: {reason}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(refused)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let blueprint: Self = serde_json::from_str(text).map_err(|error| {
            format!("{error}; expected a JSON object of node counts such as {{\"frontend\": 2, \"logic\": 4}}")
        })?;
        for family in Family::ALL {
            let (count, most) = (blueprint.count(family), if family == Family::Provider { 1 } else { COUNT_MAX });
            if !(1..=most).contains(&count) {
                let allowed = if most == 1 { "exactly 1".to_owned() } else { format!("1 to {most}") };
                return Err(format!("\"{family}\": {count} is not possible; {allowed} can run on one machine"));
            }
        }
        Ok(blueprint)
    }

    /// The same with what the command line says about sharing.
    pub(crate) fn with_sharing(self, choices: &[Choice]) -> Self {
        Self { sharing: self.sharing.or_else(choices), ..self }
    }

    /// How data sets are shared.
    pub(crate) const fn sharing(&self) -> Sharings {
        self.sharing
    }

    /// Nodes of a family.
    pub(crate) const fn count(&self, family: Family) -> u32 {
        match family {
            Family::Frontend => self.frontend,
            Family::Logic => self.logic,
            Family::Sessions => self.sessions,
            Family::Carts => self.carts,
            Family::Catalogue => self.catalogue,
            Family::Orders => self.orders,
            Family::Payments => self.payments,
            Family::Provider => self.provider,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_left_out_keep_the_default() {
        let blueprint = Blueprint::parse(r#"{"logic": 3, "frontend": 16}"#).unwrap();
        assert_eq!(blueprint, Blueprint { logic: 3, frontend: 16, ..Blueprint::default() });
        assert_eq!(Blueprint::parse("{}").unwrap(), Blueprint::default());
    }

    #[test]
    fn errors_name_what_is_wrong_and_what_is_right() {
        for (text, expected) in [
            (r#"{"logic": 0}"#, "\"logic\": 0 is not possible; 1 to 16"),
            (r#"{"carts": 17}"#, "\"carts\": 17 is not possible; 1 to 16"),
            (r#"{"provider": 2}"#, "\"provider\": 2 is not possible; exactly 1"),
            (r#"{"logic": -1}"#, "integer `-1`"),
            (r#"{"cart": 1}"#, "unknown field `cart`, expected one of `frontend`, `logic`"),
            (r#"{"sharing": {"orders": "nothing"}}"#, "sharing of orders cannot be set"),
            (r#"{"sharing": {"carts": "most"}}"#, "\"most\" is no sharing strategy"),
            (r#"{"logic": 1, "logic": 2}"#, "duplicate field `logic`"),
            ("2", "expected a JSON object"),
            ("", "expected a JSON object"),
        ] {
            let error = Blueprint::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = Blueprint::read(Some(Path::new("/nowhere/b.json"))).unwrap_err().to_string();
        assert!(error.contains("--blueprint /nowhere/b.json"), "{error}");
    }
}
