//! The four verbs for stacks that call back, such as pingora.
//!
//! Such a stack owns the way of a request and calls the program at fixed points, with a context
//! for each request. [`Flow`] is a value for that context: it holds the attempt and the snapshot
//! between the calls, and knows which step of the law is due.
//!
//! | the stack says | the program calls |
//! |---|---|
//! | a request has arrived | [`Affinity::recall`], the store if there is one, [`Flow::route`]; 503 for its error |
//! | where does it go? | [`Flow::target`] |
//! | no connection could be made | [`Flow::failover`]; a retry if it returns a target, else 502 |
//! | the request goes upstream | [`Affinity::strip_changes`] |
//! | the head of a response has come from the endpoint | [`Flow::answered`] |
//! | the endpoint broke off | [`Flow::broke_off`] |
//! | the head of a response goes to the client | [`Flow::settle`], [`Settlement::changes`], the store |
//! | the request is over | [`Flow::outcome`] |
//!
//! A response that comes from the stack's own cache is settled by the same callback, and gets
//! nothing, because no endpoint was told to have answered.
//!
//! # Example
//! ```
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use http::{HeaderMap, StatusCode};
//! use session_affinity::callbacks::Flow;
//! use session_affinity::cookies::FieldChange;
//! use session_affinity::{Affinity, MemoryStore, NoRoute, Pools, RequestMeta, Scheme, SessionStore, UnixTime};
//!
//! struct Proxy {
//!     affinity: Affinity,
//!     pools: Arc<Pools<SocketAddr>>,
//!     store: MemoryStore, // asked by the policy `header` alone
//! }
//!
//! impl Proxy {
//!     fn new_context(&self) -> Flow<SocketAddr> {
//!         Flow::default()
//!     }
//!
//!     fn on_request(&self, headers: &HeaderMap, flow: &mut Flow<SocketAddr>, now: UnixTime) -> Result<(), NoRoute> {
//!         let visit = self.affinity.recall(&RequestMeta::new(headers, Scheme::Https), now);
//!         let record = self.store.record(visit.lookup());
//!         flow.route(&self.affinity, visit, record, self.pools.clone(), || 0x5eed) // your random bits
//!     }
//!
//!     fn on_connect(&self, flow: &Flow<SocketAddr>) -> Option<SocketAddr> {
//!         flow.target().copied()
//!     }
//!
//!     fn on_connect_error(&self, flow: &mut Flow<SocketAddr>) -> bool {
//!         flow.failover(&self.affinity).is_some() // to be retried
//!     }
//!
//!     fn on_upstream_request(&self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> {
//!         self.affinity.strip_changes(headers)
//!     }
//!
//!     fn on_upstream_response(&self, status: StatusCode, flow: &mut Flow<SocketAddr>) {
//!         flow.answered(status);
//!     }
//!
//!     fn on_response(&self, status: StatusCode, headers: &HeaderMap, flow: &mut Flow<SocketAddr>) -> impl Iterator<Item = FieldChange> {
//!         let (changes, write) = flow.settle(&self.affinity, status).changes(headers);
//!         let Ok(()) = self.store.commit(write); // a store in memory has no errors
//!         changes
//!     }
//!
//!     fn on_end(&self, flow: &Flow<SocketAddr>) {
//!         println!("{}", flow.outcome().map_or("-", |outcome| outcome.label()));
//!     }
//! }
//! ```
//!
//! The example `pingora` of the repository is a whole proxy, with a cache.
//!
//! [`Affinity::recall`]: crate::Affinity::recall
//! [`Affinity::strip_changes`]: crate::Affinity::strip_changes
//! [`Settlement::changes`]: crate::Settlement::changes

mod flow;

pub use flow::Flow;
