//! The state of a small world as plain values, so that it can be hashed, kept and gone back to. All
//! times are relative to now: two states that differ by a shift of all times are one.

use session_affinity::{EndpointId, Health};

use crate::naive::Service;
use crate::support::NOW;

/// Seconds from now, negative in the past.
pub(crate) type Secs = i32;

/// The clock stands at a multiple of this, or one second before: all lifetimes are multiples too, so
/// that each border is met and the second before it as well.
pub(crate) const UNIT: Secs = 100;

/// All that is older is equally old.
pub(crate) const LONG_AGO: Secs = -12 * UNIT;

/// Two pools of two endpoints.
pub(crate) const ENDPOINTS: [(&str, &str); 4] = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")];

pub(crate) fn id(endpoint: usize) -> EndpointId {
    let (pool, name) = ENDPOINTS[endpoint];
    EndpointId::new(pool, name)
}

pub(crate) fn index(id: EndpointId) -> usize {
    (0..ENDPOINTS.len()).find(|endpoint| self::id(*endpoint) == id).expect("one of the four")
}

/// The seconds of Unix time that are so far from now.
pub(crate) fn absolute(secs: Secs) -> u64 {
    NOW.as_secs().saturating_add_signed(secs.into())
}

pub(crate) fn relative(secs: u64) -> Secs {
    Secs::try_from(secs as i64 - NOW.as_secs() as i64).expect("near now")
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) nodes: [Node; 2],
    /// The tokens of both clients.
    pub(crate) jars: [Option<Jar>; 2],
    /// By store, the records of both clients. Where the nodes share a store, it is the first.
    pub(crate) stores: [[Option<Row>; 2]; 2],
    /// A write that has not been carried out yet.
    pub(crate) late: Option<Late>,
    pub(crate) full: [bool; 4],
    /// The clock stands one second before a multiple of the unit.
    pub(crate) is_before: bool,
    /// The time at which the first node began to sign with the second key.
    pub(crate) promoted: Option<Secs>,
}

/// What one gateway knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    /// Its clock, relative to the true one.
    pub(crate) skew: Secs,
    /// The steps of the key rotation that it has made, of three.
    pub(crate) keys: usize,
    pub(crate) members: [Member; 4],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) place: Place,
    pub(crate) health: Health,
    /// The time at which it was disabled.
    pub(crate) disabled: Option<Secs>,
    pub(crate) weight: u8,
    pub(crate) mark: Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Present,
    /// Not in the snapshot, but in one before.
    Removed,
    Unknown,
}

/// What a node has noted about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    pub(crate) began: Option<Secs>,
    pub(crate) last_seen: Option<Secs>,
    /// The latest start and the latest end of a session.
    pub(crate) latest: Option<(Secs, Secs)>,
    pub(crate) suspect_until: Secs,
    pub(crate) failures: u32,
}

/// A token, by its contents: sealed again it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Jar {
    pub(crate) endpoint: usize,
    pub(crate) issued: Secs,
    pub(crate) key: u8,
}

/// A record of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) endpoint: usize,
    pub(crate) issued: Secs,
    pub(crate) end: Secs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Late {
    pub(crate) store: usize,
    pub(crate) client: usize,
    pub(crate) kind: LateKind,
    pub(crate) now: Secs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LateKind {
    Touch,
    Create(usize),
    Replace(usize),
}

impl Mark {
    /// Nothing was noted.
    pub(crate) const NONE: Self =
        Self { began: None, last_seen: None, latest: None, suspect_until: LONG_AGO, failures: 0 };
}

impl State {
    /// The beginning: four healthy endpoints, and no session.
    pub(crate) fn first() -> Self {
        let member = Member {
            place: Place::Present,
            health: Health::Healthy,
            disabled: None,
            weight: 100,
            mark: Mark::NONE,
        };
        let node = Node { skew: 0, keys: 0, members: [(); 4].map(|()| member.clone()) };
        Self {
            nodes: [node.clone(), node],
            jars: [None; 2],
            stores: [[None; 2]; 2],
            late: None,
            full: [false; 4],
            is_before: false,
            promoted: None,
        }
    }

    /// The clock goes on: to one second before the next multiple of the unit, or to that.
    pub(crate) fn tick(&mut self, ttl: Secs) {
        let by = if self.is_before { 1 } else { UNIT - 1 };
        self.is_before = !self.is_before;
        self.pass(by, ttl);
    }

    pub(crate) fn pass(&mut self, by: Secs, ttl: Secs) {
        let older = |time: &mut Secs| *time = (*time - by).max(LONG_AGO);
        for node in &mut self.nodes {
            for Member { disabled, mark, .. } in &mut node.members {
                let latest = mark.latest.iter_mut().flat_map(|(issued, end)| [issued, end]);
                let optional = [disabled, &mut mark.began, &mut mark.last_seen].into_iter();
                optional.flatten().chain(latest).for_each(older);
                older(&mut mark.suspect_until);
                if mark.suspect_until <= node.skew {
                    mark.suspect_until = LONG_AGO;
                }
            }
        }
        for jar in self.jars.iter_mut().flatten() {
            older(&mut jar.issued);
            if jar.issued + ttl < -2 * UNIT {
                jar.issued = LONG_AGO;
            }
        }
        for row in self.stores.iter_mut().flatten() {
            if let Some(Row { issued, end, .. }) = row {
                older(issued);
                older(end);
                if *end < -2 * UNIT {
                    *row = None;
                }
            }
        }
        self.late.iter_mut().for_each(|late| older(&mut late.now));
        self.promoted.iter_mut().for_each(older);
    }
}

impl Node {
    /// The time on its clock.
    pub(crate) fn now(&self) -> u64 {
        absolute(self.skew)
    }
}

impl Member {
    pub(crate) fn service(&self) -> Service {
        match self.disabled {
            None => Service::Enabled,
            Some(at) => Service::Disabled(Some(absolute(at))),
        }
    }
}
