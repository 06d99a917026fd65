//! The affinity cookie: its name and attributes, reading it from requests, removing it from
//! requests that go upstream, writing `Set-Cookie`, and keeping that line out of shared caches.

mod attributes;
mod cache_guard;
mod cut;
mod date;
mod field_change;
mod name;
mod needle;
mod response_cookie;
mod scope;
mod set_cookie;

pub use attributes::{CookieAttributes, InvalidAttributes, Lifetime, SameSite, Secure};
pub use cache_guard::CacheGuard;
pub(crate) use cache_guard::is_targeted;
pub use field_change::FieldChange;
pub use name::{CookieName, InvalidCookieName};
pub(crate) use response_cookie::ResponseCookie;
pub use scope::{CookieDomain, CookiePath, InvalidCookieDomain, InvalidCookiePath};
pub(crate) use set_cookie::Lines;
pub use set_cookie::SetCookie;
