//! Chance that a seed decides: SplitMix64.

/// A source of numbers. The same seed gives the same numbers.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index of a list of this length, which is not 0.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// One of several; `None` if there is none.
    pub(crate) fn pick<'o, T>(&mut self, of: &'o [T]) -> Option<&'o T> {
        if of.is_empty() { None } else { of.get(self.index(of.len())) }
    }

    /// A time between 0 and `longest` milliseconds. Short times are more likely.
    pub(crate) fn millis(&mut self, longest: u64) -> std::time::Duration {
        let bound = self.below(longest.max(1)) + 1;
        std::time::Duration::from_millis(self.below(bound))
    }
}
