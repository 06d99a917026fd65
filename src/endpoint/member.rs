//! One endpoint of a snapshot, without what changes from snapshot to snapshot.

use std::sync::Arc;

use super::id::EndpointId;
use super::mark::Mark;

/// An endpoint that has been checked and given its id and its mark.
#[derive(Debug)]
pub(crate) struct Member<T> {
    pub(crate) id: EndpointId,
    pub(crate) pool: PoolIndex,
    pub(crate) name: Box<str>,
    pub(crate) target: T,
    pub(crate) mark: Arc<Mark>,
}

/// The index of a pool in a snapshot: those in failover order first, then a fallback pool apart
/// from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PoolIndex(pub(crate) usize);

/// The index of an endpoint among all endpoints of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) usize);
