//! Taking a session back: a logout, a consent that was withdrawn.

use super::{Affinity, Visit};
use crate::policy::{AffinityPolicy, Forgotten, Settlement};

impl<P: AffinityPolicy> Affinity<P> {
    /// Takes the session of a request back, in the place of [`route`](Self::route): after a logout,
    /// or when a consent is withdrawn. Apply the settlement to a response to the client.
    ///
    /// | carrier | settlement |
    /// |---|---|
    /// | cookie | a `Set-Cookie` of the same name, path and domain with `Max-Age=0`, whether the request has the cookie or not |
    /// | issued header | nothing: no field makes a client forget a header. The client drops it by itself, or sends it until the token expires |
    /// | store (`header`) | the write [`Remove`](crate::store::WriteKind::Remove), for a request with a session key |
    /// | policy `none` | nothing |
    /// | cookies of another system ([`MigratingPolicy`](crate::policy::MigratingPolicy)) | these too, or the next request would begin with one |
    ///
    /// A copy of a token stays valid until it expires: a cookie session ends with the client's
    /// cookie, a header session with its record.
    ///
    /// A request that is to be served as well is recalled a second time, before it is stripped, and
    /// this settlement is applied after that of [`settle`](Self::settle): the last `Set-Cookie` of a
    /// name counts, and so does the last write.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, RequestMeta, Scheme, SessionStore, UnixTime};
    /// # fn log_out<P: AffinityPolicy, S: SessionStore>(affinity: &Affinity<P>, store: &S, request: &http::Request<()>, now: UnixTime) -> Result<http::Response<()>, S::Error> {
    /// let meta = RequestMeta::new(request.headers(), Scheme::Https);
    /// let mut response = http::Response::new(());
    /// let write = affinity.forget(affinity.recall(&meta, now)).apply(&mut response);
    /// store.commit(write)?;
    /// # Ok(response)
    /// # }
    /// ```
    pub fn forget(&self, visit: Visit) -> Settlement {
        let mut forgotten = Forgotten::new(visit.scheme, visit.now);
        if let Some(key) = visit.session_key() {
            forgotten = forgotten.with_session(key);
        }
        let mut settlement = self.policy.forget(&forgotten);
        settlement.cache_guard = self.rules.cache_guard;
        settlement
    }
}
