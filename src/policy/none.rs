//! No session at all.

use super::{AffinityPolicy, Claim, Life, Recall, Served, Settlement};
use crate::request::RequestMeta;
use crate::time::UnixTime;

/// Remembers nothing: steering chooses every time. Cloudflare: `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoAffinity;

impl AffinityPolicy for NoAffinity {
    fn recall(&self, _: &RequestMeta<'_>, _: UnixTime) -> Recall {
        Recall { claim: Claim::Unbound, seed: None }
    }

    fn remember(&self, _: &Served) -> Settlement {
        Settlement::nothing()
    }

    /// None at all: what is drained is empty at once.
    fn life(&self) -> Option<Life> {
        Some(Life::Absolute(0))
    }
}
