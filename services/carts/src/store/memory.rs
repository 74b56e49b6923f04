//! Carts in memory, replicated between the nodes of the family.

use async_trait::async_trait;
use contract::{
    CartId,
    cart::Cart,
    carts::{CartContents, CartRefusal},
};
use store::{Replicated, StoreError};

use super::{CartChange, CartStore};

#[async_trait]
impl CartStore for Replicated<Cart> {
    async fn cart(&self, cart: CartId) -> Result<Cart, StoreError> {
        Ok(self.read(&cart).await?.unwrap_or_default())
    }

    async fn change(&self, cart: CartId, change: CartChange) -> Result<Result<CartContents, CartRefusal>, StoreError> {
        self.update(cart, |known| {
            let mut cart = known.unwrap_or_default();
            change.apply(&mut cart)?;
            let contents = CartContents::from(&cart);
            Ok((cart, contents))
        })
        .await
    }

    async fn merge(&self, entries: Vec<(CartId, Cart)>) -> Result<(), StoreError> {
        Self::merge(self, entries)
    }

    async fn page(&self, after: Option<CartId>) -> Result<Vec<(CartId, Cart)>, StoreError> {
        Ok(Self::page(self, after.as_ref()))
    }

    fn replicated(&self) -> Option<&Replicated<Cart>> {
        Some(self)
    }
}
