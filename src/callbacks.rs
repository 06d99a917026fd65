//! The four verbs for stacks that call back, such as pingora.
//!
//! Such a stack owns the way of a request and calls the program at fixed points, with a context
//! for each request. [`Flow`] is a value for that context: it holds the attempt and the snapshot
//! between the calls, and knows which step is due: a session is read once, before routing, and
//! written once, after an endpoint has answered.
//!
//! | the stack says | the program calls |
//! |---|---|
//! | a request has arrived | [`Affinity::recall`], the store if there is one, [`Flow::route`]; 503 for its error |
//! | where does it go? | [`Flow::target`] |
//! | no connection could be made | [`Flow::failover`]; a retry if it returns a target, else 502 |
//! | it could not for want of something on the proxy's own side | nothing: see [`is_own_side`]; 503 |
//! | the request goes upstream | [`Affinity::strip_changes`] |
//! | the head of a response has come from the endpoint | [`Affinity::strip_response_changes`], [`Flow::answered`] |
//! | the endpoint broke off | [`Flow::broke_off`] |
//! | the head of a response goes to the client | [`Flow::settle_response`], [`Settlement::changes`], the store |
//! | the request is over | [`Flow::outcome`] |
//!
//! A response that comes from the stack's own cache is settled by the same callback, and gets
//! nothing, because no endpoint was told to have answered.
//!
//! # Example
//! ```
//! use std::io::Error;
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use http::{HeaderMap, StatusCode};
//! use session_affinity::callbacks::Flow;
//! use session_affinity::cookies::FieldChange; // `Remove(name)` or `Append(name, value)`
//! use session_affinity::exchange::is_own_side;
//! use session_affinity::{Affinity, entropy, MemoryStore, NoRoute, Pools, RequestMeta, ResponseMeta, Scheme, SessionStore, UnixTime};
//!
//! struct Proxy {
//!     affinity: Affinity,
//!     pools: Arc<Pools<SocketAddr>>,
//!     store: MemoryStore, // for the policy `header`; others have none, and `Record::Absent`
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
//!         flow.route(&self.affinity, visit, record, self.pools.clone(), entropy)
//!     }
//!
//!     fn on_connect(&self, flow: &Flow<SocketAddr>) -> Option<SocketAddr> {
//!         flow.target().copied()
//!     }
//!
//!     /// Returns whether to retry. A failure of the proxy's own side moves no session.
//!     fn on_connect_error(&self, error: &Error, flow: &mut Flow<SocketAddr>) -> bool {
//!         !is_own_side(error) && flow.failover(&self.affinity).is_some()
//!     }
//!
//!     fn on_upstream_request(&self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> {
//!         self.affinity.strip_changes(headers)
//!     }
//!
//!     fn on_upstream_response(&self, status: StatusCode, headers: &HeaderMap, flow: &mut Flow<SocketAddr>) -> impl Iterator<Item = FieldChange> {
//!         flow.answered(status);
//!         self.affinity.strip_response_changes(headers)
//!     }
//!
//!     fn on_response(&self, status: StatusCode, headers: &HeaderMap, flow: &mut Flow<SocketAddr>) -> impl Iterator<Item = FieldChange> {
//!         let response = ResponseMeta::new(status, headers);
//!         let (changes, write) = flow.settle_response(&self.affinity, response).changes(headers);
//!         let Ok(()) = self.store.commit(write); // a store in memory has no errors
//!         changes
//!     }
//!
//!     /// `broke_off`: the error that ended the request came from the endpoint.
//!     fn on_end(&self, broke_off: bool, flow: &mut Flow<SocketAddr>) {
//!         if broke_off {
//!             flow.broke_off();
//!         }
//!         println!("{}", flow.outcome().map_or("-", |outcome| outcome.label()));
//!     }
//! }
//! ```
//!
//! # pingora
//! | callback | call |
//! |---|---|
//! | `request_filter` | `recall`, the store, [`Flow::route`]; `respond_error(503)` and `Ok(true)` for its error |
//! | `upstream_peer` | [`Flow::target`] |
//! | `fail_to_connect` | [`Flow::failover`] and `set_retry`, unless `e.root_cause()` is an `io::Error` of our own side |
//! | `upstream_request_filter` | [`Affinity::strip_changes`] by `remove_header`, `append_header` |
//! | `upstream_response_filter` | [`Affinity::strip_response_changes`] likewise and [`Flow::answered`], before the cache |
//! | `response_filter` | [`Flow::settle_response`] and its changes, after the cache |
//! | `logging` | [`Flow::broke_off`] for an error of `ErrorSource::Upstream`, then [`Flow::outcome`] |
//!
//! The example `pingora`, in the repository and not in the package, is a whole proxy with a cache.
//!
//! [`Affinity::recall`]: crate::Affinity::recall
//! [`is_own_side`]: crate::exchange::is_own_side
//! [`Affinity::strip_changes`]: crate::Affinity::strip_changes
//! [`Affinity::strip_response_changes`]: crate::Affinity::strip_response_changes
//! [`Settlement::changes`]: crate::Settlement::changes

mod flow;

pub use flow::Flow;
