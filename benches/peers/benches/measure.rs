//! Measuring: calibrated batches in interleaved rounds, and the median of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The length of a measurement.
#[derive(Clone, Copy)]
pub struct Bench {
    pub rounds: usize,
    pub batch: Duration,
    pub quick: bool,
    /// The share of a batch that runs before it without a clock.
    pub warm_up: f64,
    pub profile: Profile,
}

/// The profile that the benches were built with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// That of `cargo bench` here: thin link-time optimisation, one unit of code per crate.
    Tuned,
    /// Cargo's own default for releases.
    Release,
}

impl Bench {
    pub fn new(quick: bool, profile: Profile) -> Self {
        let (rounds, batch) = if quick { (31, 60) } else { (101, 250) };
        Self { rounds, batch: Duration::from_micros(batch), quick, warm_up: 0.0, profile }
    }

    /// Returns a bench of short batches, for cases that take much longer than what is timed.
    pub fn cold(self) -> Self {
        Self { rounds: 31, batch: Duration::from_micros(60), ..self }
    }

    /// Returns a bench of fewer and longer batches, each after half a batch. It is for cases that
    /// need a warm cache, which other cases have just filled.
    pub fn long(self) -> Self {
        let batch = Duration::from_millis(if self.quick { 2 } else { 10 });
        Self { rounds: 31, batch, warm_up: 0.5, ..self }
    }

    /// Runs the cases in turn, again and again, so that a disturbance affects all of them: a
    /// neighbour on the same core, a change of clock rate. Every other round goes backwards, so
    /// that no case always follows the same one.
    pub fn run(&self, cases: &mut [Case<'_>]) -> Vec<Series> {
        let iterations: Vec<u64> = cases.iter_mut().map(|case| self.calibrate(case)).collect();
        let mut series = vec![Series(Vec::with_capacity(self.rounds)); cases.len()];
        for round in 0..self.rounds {
            for step in 0..cases.len() {
                let turn = if round % 2 == 0 { step } else { cases.len() - 1 - step };
                let warm_up = (iterations[turn] as f64 * self.warm_up) as u64;
                if warm_up > 0 {
                    (cases[turn].0)(warm_up);
                }
                let time = (cases[turn].0)(iterations[turn]);
                series[turn].0.push(time.as_nanos() as f64 / iterations[turn] as f64);
            }
        }
        series
    }

    /// Returns the number of iterations that fill a batch.
    fn calibrate(&self, case: &mut Case<'_>) -> u64 {
        let mut iterations = 1_u64;
        loop {
            let time = (case.0)(iterations);
            if time * 4 >= self.batch {
                let scale = self.batch.as_secs_f64() / time.as_secs_f64();
                return ((iterations as f64 * scale) as u64).max(1);
            }
            iterations *= 2;
        }
    }
}

/// A piece of work to measure: a function that runs it this many times and returns the duration.
pub struct Case<'a>(Box<dyn FnMut(u64) -> Duration + 'a>);

impl<'a> Case<'a> {
    pub fn new<R>(mut work: impl FnMut() -> R + 'a) -> Self {
        Self::timed(move |iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                black_box(work());
            }
            start.elapsed()
        })
    }

    /// Creates a case that reads the clock itself, to leave out its preparations.
    pub fn timed(run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self(Box::new(run))
    }
}

/// The cost of one case in each round, in ns.
#[derive(Clone)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Returns the median of the rounds' ratios. Both sides of each were measured within a moment
    /// of each other.
    pub fn over(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(this, that)| this / that).collect())
    }

    /// Returns the median of the rounds' differences.
    pub fn less(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(this, that)| this - that).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// An operation of this crate beside its lower bound and beside other libraries.
pub struct Race<'a> {
    operation: String,
    ours: Case<'a>,
    limit: Option<(&'static str, Case<'a>)>,
    rivals: Vec<(&'static str, Case<'a>)>,
}

impl<'a> Race<'a> {
    pub fn new<R>(operation: impl Into<String>, ours: impl FnMut() -> R + 'a) -> Self {
        Self::of(operation, Case::new(ours))
    }

    pub fn of(operation: impl Into<String>, ours: Case<'a>) -> Self {
        Self { operation: operation.into(), ours, limit: None, rivals: Vec::new() }
    }

    pub fn limit<R>(self, name: &'static str, work: impl FnMut() -> R + 'a) -> Self {
        self.limited_by(name, Case::new(work))
    }

    pub fn limited_by(self, name: &'static str, case: Case<'a>) -> Self {
        Self { limit: Some((name, case)), ..self }
    }

    pub fn rival<R>(self, name: &'static str, work: impl FnMut() -> R + 'a) -> Self {
        self.against(name, Case::new(work))
    }

    pub fn against(mut self, name: &'static str, case: Case<'a>) -> Self {
        self.rivals.push((name, case));
        self
    }

    pub fn run(self, bench: &Bench) -> Finish {
        let mut names = Vec::new();
        let mut cases = vec![self.ours];
        let limit = self.limit.map(|(name, case)| {
            cases.push(case);
            name
        });
        for (name, case) in self.rivals {
            names.push(name);
            cases.push(case);
        }
        let mut series = bench.run(&mut cases).into_iter();
        Finish {
            operation: self.operation,
            ours: series.next().expect("ours was measured"),
            limit: limit.zip(series.by_ref().take(limit.is_some().into()).next()),
            rivals: names.into_iter().zip(series).collect(),
        }
    }
}

/// The result of a race.
pub struct Finish {
    pub operation: String,
    pub ours: Series,
    pub limit: Option<(&'static str, Series)>,
    pub rivals: Vec<(&'static str, Series)>,
}

impl Finish {
    /// Returns the cost of this crate's operation as a multiple of the limit.
    pub fn over_limit(&self) -> f64 {
        self.limit.as_ref().map_or(f64::NAN, |(_, limit)| self.ours.over(limit))
    }

    /// Returns the cost of this rival as a multiple of this crate's operation.
    pub fn faster_than(&self, rival: &str) -> f64 {
        self.rivals
            .iter()
            .find(|(name, _)| *name == rival)
            .map_or(f64::NAN, |(_, series)| series.over(&self.ours))
    }

    /// Returns the fastest rival.
    pub fn best(&self) -> Option<&(&'static str, Series)> {
        self.rivals.iter().min_by(|(_, a), (_, b)| a.median().total_cmp(&b.median()))
    }
}
