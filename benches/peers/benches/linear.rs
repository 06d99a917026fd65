//! The choice that doors have replaced: a weighted rendezvous that looks at every endpoint, mostly
//! without a logarithm. Bounds from a table make the winner certain among the first 64; of the
//! others those without a chance are ruled out by one comparison of hashes each.

use session_affinity::{EndpointId, Health};

use crate::scene::{Mix, mix};

const FEW: usize = 64;

pub struct Linear {
    ids: Vec<u64>,
    /// In hundredths, 0 for the unhealthy.
    weights: Vec<u8>,
    /// For the first 11 bits of a mantissa the least of -log2(mantissa / 2) in that cell, with 16
    /// fractional bits.
    cells: Vec<u16>,
    /// 1 / weight with 24 fractional bits.
    reciprocals: Vec<u32>,
}

impl Linear {
    pub fn new(count: usize, mix: Mix) -> Self {
        let id = |number| EndpointId::new("eu", &format!("eu-{number}")).as_u64();
        let weight = |number| match mix.health(number) {
            Health::Healthy => mix.weight(number) as u8,
            _ => 0,
        };
        let cell = |cell: u32| ((2_049.0 + f64::from(cell)) / 4_096.0).log2() * -65_536.0;
        Self {
            ids: (0..count).map(id).collect(),
            weights: (0..count).map(weight).collect(),
            cells: (0..2_048).map(|it| (cell(it) - 1.0).max(0.0) as u16).collect(),
            reciprocals: (0..256_u32)
                .map(|it| (100_u32 << 24).checked_div(it).unwrap_or(0))
                .collect(),
        }
    }

    pub fn choose(&self, seed: u64) -> Option<usize> {
        let few = self.ids.len().min(FEW);
        let certain = self.among_few(seed, few);
        if self.ids.len() == few && certain.is_some() {
            return certain;
        }
        let mut best = match certain {
            Some(place) => Some((self.score(seed, place), place)),
            None => (0..few).map(|place| (self.score(seed, place), place)).reduce(better),
        };
        let bar = |best: Option<(f64, usize)>| match best {
            Some((score, _)) => ((-score * 100.0).exp() * 1.844_674e19) as u64,
            None => 0,
        };
        let mut least = bar(best);
        for (place, id) in self.ids.iter().enumerate().skip(few) {
            if mix(seed ^ id) >= least {
                best = best.into_iter().chain([(self.score(seed, place), place)]).reduce(better);
                least = bar(best);
            }
        }
        best.filter(|(score, _)| score.is_finite()).map(|(_, place)| place)
    }

    fn among_few(&self, seed: u64, few: usize) -> Option<usize> {
        let (mut least, mut second, mut winner) = (u64::MAX, u64::MAX, 0);
        for (place, (id, weight)) in self.ids[..few].iter().zip(&self.weights[..few]).enumerate() {
            let bound =
                if *weight == 0 { u64::MAX } else { self.at_least(mix(seed ^ id), *weight) };
            second = second.min(bound.max(least));
            winner = if bound < least { place } else { winner };
            least = least.min(bound);
        }
        let reach = 49 * (u64::from(self.reciprocals[usize::from(self.weights[winner])]) + 1);
        let at_most = least.saturating_add(reach).saturating_add(least >> 24);
        (least != u64::MAX && at_most < second).then_some(winner)
    }

    fn at_least(&self, x: u64, weight: u8) -> u64 {
        let zeros = (x | 1).leading_zeros();
        let cell = (x << zeros) >> 52 & 0x7ff;
        (u64::from(zeros) << 16 | u64::from(self.cells[cell as usize]))
            * u64::from(self.reciprocals[usize::from(weight)])
    }

    /// Returns the exact score of an endpoint, which few are asked for.
    fn score(&self, seed: u64, place: usize) -> f64 {
        let x = (mix(seed ^ self.ids[place]) as f64 + 0.5) / 1.844_674_407_370_955_2e19;
        -x.ln() / f64::from(self.weights[place])
    }
}

fn better(one: (f64, usize), other: (f64, usize)) -> (f64, usize) {
    if other.0 < one.0 { other } else { one }
}
