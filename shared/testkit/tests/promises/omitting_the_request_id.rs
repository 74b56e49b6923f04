//! A caller of an exactly-once operation leaves the request id out.

use contract::{NoKey, Operation, shop::Checkout};
use rpc::Client;

async fn buy(client: Client) {
    let _ = client.call(&Checkout::example(), NoKey).await;
}

fn main() {
    let _ = buy;
}
