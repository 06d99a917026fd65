//! The face that stores show to async stacks.

use std::sync::Arc;

use super::{Lookup, Record, StoreWrite};

/// A store of header sessions as [`Exchange`](crate::Exchange) and the tower layer call it. A call
/// never fails: an error becomes [`Record::Unreachable`], or is reported by the store itself.
///
/// [`AnyStore`](super::AnyStore) implements it for the stores of this crate (`AnyStore::from(store)`,
/// or chosen at run time), and [`NoStore`] for policies without a store. Implement it for a store of another kind; the laws
/// are those of [`SessionStore`](super::SessionStore).
///
/// ```
/// use session_affinity::store::{AsyncSessionStore, Lookup, Record, StoreWrite};
/// # struct Client;
/// # impl Client { async fn get(&self, _: Lookup) -> std::io::Result<Record> { Ok(Record::Absent) }
/// # async fn put(&self, _: StoreWrite) -> std::io::Result<()> { Ok(()) } }
///
/// /// Sessions behind the client of another database.
/// struct Sessions(Client);
///
/// impl AsyncSessionStore for Sessions {
///     async fn record(&self, lookup: Option<Lookup>) -> Record {
///         let Some(lookup) = lookup else { return Record::Absent };
///         self.0.get(lookup).await.unwrap_or(Record::Unreachable) // within a deadline of its own
///     }
///
///     async fn commit(&self, write: Option<StoreWrite>) {
///         let Some(write) = write else { return };
///         if let Err(error) = self.0.put(write).await {
///             eprintln!("session store: {error}");
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    note = "for a `MemoryStore` or a `RedisStore`: `AnyStore::from(store)`"
)]
pub trait AsyncSessionStore: Send + Sync {
    /// Returns the record for [`Affinity::route`](crate::Affinity::route): [`Record::Absent`]
    /// without a lookup, [`Record::Unreachable`] when the store did not answer. The request
    /// waits for it, so it needs a deadline.
    fn record(&self, lookup: Option<Lookup>) -> impl Future<Output = Record> + Send;

    /// Carries out the write of a settlement, if there is one. The response waits for it: spawn a
    /// task where the write may come later.
    fn commit(&self, write: Option<StoreWrite>) -> impl Future<Output = ()> + Send;
}

/// The store of policies that have none: `cookie`, `ip_cookie` and `none`.
///
/// # Panics
/// In debug builds, when it is asked for a header session or is to write one: the session would be created again by
/// every request. In release builds it answers [`Record::Absent`].
/// [`AnyStore::none`](super::AnyStore::none) does that in every build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "has no parameters")]
pub struct NoStore;

impl AsyncSessionStore for NoStore {
    async fn record(&self, lookup: Option<Lookup>) -> Record {
        debug_assert!(
            lookup.is_none(),
            "a header session has no store: pass one, or `AnyStore::none()` to go without"
        );
        Record::Absent
    }

    async fn commit(&self, write: Option<StoreWrite>) {
        debug_assert!(
            write.is_none(),
            "a header session has no store: pass one, or `AnyStore::none()` to go without"
        );
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: AsyncSessionStore + ?Sized> AsyncSessionStore for $pointer {
            fn record(&self, lookup: Option<Lookup>) -> impl Future<Output = Record> + Send {
                (**self).record(lookup)
            }

            fn commit(&self, write: Option<StoreWrite>) -> impl Future<Output = ()> + Send {
                (**self).commit(write)
            }
        }
    )*};
}

forward!(&S, Box<S>, Arc<S>);
