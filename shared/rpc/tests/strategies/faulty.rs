//! A transport that fails as it is told: the next calls meet the next faults.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use rpc::{InProcess, Transport, TransportError, WireRequest, WireResponse};

/// How one attempt goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The node does its work and the answer is lost.
    LoseReply,
    /// The connection is refused.
    Refuse,
    /// Nothing ever happens.
    Hang,
    /// The key is lost on the way.
    DropKey,
}

/// Nodes in this process, behind faults.
#[derive(Debug)]
pub(crate) struct Faulty {
    nodes: InProcess,
    faults: Mutex<VecDeque<Fault>>,
    asked: Mutex<Vec<String>>,
}

impl Faulty {
    pub(crate) fn new(nodes: InProcess) -> Self {
        Self { nodes, faults: Mutex::default(), asked: Mutex::default() }
    }

    /// The next attempts meet these.
    pub(crate) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults.into_iter().collect();
    }

    /// Which nodes were asked, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Transport for Faulty {
    async fn send(&self, address: &str, mut request: WireRequest) -> Result<WireResponse, TransportError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(address.to_owned());
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match fault {
            None => self.nodes.send(address, request).await,
            Some(Fault::LoseReply) => {
                self.nodes.send(address, request).await?;
                Err(TransportError::Lost("told to lose it".to_owned()))
            }
            Some(Fault::Refuse) => Err(TransportError::NotSent("told to refuse".to_owned())),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::DropKey) => {
                request.key = None;
                self.nodes.send(address, request).await
            }
        }
    }

    async fn probe(&self, address: &str) -> bool {
        self.nodes.probe(address).await
    }
}
