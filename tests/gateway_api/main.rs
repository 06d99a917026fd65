//! The `sessionPersistence` of the Gateway API: the ten conformance rows of GEP-1619 under their
//! names, its edge cases, the rules that make one invalid, and the durations of GEP-2257.

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod duration;
mod edge_cases;
mod reading;
mod site;
