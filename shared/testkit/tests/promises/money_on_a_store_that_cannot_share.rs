//! Orders are opened on a back end that does not uphold sharing by everything.

use orders::store::{OrderStore, Orders};

fn open(memory_of_one_node: impl OrderStore + 'static) -> Orders {
    Orders::open(memory_of_one_node)
}

fn main() {
    let _ = orders::store::SqlOrders::open;
}
