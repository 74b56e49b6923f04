//! Sessions in memory, replicated between the nodes of the family.

use std::convert::Infallible;

use async_trait::async_trait;
use contract::{SessionId, session::Session};
use store::{Replicated, StoreError};

use super::SessionStore;

#[async_trait]
impl SessionStore for Replicated<Session> {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.read(&id).await
    }

    async fn open(&self, id: SessionId, session: Session) -> Result<Session, StoreError> {
        let kept = self.update(id, |known| {
            let kept = known.unwrap_or(session);
            Ok::<_, Infallible>((kept.clone(), kept))
        });
        kept.await.map(|Ok(kept)| kept)
    }

    async fn revoke(&self, id: SessionId, mark: Session) -> Result<(), StoreError> {
        let revoked = self.update(id, |known| {
            let revoked = Session { revoked: true, ..known.unwrap_or(mark) };
            Ok::<_, Infallible>((revoked, ()))
        });
        revoked.await.map(|Ok(())| ())
    }

    async fn merge(&self, entries: Vec<(SessionId, Session)>) -> Result<(), StoreError> {
        Self::merge(self, entries)
    }

    async fn page(&self, after: Option<SessionId>) -> Result<Vec<(SessionId, Session)>, StoreError> {
        Ok(Self::page(self, after.as_ref()))
    }

    fn replicated(&self) -> Option<&Replicated<Session>> {
        Some(self)
    }
}
