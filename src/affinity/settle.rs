//! The fourth verb: the session is written once, after an endpoint has answered.

use super::attempt::Attempt;
use super::visit::Session;
use super::{Affinity, census};
use crate::endpoint::EndpointId;
use crate::endpoint::mark::Mark;
use crate::policy::{AffinityPolicy, Served, Settlement, Transition};
use crate::pools::Pools;
use crate::response::ResponseMeta;
use crate::store::WriteKind;
use crate::time::UnixTime;

impl<P: AffinityPolicy> Affinity<P> {
    /// Step 4, only after the endpoint has answered: returns the cookie or the issued header for the
    /// client and the write for the store. A request that is never settled promises nothing to the client.
    ///
    /// A policy that learns from responses, such as [`LearnedPolicy`](crate::policy::LearnedPolicy),
    /// sees none here: call [`settle_response`](Self::settle_response).
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, Pools, Attempt, SessionStore};
    /// # fn serve<P: AffinityPolicy, S: SessionStore>(affinity: &Affinity<P>, attempt: Attempt, pools: &Pools<&str>, store: &S, mut response: http::Response<()>)
    /// # -> Result<(), S::Error> {
    /// let settlement = affinity.settle(attempt, pools);
    /// store.commit(settlement.apply(&mut response))?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline(always)] // as `recall`
    pub fn settle<T>(&self, attempt: Attempt, pools: &Pools<T>) -> Settlement {
        self.settled(attempt, pools, None)
    }

    /// Does as [`settle`](Self::settle), and shows the endpoint's response to the policy. Pass the
    /// response as it came from the endpoint: a `&Response`, or a [`ResponseMeta`].
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, Pools, Attempt, SessionStore};
    /// # fn serve<P: AffinityPolicy, S: SessionStore>(affinity: &Affinity<P>, attempt: Attempt, pools: &Pools<&str>, store: &S, mut response: http::Response<()>)
    /// # -> Result<(), S::Error> {
    /// let settlement = affinity.settle_response(attempt, pools, &response);
    /// store.commit(settlement.apply(&mut response))?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline(always)] // as `recall`
    pub fn settle_response<'r, T>(
        &self,
        attempt: Attempt,
        pools: &Pools<T>,
        response: impl Into<ResponseMeta<'r>>,
    ) -> Settlement {
        self.settled(attempt, pools, Some(response.into()))
    }

    #[inline(always)] // as `recall`
    fn settled<T>(
        &self,
        attempt: Attempt,
        pools: &Pools<T>,
        response: Option<ResponseMeta<'_>>,
    ) -> Settlement {
        let Attempt { session, ref session_key, scheme, now, .. } = attempt;
        let mark = pools.mark_at(attempt.position, attempt.endpoint);
        if let Some(mark) = mark {
            mark.seen(now);
        }
        let Some(transition) = attempt.transition() else { return Settlement::nothing() };
        let pinned = match transition {
            Transition::Lent { pin, .. } => pools.mark(pin.endpoint),
            Transition::Kept(_) | Transition::Created { .. } | Transition::Moved { .. } => mark,
        };
        let mut served = Served::new(transition, scheme, now);
        served.response = response;
        served.is_foreign = matches!(session, Session::Foreign(_));
        if let Some(key) = session_key {
            served = served.with_session(key, session.record());
        }
        let mut settlement = self.policy.remember(&served);
        settlement.cache_guard = self.rules.cache_guard;
        if let Some(pinned) = pinned {
            census::note(pinned, transition, &settlement, self.policy.life(), now);
        }
        if let (Transition::Lent { endpoint, .. }, Some(mark)) = (transition, mark) {
            self.note_begun(endpoint, mark, &settlement, now);
        }
        settlement
    }

    /// Notes the session that a policy has learned from the response to a request that was lent: it
    /// begins where that request was served.
    fn note_begun(
        &self,
        endpoint: EndpointId,
        mark: &Mark,
        settlement: &Settlement,
        now: UnixTime,
    ) {
        let begins = settlement.store_write.as_ref().is_some_and(
            |write| matches!(write.kind, WriteKind::Create(at) | WriteKind::Replace(at) if at == endpoint),
        );
        if begins {
            let created = Transition::Created { endpoint };
            census::note(mark, created, settlement, self.policy.life(), now);
        }
    }
}
