//! The tables of the manual, one small test for each row or rule. Each file shows the table that
//! it proves; each test quotes its row, with the chapter and the section in which the row stands.

#[path = "../naive/mod.rs"]
mod naive;
#[path = "../support/mod.rs"]
mod support;

mod choices;
mod cooling_off;
mod drain;
mod endpoint;
mod failover;
mod lost;
mod pools;
mod room;
mod session;
mod shedding;
mod site;
mod steering;
mod store;
