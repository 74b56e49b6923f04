//! What customers come for, and how often: the mixes, built in or from a file.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rand::{RngExt, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::{InvalidRun, cli::parse_duration};

/// What one arrival does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// The front page.
    Home,
    /// A shelf of the shop; stands for the change of currency of the boutique mix.
    Setting,
    /// A product's page.
    Product,
    /// A search.
    Search,
    /// An add to a cart.
    Add,
    /// A look at a cart.
    Cart,
    /// Add, read the cart, pay. The row shows the payment alone; the two before it are in `prepare`.
    Checkout,
    /// Pays for a cart that was filled before the run; when all of those are paid for, as [`Action::Checkout`].
    Pay,
    /// Requests that lead to a checkout. No arrivals of their own, so it is in no total.
    Prepare,
}

impl Action {
    pub(crate) const COUNT: usize = 9;
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Home,
        Self::Setting,
        Self::Product,
        Self::Search,
        Self::Add,
        Self::Cart,
        Self::Checkout,
        Self::Pay,
        Self::Prepare,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Setting => "setting",
            Self::Product => "product",
            Self::Search => "search",
            Self::Add => "add",
            Self::Cart => "cart",
            Self::Checkout => "checkout",
            Self::Pay => "pay",
            Self::Prepare => "prepare",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// Customers who ask again when nothing is heard, with the same key, as people do with a reload.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resend {
    /// Silence after which the request is abandoned and sent again.
    #[serde(deserialize_with = "duration")]
    pub(crate) after: Duration,
    /// Most resends of one request.
    pub(crate) times: u32,
    /// Who does so.
    pub(crate) actions: Vec<Action>,
}

/// A weighted choice of actions; `loadtest run --help` shows one as a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mix {
    pub(crate) name: String,
    pub(crate) weights: BTreeMap<Action, f64>,
    /// Whether all products, adds and checkouts are of one product.
    #[serde(default)]
    pub(crate) one_product: bool,
    #[serde(default)]
    pub(crate) resend: Option<Resend>,
    /// Payment tokens with weights.
    #[serde(default = "paid")]
    pub(crate) tokens: BTreeMap<String, u32>,
}

fn paid() -> BTreeMap<String, u32> {
    BTreeMap::from([("tok_ok".to_owned(), 1)])
}

fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// Names of the built-in mixes.
pub(crate) const BUILT_IN: [&str; 5] = ["shop", "browse", "checkout", "flash-sale", "impatient"];

impl Mix {
    pub(crate) fn new(name: &str, weights: &[(Action, f64)]) -> Self {
        let weights = weights.iter().copied().collect();
        Self { name: name.to_owned(), weights, one_product: false, resend: None, tokens: paid() }
    }

    /// The well-known boutique mix.
    pub(crate) fn shop() -> Self {
        let weights = [
            (Action::Home, 1.0),
            (Action::Setting, 2.0),
            (Action::Product, 10.0),
            (Action::Add, 2.0),
            (Action::Cart, 3.0),
            (Action::Checkout, 1.0),
        ];
        Self::new("shop", &weights)
    }

    /// A built-in mix by its name.
    pub(crate) fn built_in(name: &str) -> Option<Self> {
        Some(match name {
            "shop" => Self::shop(),
            "browse" => Self::new(
                name,
                &[(Action::Home, 2.0), (Action::Setting, 2.0), (Action::Product, 12.0), (Action::Search, 4.0)],
            ),
            "checkout" => Self::new(name, &[(Action::Checkout, 1.0)]),
            "flash-sale" => Self {
                one_product: true,
                ..Self::new(name, &[(Action::Product, 6.0), (Action::Add, 1.0), (Action::Checkout, 3.0)])
            },
            "impatient" => {
                let resend = Resend { after: Duration::from_secs(1), times: 3, actions: vec![Action::Checkout] };
                Self { name: name.to_owned(), resend: Some(resend), ..Self::shop() }
            }
            _ => return None,
        })
    }

    /// A built-in mix, or one from a JSON file.
    pub(crate) fn named_or_file(text: &str) -> Result<Self, InvalidRun> {
        if let Some(mix) = Self::built_in(text) {
            return Ok(mix);
        }
        let known = BUILT_IN.join(", ");
        let json = std::fs::read(Path::new(text)).map_err(|error| {
            InvalidRun(format!("--mix {text} is none of {known}, nor a file that can be read ({error})"))
        })?;
        let mix: Self = serde_json::from_slice(&json)
            .map_err(|error| InvalidRun(format!("--mix {text} is not the documented JSON: {error}; see --help")))?;
        mix.check().map_err(|problem| InvalidRun(format!("--mix {text}: {problem}")))?;
        Ok(mix)
    }

    fn check(&self) -> Result<(), String> {
        let in_bounds = |weight: &f64| weight.is_finite() && (0.0..=1e6).contains(weight);
        if !self.weights.values().all(in_bounds) || self.weights.values().sum::<f64>() <= 0.0 {
            return Err("weights are numbers from 0 to 1000000, at least one above 0".to_owned());
        }
        if self.weights.contains_key(&Action::Prepare) {
            return Err("`prepare` belongs to checkouts and has no weight of its own".to_owned());
        }
        if self.tokens.values().all(|weight| *weight == 0) {
            return Err("tokens need a weight above 0".to_owned());
        }
        if self.resend.as_ref().is_some_and(|resend| !(1..=10).contains(&resend.times)) {
            return Err("resend.times is from 1 to 10".to_owned());
        }
        Ok(())
    }

    /// The part of all arrivals that is this action.
    pub(crate) fn share(&self, action: Action) -> f64 {
        self.weights.get(&action).copied().unwrap_or(0.0) / self.weights.values().sum::<f64>()
    }

    pub(crate) fn pick(&self, dice: &mut StdRng) -> Action {
        let mut at = dice.random::<f64>() * self.weights.values().sum::<f64>();
        let mut last = Action::Home;
        for (action, weight) in self.weights.iter().filter(|(_, weight)| **weight > 0.0) {
            last = *action;
            if at < *weight {
                break;
            }
            at -= weight;
        }
        last
    }

    /// How this action's requests are sent again, if at all.
    pub(crate) fn resend(&self, action: Action) -> Option<&Resend> {
        self.resend.as_ref().filter(|resend| resend.actions.contains(&action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_a_mix_may_have_and_nonsense_is_refused() {
        let json = r#"{"name":"mine","weights":{"home":1,"checkout":3},"one_product":true,
            "resend":{"after":"500ms","times":2,"actions":["checkout"]},"tokens":{"tok_ok":9,"tok_declined":1}}"#;
        let mix: Mix = serde_json::from_str(json).unwrap();
        assert!(mix.check().is_ok() && mix.one_product);
        assert!((mix.share(Action::Checkout) - 0.75).abs() < 1e-9);
        assert_eq!(mix.resend(Action::Checkout).map(|resend| resend.after), Some(Duration::from_millis(500)));
        assert_eq!(mix.resend(Action::Home), None);
        for bad in [
            r#"{"name":"m","weights":{}}"#,
            r#"{"name":"m","weights":{"home":-1}}"#,
            r#"{"name":"m","weights":{"prepare":1}}"#,
            r#"{"name":"m","weights":{"home":1},"tokens":{}}"#,
        ] {
            assert!(serde_json::from_str::<Mix>(bad).unwrap().check().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Mix>(r#"{"name":"m","weights":{"dance":1}}"#).is_err());
    }

    #[test]
    fn the_dice_follow_the_weights() {
        let (mix, mut dice) = (Mix::shop(), crate::seams::dice(5, 0));
        let mut seen: BTreeMap<Action, f64> = BTreeMap::new();
        for _ in 0..19_000 {
            *seen.entry(mix.pick(&mut dice)).or_default() += 1.0;
        }
        for (action, weight) in &mix.weights {
            let expected = 1_000.0 * weight;
            assert!((seen[action] - expected).abs() < 5.0 * expected.sqrt(), "{action:?}: {}", seen[action]);
        }
    }
}
