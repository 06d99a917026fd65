//! A history of requests and events, decided by the fuzzer's bytes, against the naive model.

use session_affinity::FailoverMode::{None, Sticky, Temporary};

use super::choices::Choices;
use super::history::History;
use super::support::{Chance, Kind};

pub fn check(script: &[u8]) {
    let name = format!("a script of {} bytes", script.len());
    let mut choices = Choices(script);
    let kind = choices.one_of(&Kind::ALL);
    let modes: &[_] =
        if kind == Kind::Header { &[None, Temporary] } else { &[None, Temporary, Sticky] };
    let mode = choices.one_of(modes);
    History::new(name, choices, kind, mode, 3).run(300);
}
