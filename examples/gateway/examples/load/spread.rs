//! Medians, and how far they can be trusted.

/// The median of some values, and its spread.
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    /// The quartiles of the values: half of them lie between.
    pub quartiles: (f64, f64),
    /// The interval that has the true median with a probability of 95 %, whatever the values'
    /// distribution: it is bounded by two of them, by rank.
    pub interval: (f64, f64),
}

impl Spread {
    /// The values are not empty.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let at = |place: f64| {
            let (below, above) = (place.floor().max(0.0) as usize, place.ceil().max(0.0) as usize);
            (values[below.min(last)] + values[above.min(last)]) / 2.0
        };
        let middle = last as f64 / 2.0;
        // Of the number of values below the true median, 1.96 standard deviations.
        let reach = (0.98 * (values.len() as f64).sqrt()).ceil();
        Self {
            median: at(middle),
            quartiles: (at(middle / 2.0), at(middle * 1.5)),
            interval: (at((middle - reach).floor()), at((middle + reach).ceil())),
        }
    }

    /// Returns the interval, wider by this on both sides.
    pub fn widened(self, by: f64) -> Self {
        let (low, high) = self.interval;
        Self { interval: (low - by, high + by), ..self }
    }

    /// Returns the spread of a whole of which this is a part with this share; the rest costs the same
    /// on both sides of the ratio.
    pub fn diluted(self, share: f64) -> Self {
        let whole = |ratio: f64| 1.0 + (ratio - 1.0) * share;
        let both = |(low, high)| (whole(low), whole(high));
        Self {
            median: whole(self.median),
            quartiles: both(self.quartiles),
            interval: both(self.interval),
        }
    }

    /// Returns the verdict: no median in the interval may tell otherwise.
    pub fn verdict(self, most: f64) -> &'static str {
        match self.interval {
            (_, high) if high <= most => "met",
            (low, _) if low > most => "MISSED",
            _ => "undecided: the spread covers the budget",
        }
    }
}

/// What a request cost at each proxy, round by round.
pub struct Costs {
    pub names: Vec<String>,
    /// By proxy, then by round.
    values: Vec<Vec<f64>>,
}

impl Costs {
    pub fn new(names: Vec<String>) -> Self {
        let values = vec![Vec::new(); names.len()];
        Self { names, values }
    }

    pub fn push(&mut self, proxy: usize, cost: f64) {
        self.values[proxy].push(cost);
    }

    /// Returns the number of whole rounds.
    pub fn rounds(&self) -> usize {
        self.values.iter().map(Vec::len).min().unwrap_or(0)
    }

    pub fn of(&self, name: &str) -> Option<Spread> {
        Some(Spread::of(self.series(name)?))
    }

    /// Returns the ratio of two proxies, each of a round's two costs, since the machine changes from
    /// round to round.
    pub fn ratio(&self, above: &str, below: &str) -> Option<Spread> {
        let (above, below) = (self.series(above)?, self.series(below)?);
        Some(Spread::of(above.iter().zip(&below).map(|(above, below)| above / below).collect()))
    }

    /// `mean off` is the mean of the two gateways without affinity, one on each side of the others.
    fn series(&self, name: &str) -> Option<Vec<f64>> {
        if name == "mean off" {
            let (one, other) = (self.series("off")?, self.series("off again")?);
            return Some(one.iter().zip(&other).map(|(one, other)| (one + other) / 2.0).collect());
        }
        let place = self.names.iter().position(|known| known == name)?;
        let rounds = self.rounds();
        (rounds > 0).then(|| self.values[place][..rounds].to_vec())
    }
}

/// Returns the places of a round, in an order that is drawn for it: so each proxy follows each other
/// one as often, and finds the caches in the same state.
pub fn turns(round: u64, count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    // SplitMix64 of the round.
    places.sort_by_cached_key(|place| {
        let mut x = (round * 64 + *place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    });
    places
}
