//! `trestle attention` and `trestle reconcile`: what waits for a person, and what the person decided (CO-21, CO-22).
//!
//! Speaks to the logic nodes as any node does, with the cluster's secret from the data folder: whoever can read that file
//! may decide about money, and nobody else.

mod view;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use contract::{
    CallError, Family, Fingerprint, NoKey, OPERATOR, Operation, OperationId, Outcome, RequestId, Strategy,
    orders::{NOTE_CHARS_MAX, NoItem},
    shop::{Attention, Decision, Inspect, Reconcile, Resolve, ResolveRefusal},
};
use rpc::{Client, ClientOptions, Discovery, HttpTransport, Scope, TraceContext};
use runtime::{Node, Seams, Secret, Tls};
use uuid::Uuid;

use crate::{cli::DataOption, control, output, plan::DataDir};

pub(crate) const EXAMPLES: &str = "\
The provider hung up on a charge, its window is over, and the machine cannot find out whether money was taken:
  trestle attention list                       what waits, oldest first
  trestle attention show 0199...               its tries, and what they prove and what not
  (look for the reference, which is the id, in the provider's console)
  trestle attention charged 0199... --provider-id ch_17 --note 'in the console, 12 March'
                                               it is there: the order is recorded
  trestle attention not-charged 0199... --evidence 'provider's mail of 12 March'
                                               it is not, and they say so: closed, and the stock goes back
  trestle attention refund 0199... --note 'customer sent it back'
                                               a completed order is paid back, once

A command whose outcome is not known can be given again: it counts once.
Exit codes: 0 done; 1 not done, or not known.";

/// Bound of one command; a refund waits for the provider.
const WITHIN: Duration = Duration::from_secs(15);
/// Bound of a comparison of whole ledgers.
const RECONCILE_WITHIN: Duration = Duration::from_secs(40);

/// What can be done about what waits.
#[derive(Debug, Subcommand)]
pub(crate) enum AttentionCommand {
    /// Lists what waits for a person, oldest first.
    List {
        /// How many at most, 1 to 100.
        #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        #[command(flatten)]
        common: Common,
    },
    /// Shows one item, or any checkout, and what is proven about it.
    Show {
        #[command(flatten)]
        item: Item,
    },
    /// Tries again now.
    Retry {
        #[command(flatten)]
        item: Item,
        #[command(flatten)]
        who: Who,
        /// Why, for the record.
        #[arg(long, default_value = "retry", value_name = "TEXT")]
        note: String,
    },
    /// Money was taken: records the order.
    Charged {
        #[command(flatten)]
        item: Item,
        /// The provider's name for the charge.
        #[arg(long, value_name = "ID")]
        provider_id: String,
        #[command(flatten)]
        who: Who,
        /// Where you have seen it.
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// No money was taken: closes the checkout and gives the stock back.
    NotCharged {
        #[command(flatten)]
        item: Item,
        #[command(flatten)]
        who: Who,
        /// How you know. That a look-up shows nothing is no evidence.
        #[arg(long, value_name = "TEXT")]
        evidence: String,
    },
    /// Pays the money of a completed order back.
    Refund {
        #[command(flatten)]
        item: Item,
        #[command(flatten)]
        who: Who,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataOption,
}

#[derive(Args, Debug)]
pub(crate) struct Item {
    /// Its id, as `trestle attention list` shows it.
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct Who {
    /// Who decides, for the record.
    #[arg(long, env = "USER", value_name = "NAME")]
    operator: String,
}

/// Runs one command.
pub(crate) async fn run(command: AttentionCommand) -> anyhow::Result<()> {
    let (item, who, decision, note) = match command {
        AttentionCommand::List { limit, common } => return list(limit, &common).await,
        AttentionCommand::Show { item } => return show(&item).await,
        AttentionCommand::Retry { item, who, note } => (item, who, Decision::Retry, note),
        AttentionCommand::Charged { item, provider_id, who, note } => {
            (item, who, Decision::Charged { provider_id }, note)
        }
        AttentionCommand::NotCharged { item, who, evidence } => (item, who, Decision::NotCharged, evidence),
        AttentionCommand::Refund { item, who, note } => (item, who, Decision::Refund, note),
    };
    resolve(&item, Resolve { id: item.id, decision, operator: who.operator, note }).await
}

/// `trestle reconcile`.
pub(crate) async fn reconcile(common: Common) -> anyhow::Result<()> {
    let logic = Logic::connect(&common.data.dir).await?;
    let found = logic.call(&Reconcile {}, NoKey, RECONCILE_WITHIN).await;
    let differences = found.map_err(|error| failed(error, |never| match never {}))?;
    if common.json {
        output::say(&serde_json::json!({ "differences": differences }).to_string());
    } else if differences == 0 {
        output::say("the provider's ledger and ours agree");
    } else {
        let noun = if differences == 1 { "difference" } else { "differences" };
        output::say(&format!("{differences} {noun}; see `trestle attention list`"));
    }
    Ok(())
}

async fn list(limit: u32, common: &Common) -> anyhow::Result<()> {
    let logic = Logic::connect(&common.data.dir).await?;
    let items = logic.call(&Attention { limit }, NoKey, WITHIN).await;
    let items = items.map_err(|error| failed(error, |never| match never {}))?;
    output::say(&if common.json {
        serde_json::to_string(&items)?
    } else {
        view::list(&items, logic.node.seams.now_ms())
    });
    Ok(())
}

async fn show(item: &Item) -> anyhow::Result<()> {
    let logic = Logic::connect(&item.common.data.dir).await?;
    let shown = logic.call(&Inspect { id: item.id }, NoKey, WITHIN).await;
    let shown = shown.map_err(|error| failed(error, |NoItem::NoItem| no_item(item.id)))?;
    let now_ms = logic.node.seams.now_ms();
    output::say(&if item.common.json { serde_json::to_string(&shown)? } else { view::item(&shown, now_ms) });
    Ok(())
}

async fn resolve(item: &Item, request: Resolve) -> anyhow::Result<()> {
    let option = if request.decision == Decision::NotCharged { "--evidence" } else { "--note" };
    for (name, text) in [("--operator", &request.operator), (option, &request.note)] {
        if text.trim().is_empty() || text.chars().count() > NOTE_CHARS_MAX {
            bail!("{name}: 1 to {NOTE_CHARS_MAX} characters are kept on record; write some");
        }
    }
    let logic = Logic::connect(&item.common.data.dir).await?;
    let key = key_of(&request, &logic.node.seams)?;
    let state = logic.call(&request, key, WITHIN).await.map_err(|error| {
        failed(error, |refusal| match refusal {
            ResolveRefusal::NoItem => no_item(item.id),
            ResolveRefusal::NotNow(reason) => anyhow!("not done: {reason}"),
            ResolveRefusal::IdReused => anyhow!("not done: the same decision is on record with other words"),
        })
    })?;
    output::say(&if item.common.json {
        serde_json::json!({ "id": item.id, "state": state }).to_string()
    } else {
        view::done(item.id, state)
    });
    Ok(())
}

/// The same command given again is the same request, so one whose answer was lost counts once. Only a retry may be meant
/// again.
fn key_of(request: &Resolve, seams: &Seams) -> anyhow::Result<RequestId> {
    if request.decision == Decision::Retry {
        return Ok(OperationId(seams.uuid()).into());
    }
    Ok(Fingerprint::of(&serde_json::to_vec(request)?).to_string().parse()?)
}

fn no_item(id: Uuid) -> anyhow::Error {
    anyhow!("no item and no checkout has the id {id}; see `trestle attention list`")
}

fn failed<R>(error: CallError<R>, refused: impl FnOnce(R) -> anyhow::Error) -> anyhow::Error {
    match error {
        CallError::Refused(refusal) => refused(refusal),
        CallError::NotExecuted(reason) => anyhow!("nothing was done: {reason}"),
        CallError::Unknown(reason) => {
            anyhow!("it is not known whether it was done: {reason}; give the same command again, it counts once")
        }
    }
}

/// The way to the logic nodes of a running shop.
struct Logic {
    client: Client,
    node: Node,
}

impl Logic {
    async fn connect(dir: &Path) -> anyhow::Result<Self> {
        let status = control::nodes(dir).await?;
        // Of the home site, where orders are: nodes of another one could be cut off from it.
        let home = status.nodes.iter().find(|node| node.family == Family::Orders).map(|node| node.site.clone());
        let logic = status.nodes.into_iter().filter(|node| node.family == Family::Logic);
        let logic = logic.filter(|node| home.as_ref().is_none_or(|home| node.site == *home));
        let addresses: Vec<_> = logic.map(|node| node.address).collect();
        let discovery: Discovery = format!("static://{}", addresses.join(",")).parse()?;
        let path = DataDir(dir.to_owned()).secret();
        let secret = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut node = Node::assemble(OPERATOR, OPERATOR, Seams::system(), Secret::new(secret.trim())?)?;
        if status.tls {
            let folder = DataDir(dir.to_owned()).tls().join(OPERATOR);
            node.tls = Some(Tls::between_tiers("--data", &folder, OPERATOR, &[], &node.seams, &node.metrics)?);
        }
        let transport = Arc::new(HttpTransport::new(&node, Family::Logic));
        let client = Client::new(&node, transport, discovery, ClientOptions::default());
        Ok(Self { client, node })
    }

    async fn call<O: Operation>(&self, request: &O, key: <O::Retry as Strategy>::Key, within: Duration) -> Outcome<O> {
        Scope::new(within, TraceContext::start(&self.node.seams)).run(self.client.call(request, key)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_decision_is_the_same_request_and_a_retry_never_is() {
        let seams = Seams::system();
        let request = |decision, note: &str| Resolve {
            id: Uuid::from_u128(1),
            decision,
            operator: "ada".to_owned(),
            note: note.to_owned(),
        };
        let key = |decision, note: &str| key_of(&request(decision, note), &seams).unwrap();
        assert_eq!(key(Decision::Refund, "x"), key(Decision::Refund, "x"));
        assert_ne!(key(Decision::Refund, "x"), key(Decision::Refund, "y"));
        assert_ne!(key(Decision::Refund, "x"), key(Decision::NotCharged, "x"));
        assert_ne!(key(Decision::Retry, "x"), key(Decision::Retry, "x"));
    }
}
