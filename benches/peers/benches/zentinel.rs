//! The sticky select of zentinel-proxy, called by itself: `--features zentinel`.
//!
//! A request's headers are a `HashMap` of strings there, which is made beforehand and not counted.
//! Its balancer is asynchronous and never waits here, so each select is polled once.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use zentinel_config::upstreams::SameSitePolicy;
use zentinel_proxy::ZentinelResult;
use zentinel_proxy::upstream::{
    LoadBalancer, RequestContext, StickySessionBalancer, StickySessionRuntimeConfig,
    TargetSelection, UpstreamTarget,
};

use crate::scene::{self, Place, cookie_header};

/// The name in the tables.
pub const NAME: &str = "zentinel's sticky select";

/// A choice that costs as little as possible.
struct First;

const ADDRESS: &str = "10.0.0.1:8080";

#[async_trait]
impl LoadBalancer for First {
    async fn select(&self, _: Option<&RequestContext>) -> ZentinelResult<TargetSelection> {
        Ok(TargetSelection { address: ADDRESS.into(), weight: 100, metadata: HashMap::new() })
    }

    async fn report_health(&self, _: &str, _: bool) {}

    async fn healthy_targets(&self) -> Vec<String> {
        vec![]
    }
}

/// A balancer with three endpoints, and two requests: one with its cookie, the last among 300 bytes
/// of them, and one without.
pub struct Zentinel {
    balancer: StickySessionBalancer,
    known: RequestContext,
    new: RequestContext,
}

impl Zentinel {
    pub fn new() -> Self {
        let target = |number| UpstreamTarget {
            address: format!("10.0.0.{number}"),
            port: 8080,
            weight: 100,
        };
        let config = StickySessionRuntimeConfig {
            cookie_name: scene::NAME.into(),
            cookie_ttl_secs: 82_800,
            cookie_path: "/".into(),
            cookie_secure: true,
            cookie_same_site: SameSitePolicy::None,
            hmac_key: [7; 32],
        };
        let balancer =
            StickySessionBalancer::new((1..=3).map(target).collect(), config, Arc::new(First));
        let cookie = balancer.generate_cookie_value(1);
        let new = Self {
            known: context(Place::Last, &cookie),
            new: context(Place::Absent, ""),
            balancer,
        };
        let is_hit =
            |selection: &TargetSelection| selection.metadata.contains_key("sticky_session_hit");
        assert!(new.kept().as_ref().is_some_and(is_hit));
        assert!(new.created().is_some_and(|selection| !is_hit(&selection)));
        new
    }

    /// Selects for the request with a cookie: the address, which it returns as text with a map of
    /// metadata.
    pub fn kept(&self) -> Option<TargetSelection> {
        self.select(&self.known)
    }

    /// Selects for the request without a cookie. The `Set-Cookie` line, without `Expires`, is in the
    /// metadata.
    pub fn created(&self) -> Option<TargetSelection> {
        self.select(&self.new)
    }

    fn select(&self, context: &RequestContext) -> Option<TargetSelection> {
        let select = pin!(self.balancer.select(Some(context)));
        match select.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(selected) => selected.ok(),
            Poll::Pending => None,
        }
    }
}

fn context(place: Place, cookie: &str) -> RequestContext {
    let headers = cookie_header(300, place, cookie);
    let text = |value: &http::HeaderValue| value.to_str().expect("it is text").to_owned();
    RequestContext {
        client_ip: None,
        headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        path: "/".into(),
        method: "GET".into(),
    }
}
