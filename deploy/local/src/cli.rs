//! The command line: what can be asked of `trestle`, and which runtime each command gets.

use std::{future::Future, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use runtime::SLOW_MS_MAX;

use crate::{
    attention::{self, AttentionCommand},
    certificates::{self, CertificatesOptions},
    control::{self, Action},
    database::{self, DATABASE_ENV, Hidden},
    faults::{Fault, FaultKind},
    health::{self, HealthOptions},
    plan::LAST_PORT_OFFSET,
    roles::Role,
    shared::{Choice, REDIS_ENV},
    sites::Sites,
    up,
};

const EXAMPLES: &str = "\
Examples:
  trestle                             the whole shop: http://127.0.0.1:8080 and :8081
  trestle --port 9000                 the same on ports 9000 to 9019
  trestle status                      its nodes, from another terminal
  trestle kill logic-1                what a crash does: nothing that a customer sees
  trestle restart logic-1             what an upgrade does: it drains first, and no request fails
  trestle attention list              what waits for a person
  trestle pause payments-1            a node that hangs; `trestle resume payments-1` wakes it
  trestle cut logic orders            packets vanish between them; `trestle heal` mends every link
  trestle node catalogue --help       options of one node, as compose and Kubernetes start it";

const UP_EXAMPLES: &str = "\
Examples:
  trestle up --data /tmp/shop         another data folder, so another shop
  TRESTLE_DATABASE=postgres://shop:secret@db:5432/shop trestle up
                                      accounts, stock, orders and charges in PostgreSQL instead of SQLite files
  trestle up --tls                    nodes speak mutual TLS with each other
  trestle up --sites seattle,london   two sites; `trestle cut seattle london` parts them
  TRESTLE_LOG=debug trestle up        every node logs more
  echo '{\"logic\": 4, \"frontend\": 3}' > big.json && trestle up --blueprint big.json

Ports: storefronts on P and P+1 (further ones above), P+10 kept for the console, payment provider on P+19.
Environment: nodes inherit it, so each TRESTLE_* variable of `trestle node FAMILY --help` reaches them.
What `up` sets by itself wins: addresses, stores, permits, the time to drain.
Exit codes: 0 ended when asked to; 1 could not start, or a node failed for good.";

const LINK_EXAMPLES: &str = "\
Examples:
  trestle cut logic orders            no logic node reaches an orders node, nor the other way
  trestle cut carts-1 carts           one carts node is alone
  trestle cut seattle london          two sites (trestle up --sites seattle,london) lose each other
  trestle slow logic carts --ms 200   each call between them takes 200 ms longer
  trestle lose-replies logic payments charges are made, and nobody hears of it
  trestle heal logic orders           this link is whole again; without names: all links

A and B are nodes, families or sites, as `trestle status` lists them. What is cut is lost in silence, requests and the
replies of calls in flight alike, so callers wait until their patience ends, as with a network that swallows packets.
Readiness probes between nodes are calls too. Faults outlive the nodes: one that is started again has its rules before
its first call. Not concerned: customers, `trestle status`, files and databases, and the provider's own events, since
the provider is not ours. Every node shows its rules at /faults of its operations address.";

/// Trestle: a bookshop as a three-tier reference system. Without a command: `trestle up`.
#[derive(Debug, Parser)]
#[command(name = "trestle", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: UpOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the whole shop on this machine and keeps it running until Ctrl-C.
    #[command(after_help = UP_EXAMPLES)]
    Up(UpOptions),
    /// Runs one node in this process: what `up`, compose and Kubernetes start.
    Node {
        #[command(subcommand)]
        role: Box<Role>,
    },
    /// Asks one node whether it is ready: exit code 0 or 1, for the health checks of containers.
    Health(HealthOptions),
    /// Lists the nodes of a running shop.
    Status(StatusOptions),
    /// Ends a node at once (SIGKILL), as a crash does; the supervisor starts it again.
    Kill(NodeOptions),
    /// Stops a node in its tracks (SIGSTOP): it keeps its connections and answers nothing.
    Pause(NodeOptions),
    /// Lets a paused node go on (SIGCONT).
    Resume(NodeOptions),
    /// Ends a node in order and starts it again, as an upgrade does (SIGTERM): it drains first, and no request fails.
    Restart(NodeOptions),
    /// Cuts the links between A and B in both directions: requests and replies vanish in silence.
    #[command(after_help = LINK_EXAMPLES)]
    Cut(LinkOptions),
    /// Makes each call between A and B take longer, in both directions.
    #[command(after_help = LINK_EXAMPLES)]
    Slow(SlowOptions),
    /// Lets calls from A to B be executed and loses their replies.
    #[command(after_help = LINK_EXAMPLES)]
    LoseReplies(LinkOptions),
    /// Ends the faults between A and B, or all of them.
    #[command(after_help = LINK_EXAMPLES)]
    Heal(HealOptions),
    /// Shows what waits for a person (uncertain charges, differences between ledgers), and does what the person decides.
    #[command(after_help = attention::EXAMPLES)]
    Attention {
        #[command(subcommand)]
        command: AttentionCommand,
    },
    /// Compares the provider's ledger with ours now; differences wait in `trestle attention list`.
    Reconcile(attention::Common),
    /// Makes or renews the certificates that nodes show each other (see `--tls` of `trestle node FAMILY`).
    #[command(after_help = certificates::EXAMPLES)]
    Certificates(CertificatesOptions),
}

/// Options of `trestle up`.
#[derive(Args, Clone, Debug)]
pub(crate) struct UpOptions {
    /// First of the 20 ports that the shop uses; 1 to 65516.
    #[arg(long, default_value_t = 8080, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=i64::from(u16::MAX - LAST_PORT_OFFSET)))]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) data: DataOption,
    /// JSON file with the number of nodes of each family, 1 to 16 [default: 2 of each], for example {"logic": 4}.
    #[arg(long, value_name = "FILE")]
    pub(crate) blueprint: Option<PathBuf>,
    /// Sites that keep taking carts and sessions while cut off from each other, for example seattle,london: one set of
    /// nodes each, storefront P at the first, P+1 at the second. Orders, stock, accounts and money stay at the first, the
    /// home site; the others read a copy of its catalogue. The blueprint's numbers are then of each site, but for
    /// frontends, orders and payments.
    #[arg(long, value_name = "NAMES", default_value = "local", hide_default_value = true)]
    pub(crate) sites: Sites,
    /// How a data set is shared between the nodes: carts=STRATEGY or sessions=STRATEGY; may be given again. A strategy is
    /// nothing (one node has it), something(N) (N nodes have it) or everything (all have it) [default:
    /// carts=something(3), sessions=everything].
    #[arg(long, value_name = "DATA_SET=STRATEGY")]
    pub(crate) sharing: Vec<Choice>,
    /// A Redis for carts and sessions, instead of the nodes' memory: redis://host:port/0,
    /// redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port; with ?wait=N a write waits
    /// for N replicas. A URI with a password belongs into the variable: everybody can read arguments.
    #[arg(long, env = REDIS_ENV, hide_env_values = true, value_name = "URI")]
    pub(crate) redis: Option<Hidden>,
    /// Database for accounts, stock, orders and charges: postgres://user:password@host:5432/name, which must exist
    /// [default: SQLite files in the data folder]. Prefer the variable: `trestle` takes a password out of its arguments
    /// as soon as it runs, but your shell may have kept it.
    #[arg(long, env = DATABASE_ENV, hide_env_values = true, value_name = "URI")]
    pub(crate) database: Option<Hidden>,
    /// Nodes speak mutual TLS with each other, by certificates in the data folder that every start makes anew. While the shop
    /// runs, `trestle certificates --out DATA/tls` renews them.
    #[arg(long)]
    pub(crate) tls: bool,
}

/// The cluster a command speaks to.
#[derive(Args, Clone, Debug)]
pub(crate) struct DataOption {
    /// Folder with the databases, logs and control address of one shop. One supervisor at a time.
    #[arg(long = "data", default_value = ".trestle", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Args, Debug)]
struct StatusOptions {
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataOption,
}

#[derive(Args, Debug)]
struct NodeOptions {
    /// Id of the node, for example logic-1; `trestle status` lists them.
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    data: DataOption,
}

#[derive(Args, Debug)]
struct LinkOptions {
    /// Node, family or site.
    #[arg(value_name = "A")]
    a: String,
    /// Node, family or site.
    #[arg(value_name = "B")]
    b: String,
    #[command(flatten)]
    data: DataOption,
}

#[derive(Args, Debug)]
struct SlowOptions {
    #[command(flatten)]
    link: LinkOptions,
    /// How much longer each call takes, in milliseconds, 1 to 60000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SLOW_MS_MAX)))]
    ms: u32,
}

#[derive(Args, Debug)]
struct HealOptions {
    /// Node, family or site; without names all faults end.
    #[arg(value_name = "A", requires = "b")]
    a: Option<String>,
    /// Node, family or site.
    #[arg(value_name = "B")]
    b: Option<String>,
    #[command(flatten)]
    data: DataOption,
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command.unwrap_or(Command::Up(self.up)) {
            Command::Up(options) => {
                database::out_of_arguments(options.database.as_ref())?;
                on_this_thread(up::run(options))
            }
            Command::Node { role } => {
                let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
                let result = runtime.block_on(role.run());
                // A thread that blocks, in a system call or a hash, must not hold up an end that was to be at once.
                runtime.shutdown_background();
                result
            }
            Command::Health(options) => on_this_thread(health::ask(options)),
            Command::Status(options) => on_this_thread(control::status(&options.data.dir, options.json)),
            Command::Kill(options) => signal(&options, Action::Kill),
            Command::Pause(options) => signal(&options, Action::Pause),
            Command::Resume(options) => signal(&options, Action::Resume),
            Command::Restart(options) => signal(&options, Action::Restart),
            Command::Cut(options) => inject(options, FaultKind::Cut, None),
            Command::Slow(SlowOptions { link, ms }) => inject(link, FaultKind::Slow, Some(ms)),
            Command::LoseReplies(options) => inject(options, FaultKind::LoseReplies, None),
            Command::Heal(HealOptions { a, b, data }) => on_this_thread(control::heal(&data.dir, a.zip(b))),
            Command::Attention { command } => on_this_thread(attention::run(command)),
            Command::Reconcile(options) => on_this_thread(attention::reconcile(options)),
            Command::Certificates(options) => certificates::run(&options),
        }
    }
}

fn signal(options: &NodeOptions, action: Action) -> anyhow::Result<()> {
    on_this_thread(control::signal(&options.data.dir, &options.node, action))
}

fn inject(options: LinkOptions, kind: FaultKind, ms: Option<u32>) -> anyhow::Result<()> {
    let LinkOptions { a, b, data } = options;
    let fault = Fault { kind, a, b, ms };
    on_this_thread(async move { control::inject(&data.dir, &fault).await })
}

/// The supervisor depends on this: the kernel ends a node with the *thread* that started it, and every task of this
/// runtime runs on the main thread, which lives as long as the process. On a runtime with worker threads a node could
/// be killed because a worker ended.
fn on_this_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_no_command_means_up() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["trestle", "--port", "9000"]).unwrap();
        assert!(cli.command.is_none() && cli.up.port == 9000);
        let cli = Cli::try_parse_from(["trestle", "up", "--data", "/x"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Up(up)) if up.data.dir == Path::new("/x") && up.port == 8080));
        for port in ["0", "65517", "x"] {
            assert!(Cli::try_parse_from(["trestle", "--port", port]).unwrap_err().to_string().contains("--port"));
        }
        for (args, named) in
            [(&["cut", "logic"][..], "<B>"), (&["heal", "logic"], "<B>"), (&["slow", "a", "b"], "--ms")]
        {
            let error = Cli::try_parse_from([&["trestle"], args].concat()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
