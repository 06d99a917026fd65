//! The fuzzer's bytes, read as choices.

use super::support::Chance;

/// Each choice takes as few bytes as it needs from the front. When they are used up, every
/// choice is the first one.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl<'a> Choices<'a> {
    /// As many bytes, or what is left.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Up to this many bytes; how many is chosen too.
    pub(crate) fn some_bytes(&mut self, most: usize) -> &'a [u8] {
        let count = self.below(most + 1);
        self.bytes(count)
    }

    /// A short text, most often of pieces that mean something in a header or in a name.
    pub(crate) fn text(&mut self) -> String {
        const PIECES: [&str; 20] = [
            "a",
            "Z9",
            "-",
            ".",
            "_",
            "/",
            "~",
            "%20",
            "example",
            "",
            ";",
            "; Domain=evil.example",
            "=",
            ",",
            " ",
            "\t",
            "\r\n",
            "\"",
            "\u{e4}",
            "\0",
        ];
        let mut text = String::new();
        for _ in 0..self.below(5) {
            match self.below(16) {
                0 => text += &String::from_utf8_lossy(self.some_bytes(20)),
                1 => text += &self.one_of(&PIECES).repeat(self.below(300)),
                2..6 => text += self.one_of(&PIECES),
                _ => text += self.one_of(&PIECES[..9]),
            }
        }
        text
    }

    fn of_bytes(&mut self, count: usize) -> u64 {
        self.bytes(count).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Chance for Choices<'_> {
    fn next(&mut self) -> u64 {
        self.of_bytes(8)
    }

    fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }

    fn number(&mut self, below: u64) -> u64 {
        let bits = u64::BITS - (below - 1).leading_zeros();
        self.of_bytes(bits.div_ceil(8) as usize) % below
    }

    /// An unlikely event needs a byte of its own: zero says no.
    fn percent(&mut self, percent: u64) -> bool {
        self.number(100) >= 100 - percent
    }
}
