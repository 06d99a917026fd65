//! The counts of a day, the laws that they must keep, and the table.

use session_affinity::limits::BoundedLoad;
use session_affinity::{FailoverMode, Outcome};

use crate::day::Row;
use crate::fleet::{JOIN, SERVERS, SLOW};
use crate::operator::Drained;

/// In seconds: the interval over which requests are counted, and that between counts of live
/// sessions.
pub const BIN: u64 = 600;
pub const LIVE_EVERY: u64 = 300;

/// The seconds after which an answer counts as slow.
pub const PATIENCE: u64 = 10;

/// One day in one failover mode.
pub struct Tally {
    pub name: &'static str,
    mode: FailoverMode,
    bound: Option<BoundedLoad>,
    pub requests: u64,
    /// The outcomes of the whole day, and of each interval of ten minutes.
    pub total: Counts,
    pub bins: Vec<Counts>,
    /// The live sessions of the clients on the site, by server.
    pub live: Vec<[u64; SERVERS.len()]>,
    /// The connections that were refused. A request has waited for each of them.
    pub waits: u64,
    pub waits_on_restart: u64,
    pub drains: Vec<Drained>,
    pub begun_while_draining: u64,
    pub pins_changed_by_refusal: u64,
    pub live_at_scale_up: u64,
    pub moved_by_scale_up: u64,
    /// The most requests in flight at the slow server.
    pub most_at_slow: u32,
}

/// The outcomes of requests, and their slow answers.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub created: u64,
    pub kept: u64,
    pub moved: u64,
    pub lent: u64,
    pub gave_up: u64,
    pub no_endpoint: u64,
    pub slow: u64,
}

impl Counts {
    fn count(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Created(_) => &mut self.created,
            Outcome::Kept => &mut self.kept,
            Outcome::Moved(_) => &mut self.moved,
            Outcome::Lent(_) => &mut self.lent,
            Outcome::GaveUp => &mut self.gave_up,
            Outcome::NoEndpoint => &mut self.no_endpoint,
            // The cookie policy binds every request, so none is `Unbound`, and lost sessions move.
            _ => return,
        };
        *count += 1;
    }

    /// Returns the number of errors that users saw.
    pub fn errors(&self) -> u64 {
        self.gave_up + self.no_endpoint
    }
}

impl Tally {
    pub fn new(row: &Row) -> Self {
        Self {
            name: row.name,
            mode: row.mode,
            bound: row.bound,
            requests: 0,
            total: Counts::default(),
            bins: Vec::new(),
            live: Vec::new(),
            waits: 0,
            waits_on_restart: 0,
            drains: Vec::new(),
            begun_while_draining: 0,
            pins_changed_by_refusal: 0,
            live_at_scale_up: 0,
            moved_by_scale_up: 0,
            most_at_slow: 0,
        }
    }

    pub fn request(&mut self, second: u64, outcome: Outcome) {
        let bin = usize::try_from(second / BIN).unwrap_or(0);
        self.bins.resize(self.bins.len().max(bin + 1), Counts::default());
        self.bins[bin].count(outcome);
        self.total.count(outcome);
        self.requests += 1;
    }

    /// Counts an answer that took so long. The request has been counted.
    pub fn answer(&mut self, second: u64, seconds: u64) {
        let bin = usize::try_from(second / BIN).unwrap_or(0);
        let slow = u64::from(seconds > PATIENCE);
        self.bins[bin].slow += slow;
        self.total.slow += slow;
    }

    pub fn live<'a>(&mut self, servers: impl Iterator<Item = &'a usize>) {
        let mut live = [0; SERVERS.len()];
        servers.for_each(|server| live[*server] += 1);
        self.live.push(live);
    }

    /// Asserts the laws that a day can show.
    pub fn assert_laws(&self) {
        let Counts { created, kept, moved, lent, gave_up, no_endpoint, .. } = self.total;
        let name = self.name;
        assert_eq!(
            created + kept + moved + lent + gave_up + no_endpoint,
            self.requests,
            "{name}: one outcome each"
        );
        assert_eq!(
            self.begun_while_draining, 0,
            "{name}: a draining endpoint never gets a new session"
        );
        assert_eq!(self.moved_by_scale_up, 0, "{name}: endpoints that join move no live session");
        assert_eq!(
            self.waits_on_restart, 0,
            "{name}: no request comes to an endpoint that is drained"
        );
        if self.mode != FailoverMode::Sticky {
            assert_eq!(
                self.pins_changed_by_refusal, 0,
                "{name}: a refused connection changes no live session's pin"
            );
        }
        if let Some(bound) = self.bound {
            // The others answer within the second, so no share of the load is above the least.
            let most = self.most_at_slow;
            assert!(most <= bound.at_least(), "{name}: {most} in flight, within the bound");
        }
        if self.mode != FailoverMode::Temporary {
            assert_eq!(lent, 0, "{name}: sessions are lent in the mode temporary alone");
        }
    }
}

/// Returns the table of the days, side by side.
pub fn table(days: &[Tally]) -> String {
    let heads =
        ["requests", "created", "kept", "moved", "lent", "gave_up", "no_endpoint", "waits", "slow"];
    let row = |name: &str, cells: [String; 9]| {
        let cells = heads
            .iter()
            .zip(cells)
            .map(|(head, cell)| format!("{cell:>width$}", width = head.len().max(7) + 2));
        format!("{name:<23}{}\n", cells.collect::<String>())
    };
    let mut text = row("failover mode", heads.map(String::from));
    for day in days {
        let Counts { created, kept, moved, lent, gave_up, no_endpoint, slow } = day.total;
        let (all, waits) = (day.requests, day.waits);
        let counts = [all, created, kept, moved, lent, gave_up, no_endpoint, waits, slow];
        text += &row(day.name, counts.map(grouped));
    }
    let sum = |count: fn(&Tally) -> u64| days.iter().map(count).sum::<u64>();
    let drains = || days.iter().flat_map(|day| &day.drains);
    let first = days.first().map_or(&[][..], |day| &day.drains);
    let minutes: Vec<_> = first
        .iter()
        .map(|drain| format!("{} {}", SERVERS[drain.server].1, drain.minutes()))
        .collect();
    let changed: Vec<_> =
        days.iter().map(|day| format!("{} {}", day.name, day.pins_changed_by_refusal)).collect();
    let most: Vec<_> =
        days.iter().map(|day| format!("{} {}", day.name, day.most_at_slow)).collect();
    let facts = [
        "Waits: connections that were refused before a request was served or given up.".into(),
        format!("Slow: answers that took more than {PATIENCE} seconds."),
        format!("Most requests in flight at {}: {}.", SERVERS[SLOW.0].1, most.join("; ")),
        format!("Live pins changed by a refused connection: {}.", changed.join("; ")),
        format!(
            "Endpoints drained and restarted, in all days: {}, of which cut short {}.",
            drains().count(),
            drains().filter(|drain| drain.cut).count()
        ),
        format!("Minutes that each took, in the first day: {}.", minutes.join(", ")),
        format!(
            "New sessions on a draining endpoint: {}. Requests to one that restarted: {}.",
            sum(|day| day.begun_while_draining),
            sum(|day| day.waits_on_restart)
        ),
        format!(
            "Live sessions moved when {} endpoints joined: {} of {}.",
            JOIN.len(),
            sum(|day| day.moved_by_scale_up),
            grouped(sum(|day| day.live_at_scale_up))
        ),
    ];
    text + "\n" + &facts.join("\n") + "\n"
}

/// Formats a number with a space between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(" ")
}
