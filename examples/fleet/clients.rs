//! Clients that come, browse with a cookie jar, and leave; and the numbers that they draw.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use session_affinity::UnixTime;

/// SplitMix64: small, fast and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Draws a number from `0..n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }
}

/// The affinity cookie, as a browser keeps it.
#[derive(Default)]
pub struct Jar {
    headers: HeaderMap,
    until: UnixTime,
}

impl Jar {
    /// Returns the header fields of the next request. An expired cookie is thrown away.
    pub fn headers(&mut self, now: UnixTime) -> &HeaderMap {
        if self.until <= now {
            self.headers.clear();
        }
        &self.headers
    }

    /// Takes the cookie from a response, if there is one.
    pub fn take(&mut self, response: &HeaderMap, now: UnixTime) -> Option<()> {
        let line = response.get(SET_COOKIE)?.to_str().ok()?;
        let mut parts = line.split("; ");
        let cookie = HeaderValue::from_str(parts.next()?).ok()?;
        let max_age = parts.find_map(|part| part.strip_prefix("Max-Age="))?.parse().ok()?;
        self.until = now.saturating_add(max_age);
        self.headers.insert(COOKIE, cookie);
        Some(())
    }
}

/// A client on the site.
pub struct Client {
    pub jar: Jar,
    random: Random,
    next: u64,
}

/// The mean number of pages that a client looks at, and the least and most seconds at each.
const PAGES: u64 = 30;
const LOOKS: (u64, u64) = (15, 85);

impl Client {
    pub fn new(seed: u64, second: u64) -> Self {
        Self { jar: Jar::default(), random: Random::new(seed), next: second }
    }

    /// Returns whether the client requests a page by this second, and if so plans the next one.
    pub fn asks(&mut self, second: u64) -> bool {
        let asks = self.next <= second;
        if asks {
            self.next += LOOKS.0 + self.random.below(LOOKS.1 - LOOKS.0 + 1);
        }
        asks
    }

    /// Waits for the answer; the looks begin after it.
    pub fn wait(&mut self, seconds: u64) {
        self.next += seconds;
    }

    /// Returns whether that was the last page.
    pub fn leaves(&mut self) -> bool {
        self.random.below(PAGES) == 0
    }
}

/// The arrivals per hour at the beginning of each hour of the day.
const ARRIVALS: [u64; 25] = [
    330, 260, 210, 190, 190, 220, 280, 370, 470, 550, 600, 630, 650, 650, 640, 640, 660, 700, 760,
    820, 840, 780, 640, 470, 330,
];

/// The door through which clients arrive.
pub struct Door {
    random: Random,
}

impl Door {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// Returns the clients on the site at midnight: as many as arrive during one stay.
    pub fn at_midnight(&mut self) -> Vec<Client> {
        let stay = PAGES * (LOOKS.0 + LOOKS.1) / 2;
        (0..ARRIVALS[0] * stay / 3_600)
            .map(|_| Client::new(self.random.draw(), self.random.below(LOOKS.1)))
            .collect()
    }

    /// Returns the client that arrives in this second, if one does.
    pub fn arrivals(&mut self, second: u64) -> Option<Client> {
        let hour = usize::try_from(second / 3_600).unwrap_or(0).min(ARRIVALS.len() - 2);
        let past = second % 3_600;
        // The arrivals per hour, interpolated between this hour and the next, times 3600.
        let rate = ARRIVALS[hour] * (3_600 - past) + ARRIVALS[hour + 1] * past;
        (self.random.below(3_600 * 3_600) < rate).then(|| Client::new(self.random.draw(), second))
    }
}
