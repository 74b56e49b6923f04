//! A shop of an experiment's own: started, told what its logic nodes model, regulated or not, looked at, ended.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use reqwest::Url;
use serde_json::{Value, json};

use super::{machine::Process, options::OverloadOptions};
use crate::{
    client::plain_http,
    cluster::{Cluster, Node, Setup},
    metrics,
};

/// How long a node may take to answer at its operations listener; it may be in trouble on purpose.
const OPS_WITHIN: Duration = Duration::from_secs(5);
/// Places in a logic node's admission beyond those of the model: the real work happens outside of the slots, so without
/// one slots would stand empty for moments; with more of them the model would queue where admission does not see it.
const BESIDE_THE_SLOTS: u32 = 1;
/// Fewest requests that a storefront of a modelled cluster works on at a time.
const WORK_MIN: u32 = 2;

/// What logic nodes model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    pub(crate) slots: u32,
    pub(crate) work_ms: u32,
    /// A checkout takes this many times as long as other work.
    pub(crate) checkout: u32,
}

impl Model {
    pub(crate) fn of(options: &OverloadOptions) -> Self {
        Self { slots: options.slots, work_ms: options.work_ms, checkout: 1 }
    }

    /// Capacity of so many logic nodes, in requests a second.
    pub(crate) fn capacity(&self, nodes: u32) -> f64 {
        f64::from(nodes * self.slots) * 1_000.0 / f64::from(self.work_ms)
    }

    /// What one request of a customer takes, in the form of `PUT /demand`; everything else takes nothing. So do shelves
    /// (`shop.products`): a page shows several, and one request would be that of many.
    fn demand(&self) -> Value {
        let mut ms: BTreeMap<&str, u32> =
            ["shop.product", "shop.cart", "shop.add_to_cart"].map(|name| (name, self.work_ms)).into();
        ms.insert("shop.checkout", self.checkout * self.work_ms);
        json!({"slots": self.slots, "ms": ms})
    }
}

/// A shop under experiment.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) cluster: Cluster,
    pub(crate) http: reqwest::Client,
    pub(crate) provider: Url,
    pub(crate) frontends: Vec<Url>,
    secret: String,
    model: Option<Model>,
    blueprint: PathBuf,
    keep: bool,
}

impl Shop {
    /// Starts a shop with so many logic nodes and two of everything else; without a model it works as it is.
    pub(crate) async fn open(
        options: &OverloadOptions,
        name: &str,
        logic: u32,
        model: Option<Model>,
    ) -> anyhow::Result<Self> {
        let blueprint = std::env::temp_dir().join(format!("trestle-overload-{name}-{}.json", std::process::id()));
        std::fs::write(&blueprint, json!({"logic": logic}).to_string())?;
        let setup = Setup {
            trestle: options.trestle(),
            name: format!("overload-{name}"),
            port: options.port,
            arguments: vec!["--blueprint".to_owned(), blueprint.display().to_string()],
            gives_way: true,
            ..Setup::default()
        };
        let cluster = Cluster::open(&setup).await?;
        let secret = cluster.data.join("cluster.secret");
        let secret = std::fs::read_to_string(&secret).with_context(|| format!("cannot read {}", secret.display()))?;
        let provider = cluster.urls("provider").await?.into_iter().next().context("no provider")?;
        let frontends = cluster.urls("frontend").await?;
        let http = plain_http(OPS_WITHIN)?;
        let secret = secret.trim().to_owned();
        let shop = Self { cluster, http, provider, frontends, secret, model, blueprint, keep: options.keep };
        shop.protect(options.protection).await?;
        if let Some(model) = model {
            for node in shop.nodes("logic").await? {
                shop.put(&node, "demand", &model.demand()).await?;
            }
        }
        Ok(shop)
    }

    pub(crate) async fn nodes(&self, family: &str) -> anyhow::Result<Vec<Node>> {
        let nodes: Vec<Node> = self.cluster.status().await?.into_iter().filter(|node| node.family == family).collect();
        ensure!(!nodes.is_empty(), "the shop has no {family}");
        Ok(nodes)
    }

    /// Changes something at a node's operations listener.
    pub(crate) async fn put(&self, node: &Node, what: &str, value: &Value) -> anyhow::Result<()> {
        let url = format!("http://{}/{what}", node.ops_address);
        let put = self.http.put(&url).bearer_auth(&self.secret).body(value.to_string()).send().await;
        let answer = put.with_context(|| format!("PUT {url}"))?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        ensure!(status.is_success(), "PUT {url} was answered {status}: {text}");
        Ok(())
    }

    /// Switches the protection of every node on or off.
    pub(crate) async fn protect(&self, on: bool) -> anyhow::Result<()> {
        for node in self.ours().await? {
            self.put(&node, "limits", &self.limits(&node, on)).await?;
        }
        Ok(())
    }

    /// What a node's regulation goes by in this experiment.
    pub(crate) fn limits(&self, node: &Node, on: bool) -> Value {
        match self.model {
            Some(model) if node.family == "logic" => {
                let places = model.slots + BESIDE_THE_SLOTS;
                json!({"protection": on, "admission": {"work_min": places, "work_max": places}})
            }
            // The default minimum is for real work of all processors: more than the modelled cluster can do in all.
            Some(_) if node.family == "frontend" => json!({"protection": on, "admission": {"work_min": WORK_MIN}}),
            _ => json!({"protection": on}),
        }
    }

    /// Makes a logic node slower, or every call at a node fail.
    pub(crate) async fn disturb(&self, node: &Node, change: Value) -> anyhow::Result<()> {
        let mut demand = match self.model {
            Some(model) if node.family == "logic" => model.demand(),
            _ => json!({}),
        };
        if let (Some(demand), Value::Object(change)) = (demand.as_object_mut(), change) {
            demand.extend(change);
        }
        self.put(node, "demand", &demand).await
    }

    /// Tells a node that was started again what it knew before.
    pub(crate) async fn remind(&self, node: &Node) -> anyhow::Result<()> {
        self.put(node, "limits", &self.limits(node, true)).await?;
        self.disturb(node, json!({})).await
    }

    /// Every node but the provider, which is not ours.
    pub(crate) async fn ours(&self) -> anyhow::Result<Vec<Node>> {
        let mut nodes = self.cluster.status().await?;
        nodes.retain(|node| node.family != "provider");
        Ok(nodes)
    }

    /// The processes of our nodes.
    pub(crate) async fn processes(&self) -> anyhow::Result<Vec<Process>> {
        Ok(self.ours().await?.iter().filter_map(|node| node.pid).map(Process).collect())
    }

    /// How many calls each node of a family has served, of one operation or of all of the shop.
    pub(crate) async fn served(&self, family: &str, operation: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut served = BTreeMap::new();
        for node in self.nodes(family).await? {
            let page = metrics::page(&self.http, &node).await?;
            served.insert(node.id, metrics::served(&page, operation));
        }
        Ok(served)
    }

    /// Ends the shop.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.blueprint).with_context(|| self.blueprint.display().to_string())?;
        self.cluster.end(self.keep).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_has_the_capacity_that_its_slots_give() {
        let model = Model { slots: 4, work_ms: 40, checkout: 5 };
        assert!((model.capacity(2) - 200.0).abs() < 1e-9);
        assert_eq!(model.demand()["ms"]["shop.checkout"], 200);
        assert_eq!(model.demand()["ms"]["shop.product"], 40);
    }
}
