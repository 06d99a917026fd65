//! The setters of the parameters that hold for every policy, and the names that the policy brings.

use http::HeaderMap;
use http::header::COOKIE;

use super::Affinity;
use crate::carrier::Carrier;
use crate::cookies::{CacheGuard, CookieName, FieldChange};
use crate::failover::{FailoverMode, FailoverScope, InvalidFailoverMode, MoveWithin, OnLoss};
use crate::limits::{CoolingOff, DrainDuration, Ipv6Prefix, Retries};
use crate::names::LoadBalancer;
use crate::policy::{AffinityPolicy, Life};
use crate::request::ClientHash;

impl<P: AffinityPolicy> Affinity<P> {
    /// Sets the failover mode. By default [`FailoverMode::None`].
    ///
    /// # Errors
    /// [`InvalidFailoverMode`] when the policy does not support the mode: `header` with `sticky`.
    pub fn with_failover_mode(mut self, mode: FailoverMode) -> Result<Self, InvalidFailoverMode> {
        if !self.policy.supports(mode) {
            return Err(InvalidFailoverMode::new(mode));
        }
        self.rules.failover_mode = mode;
        Ok(self)
    }

    /// Sets the pools that failover may reach. By default the endpoint's own.
    #[must_use]
    pub fn with_failover_scope(mut self, scope: FailoverScope) -> Self {
        self.rules.failover_scope = scope;
        self
    }

    /// Sets the number of further endpoints to try after a passive failure. By default one.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.rules.retries = retries;
        self
    }

    /// Sets the time that a disabled endpoint has to drain. By default 0: no drain.
    #[must_use]
    pub fn with_drain_duration(mut self, drain_duration: DrainDuration) -> Self {
        self.rules.drain_duration = drain_duration;
        self
    }

    /// Sets the time for which an endpoint is a suspect after a passive failure. By default 0:
    /// no endpoint ever is.
    #[must_use]
    pub fn with_cooling_off(mut self, cooling_off: CoolingOff) -> Self {
        self.rules.cooling_off = cooling_off;
        self
    }

    /// Sets the effect on a live session of an endpoint that does not take it. By default
    /// [`OnLoss::Move`].
    #[must_use]
    pub fn with_on_loss(mut self, on_loss: OnLoss) -> Self {
        self.rules.on_loss = on_loss;
        self
    }

    /// Sets the pool in which a session that moves looks first. By default [`MoveWithin::Order`]
    /// where the pools are used as given, and [`MoveWithin::OwnPool`] where they are steered.
    #[must_use]
    pub fn with_move_within(mut self, move_within: MoveWithin) -> Self {
        self.rules.move_within = Some(move_within);
        self
    }

    /// Sets the number of leading bits of an IPv6 address that tell clients apart. By default 64.
    #[must_use]
    pub fn with_ipv6_prefix(mut self, ipv6_prefix: Ipv6Prefix) -> Self {
        self.clients = ClientHash::new(self.policy.load_balancer(), ipv6_prefix);
        self
    }

    /// Sets the treatment of responses that get a cookie or an issued header. By default shared caches are kept from
    /// storing them.
    #[must_use]
    pub fn with_cache_guard(mut self, cache_guard: CacheGuard) -> Self {
        self.rules.cache_guard = cache_guard;
        self
    }

    /// The name of the load balancer, for stores that keep sessions of several.
    pub fn load_balancer(&self) -> &LoadBalancer {
        self.policy.load_balancer()
    }

    /// The life of the policy's sessions: the time after which a session that is written by other
    /// means than [`settle`](Affinity::settle) ends.
    pub fn life(&self) -> Life {
        self.policy.life()
    }

    /// Removes the cookie or the issued header of the policy from the headers of a request that goes
    /// to an endpoint, and what another system has put into its cookies
    /// ([`AffinityPolicy::foreign_cookies`]): other fields and other cookies stay as they are. Call it
    /// after [`recall`](Self::recall), which reads them.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy};
    /// fn prepare<P: AffinityPolicy, B>(affinity: &Affinity<P>, request: &mut http::Request<B>) {
    ///     affinity.strip(request.headers_mut());
    /// }
    /// ```
    pub fn strip(&self, headers: &mut HeaderMap) {
        if let Some(carrier) = self.carrier() {
            carrier.strip(headers);
        }
        for cookie in self.policy.foreign_cookies() {
            cookie.strip(headers);
        }
    }

    /// Removes from an endpoint's response the cookie or the header that has the name of the policy's
    /// own, as [`Carrier::strip_response`] does, and returns the number of field lines that are gone.
    /// [`Exchange`](crate::Exchange) and the layer do it by themselves.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, Attempt, Pools, SessionStore};
    /// # fn serve<P: AffinityPolicy>(affinity: &Affinity<P>, attempt: Attempt, pools: &Pools<&str>, mut response: http::Response<()>) {
    /// if affinity.strip_response(response.headers_mut()) > 0 {
    ///     println!("{:?} sets the gateway's own cookie, which is dropped", attempt.endpoint());
    /// }
    /// let settlement = affinity.settle_response(attempt, pools, &response);
    /// # drop(settlement);
    /// # }
    /// ```
    pub fn strip_response(&self, headers: &mut HeaderMap) -> usize {
        self.carrier().map_or(0, |carrier| carrier.strip_response(headers))
    }

    /// Returns the changes of [`Affinity::strip_response`], for a response without a
    /// `&mut HeaderMap`. Make them before the settlement returns its own: those of
    /// [`Settlement::changes`](crate::Settlement::changes) are made of the fields that are left.
    ///
    /// ```
    /// # use session_affinity::cookies::FieldChange;
    /// # use session_affinity::{Affinity, AffinityPolicy};
    /// # struct Response { headers: http::HeaderMap }
    /// # impl Response { fn change(&mut self, _: FieldChange) {} }
    /// fn answered<P: AffinityPolicy>(affinity: &Affinity<P>, response: &mut Response) {
    ///     for change in affinity.strip_response_changes(&response.headers) {
    ///         response.change(change); // your own: a match of two lines
    ///     }
    /// }
    /// ```
    pub fn strip_response_changes(
        &self,
        headers: &HeaderMap,
    ) -> impl Iterator<Item = FieldChange> + use<P> {
        let changes = self.carrier().map(|carrier| carrier.strip_response_changes(headers));
        changes.into_iter().flatten()
    }

    /// Returns the changes of [`Affinity::strip`], for a request without a `&mut HeaderMap`.
    ///
    /// ```
    /// # use session_affinity::cookies::FieldChange;
    /// # use session_affinity::{Affinity, AffinityPolicy};
    /// # struct Request { headers: http::HeaderMap }
    /// # impl Request { fn change(&mut self, _: FieldChange) {} }
    /// fn prepare<P: AffinityPolicy>(affinity: &Affinity<P>, request: &mut Request) {
    ///     for change in affinity.strip_changes(&request.headers) {
    ///         request.change(change); // your own: a match of two lines
    ///     }
    /// }
    /// ```
    pub fn strip_changes(&self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> + use<P> {
        let foreign = self.policy.foreign_cookies();
        let carrier = self.carrier().filter(|carrier| {
            // Two lists of changes of one field would undo each other.
            foreign.is_empty() || matches!(carrier, Carrier::Header(_))
        });
        let by_carrier = carrier.map(|carrier| carrier.strip_changes(headers));
        let edit = |headers: &mut HeaderMap| self.strip(headers);
        let cookies = (!foreign.is_empty()).then(|| FieldChange::of(&COOKIE, headers, edit));
        by_carrier.into_iter().flatten().chain(cookies.into_iter().flatten())
    }

    /// The cookie or the header that carries the token; `None` for a policy that gives the client
    /// nothing.
    pub fn carrier(&self) -> Option<&Carrier> {
        self.policy.carrier()
    }

    /// The name of the cookie that carries the token; `None` for an issued header, and for a policy
    /// that gives the client nothing. [`Affinity::strip`] serves them all.
    pub fn cookie_name(&self) -> Option<&CookieName> {
        self.carrier()?.cookie_name()
    }
}

/// The name of the load balancer, so that a store can be made for an affinity.
impl<P: AffinityPolicy> From<&Affinity<P>> for LoadBalancer {
    fn from(affinity: &Affinity<P>) -> Self {
        affinity.load_balancer().clone()
    }
}
