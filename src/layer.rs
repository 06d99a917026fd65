//! A layer for axum and other [tower](https://docs.rs/tower) servers. Feature `tower`.
//!
//! [`AffinityLayer`] runs an [`Exchange`](crate::Exchange) around the inner service: it recalls the
//! session, routes, strips the affinity cookie or the issued header from the request, calls the inner service, tries the
//! next endpoint where no connection could be made, and settles when an endpoint has answered.
//!
//! The inner service connects and sends. It finds its endpoint in the request's extensions
//! ([`Routed`]), and its error ([`Failed`](crate::exchange::Failed)) tells two failures apart: no connection could be made,
//! and the error gives the request back whole; or the endpoint broke off. So a body need not be
//! `Clone` and is never copied.
//!
//! ```text
//!  request ──recall, route, strip──▶ inner service ──settle──▶ response with Set-Cookie
//!                                      │      ▲
//!                          Unconnected └──────┘ failover
//! ```
//!
//! # Example
//! ```
//! use std::io::Error;
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use axum::body::Body;
//! use axum::error_handling::HandleError;
//! use http::request::{Parts, Request};
//! use http::Response;
//! use session_affinity::exchange::{Failed, Refused};
//! use session_affinity::layer::{AffinityLayer, Client, Routed, Site};
//! use session_affinity::{Affinity, CookiePolicy, Endpoint, Key, Keyring, LoadBalancer, Pool, Pools, Scheme, Secret};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # fn connect(_: SocketAddr) -> Option<()> { Some(()) }
//! # async fn send(_: (), _: Request<Body>) -> Result<Response<Body>, Error> { Ok(Response::default()) }
//! /// Your own: one request to one endpoint.
//! async fn forward(request: Request<Body>) -> Result<Response<Body>, Failed<Body, Error>> {
//!     let Routed { target, .. } = Routed::<SocketAddr>::of(&request)?;
//!     let Some(connection) = connect(*target) else { return Err(Failed::Unconnected(Box::new(request))) };
//!     send(connection, request).await.map_err(Failed::BrokeOff)
//! }
//!
//! let shop = LoadBalancer::new("shop.example.com")?;
//! let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
//! let keyring = Keyring::from(Key::new(1, secret));
//! let affinity = Affinity::new(CookiePolicy::new(&shop, &keyring, Default::default()));
//! let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", SocketAddr::from(([10, 0, 0, 1], 80))));
//! let pools = Pools::builder().pool(eu).build()?;
//! let client = |_: &Parts| Client { client_ip: None, scheme: Scheme::Https };
//! let site = Arc::new(Site::new(affinity, pools).with_client(client));
//!
//! let service = AffinityLayer::new(site).layer(service_fn(forward));
//!
//! // axum's way to make responses, 503 and 502, of errors.
//! let service = HandleError::new(service, async |refused: Refused<Error>| refused.into_response::<Body>());
//! # let response = tokio::runtime::Builder::new_current_thread().build()?.block_on(service.oneshot(Request::default()))?;
//! # assert!(response.headers().contains_key("set-cookie"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The response's extensions have the [`Trace`](crate::Trace) of the request, for outer layers that
//! count or log.

mod gateway;
mod service;
mod site;

pub use gateway::{Client, Gateway};
pub use service::{AffinityLayer, AffinityService, NotRouted, Routed};
pub use site::Site;
