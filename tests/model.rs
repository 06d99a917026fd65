//! Random histories: clients with cookie jars, header values and addresses, against health
//! flaps, drains, edits, other members, rotated keys, clocks that step, stores that lose or
//! do not answer, and connections that cannot be made. After every step the laws must hold.

mod history;
mod naive;
mod support;

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use history::History;
use session_affinity::outcome::{Created, Moved};
use session_affinity::{FailoverMode, Outcome};
use support::{Kind, Random};

const STEPS: usize = 12_000;
const CLIENTS: usize = 60;

/// The outcomes that a policy can have, in any mode that it supports.
fn possible(kind: Kind) -> HashSet<&'static str> {
    let can = |outcome: &&Outcome| match (kind, outcome) {
        (_, Outcome::NoEndpoint | Outcome::GaveUp) => true,
        (_, Outcome::Migrated) => kind == Kind::Migrating,
        (Kind::NoAffinity, _) => matches!(outcome, Outcome::Unbound),
        (Kind::Header, Outcome::Created(reason)) => {
            matches!(
                reason,
                Created::NoRecord
                    | Created::Unreadable
                    | Created::StoreUnreachable
                    | Created::ConnectFailed
            )
        }
        // Only `sticky` moves for a suspect or a full endpoint.
        (Kind::Header, Outcome::Moved(Moved::Suspect | Moved::Full)) => false,
        (Kind::Header, _) => true,
        (_, Outcome::Created(Created::NoCookie | Created::NoHeader)) => {
            **outcome == Outcome::Created(kind.missing())
        }
        (_, Outcome::Created(reason)) => {
            !matches!(reason, Created::NoRecord | Created::Unreadable | Created::StoreUnreachable)
        }
        (_, Outcome::Unbound) => false,
        (_, _) => true,
    };
    Outcome::ALL.iter().filter(can).map(|outcome| outcome.label()).collect()
}

/// manual::concepts, One request: "A session is **read once, before routing**, and **written once,
/// after an endpoint has answered**." And all that follows from manual::tables, for every policy in
/// every mode.
#[test]
fn random_histories_keep_the_laws() {
    let start = Instant::now();
    let mut all: BTreeMap<&'static str, usize> = BTreeMap::new();
    let (mut steps, mut requests) = (0, 0);
    for kind in Kind::ALL {
        let mut of_kind: HashSet<&'static str> = HashSet::new();
        let mut met = HashSet::new();
        for mode in [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky] {
            if kind == Kind::Header && mode == FailoverMode::Sticky {
                continue;
            }
            let seed = 1_000 + steps as u64;
            let history =
                History::new(format!("seed {seed}"), Random(seed), kind, mode, CLIENTS).run(STEPS);
            steps += STEPS;
            requests += history.requests;
            of_kind.extend(history.counts.keys());
            met.extend(history.met);
            for (label, count) in history.counts {
                *all.entry(label).or_default() += count;
            }
        }
        assert_eq!(
            of_kind,
            possible(kind),
            "{kind:?}: the outcomes that occurred and those that can"
        );
        // `on_loss` and `move_within` have three values each, the order of the pools and room two.
        assert_eq!(met.len(), 3 * 3 * 2 * 2, "{kind:?}: the combinations of rules");
    }
    assert!(steps >= 100_000);
    assert_eq!(all.len(), Outcome::ALL.len());
    print(&format!("{steps} steps, {requests} requests, {:?}", start.elapsed()));
    for (label, count) in all {
        print(&format!("{label:>26} {count}"));
    }
}

/// Past the capture of the test runner: the counts are to be seen when the test passes.
fn print(line: &str) {
    let _ =
        std::io::Write::write_all(&mut std::io::stdout().lock(), format!("{line}\n").as_bytes());
}
