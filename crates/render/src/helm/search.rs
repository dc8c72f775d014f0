//! Compiled regular expressions that count the work of their searches. The work of other engines shows
//! neither in the text nor in the match: one pattern looks at the whole rest of a text for each match of one
//! character, another one at all of its states for each byte.
//!
//! An automaton that is built as far as a text leads finds the end of a match, another one for the reversed
//! pattern its beginning. Groups are found within the match by a simulation of all states.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::error::Error;

/// The most memory of the states of a pattern, in bytes.
const SIZE_LIMIT: usize = 8 << 20;
/// The deepest nesting of a pattern's groups and repetitions.
const NEST_LIMIT: u32 = 10_000;
/// The memory of the built part of an automaton, in bytes, unless a large pattern needs more.
const BUILT_LIMIT: usize = 512 << 10;
/// The bytes of a text that count for a step.
const BYTES_PER_STEP: usize = 64;
/// The states of a pattern that count for a step, where all of them are looked at.
const STATES_PER_STEP: usize = 32;
/// The number of patterns that are kept, and their memory in bytes: templates use the same ones again and
/// again.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 32 << 20;

/// Counts steps of a search. Its error ends the search.
pub type Spend<'s> = &'s mut dyn FnMut(usize) -> Result<(), Error>;

/// A range of bytes: the first one, and the one after the last.
pub type Range = (usize, usize);

/// A pattern whose states would take more memory than a pattern may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// A compiled pattern, with the parts of its automata that earlier searches have built.
pub struct Pattern {
    /// The names of the groups in order; empty for groups without a name.
    pub names: Vec<String>,
    ends: RefCell<Automaton>,
    beginnings: RefCell<Automaton>,
    groups: PikeVM,
}

impl Pattern {
    /// Compiles a pattern in the syntax of the `regex` crate.
    pub fn new(pattern: &str, names: Vec<String>) -> Result<Self, TooLarge> {
        let compiled = |config: thompson::Config| {
            let config = config.utf8(false).nfa_size_limit(Some(SIZE_LIMIT));
            let syntax = syntax::Config::new().utf8(false).nest_limit(NEST_LIMIT);
            let nfa = thompson::Compiler::new().syntax(syntax).configure(config).build(pattern);
            nfa.map_err(|_| TooLarge)
        };
        let forward = compiled(thompson::Config::new())?;
        let reversed = thompson::Config::new().reverse(true).which_captures(WhichCaptures::None);
        Ok(Self {
            names,
            ends: RefCell::new(Automaton::new(&forward, MatchKind::LeftmostFirst)?),
            beginnings: RefCell::new(Automaton::new(&compiled(reversed)?, MatchKind::All)?),
            groups: PikeVM::new_from_nfa(forward).map_err(|_| TooLarge)?,
        })
    }

    /// The leftmost match at a place or behind it. The text is UTF-8.
    pub fn find_at(&self, text: &[u8], at: usize, spend: Spend<'_>) -> Result<Option<Range>, Error> {
        let (mut ends, mut beginnings) = (self.ends.borrow_mut(), self.beginnings.borrow_mut());
        let mut from = at;
        while let Some(end) = ends.end(text, from, spend)? {
            let start = beginnings.beginning(text, from, end, spend)?.unwrap_or(end);
            let is_within_character = text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80);
            // `\B` holds between the bytes of a character as well.
            if start < end || !is_within_character {
                return Ok(Some((start, end)));
            }
            from = end + 1;
        }
        Ok(None)
    }

    /// What finds the groups of this pattern's matches.
    pub fn groups(&self) -> Groups<'_> {
        Groups { pattern: self, found: Vec::new(), cache: None }
    }

    /// How many groups it has, the whole match included.
    fn group_count(&self) -> usize {
        self.groups.get_nfa().group_info().all_group_len()
    }

    /// The most memory that it takes, in bytes.
    fn memory(&self) -> usize {
        self.ends.borrow().memory() + self.beginnings.borrow().memory()
    }
}

/// Finds the groups of matches of one pattern.
pub struct Groups<'p> {
    pattern: &'p Pattern,
    found: Vec<Option<NonMaxUsize>>,
    cache: Option<pikevm::Cache>,
}

impl Groups<'_> {
    /// The memory that the search takes, in bytes: each state notes both ends of each group, for this byte
    /// and for the next one.
    pub fn memory(&self) -> usize {
        let count = self.pattern.group_count();
        let notes = if count == 1 { 0 } else { 4 * size_of::<Option<NonMaxUsize>>() * count };
        self.pattern.groups.get_nfa().states().len().saturating_mul(notes)
    }

    /// The groups of a match, the first of which is the match.
    pub fn of(
        &mut self,
        text: &[u8],
        (start, end): Range,
        spend: Spend<'_>,
    ) -> Result<Vec<Option<Range>>, Error> {
        let (vm, count) = (&self.pattern.groups, self.pattern.group_count());
        if count == 1 {
            return Ok(vec![Some((start, end))]);
        }
        let states = vm.get_nfa().states().len().saturating_mul(1 + count / 8);
        spend((end - start + 1).saturating_mul(1 + states / STATES_PER_STEP))?;
        let cache = self.cache.get_or_insert_with(|| vm.create_cache());
        self.found.clear();
        self.found.resize(2 * count, None);
        let input = Input::new(text).span(start..end).anchored(Anchored::Yes);
        vm.search_slots(cache, &input, &mut self.found);
        let ends = self.found.chunks_exact(2);
        Ok(ends.map(|ends| Some((ends[0]?.get(), ends[1]?.get()))).collect())
    }
}

/// An automaton of which a search builds the states that it comes to.
struct Automaton {
    dfa: DFA,
    cache: Cache,
    /// The transitions that were built from states that need a closer look, which do not show whether they
    /// are built.
    built: HashSet<(LazyStateID, u16)>,
    /// How many times all that was built had been dropped when `built` was last looked at.
    dropped: usize,
}

/// The end of a text in the place of a byte.
const END: u16 = 256;
/// The beginning of a search behind a byte, or at the beginning of a text, in the place of a byte.
const BEGINNING: u16 = 512;

impl Automaton {
    fn new(nfa: &NFA, kind: MatchKind) -> Result<Self, TooLarge> {
        let config =
            Config::new().match_kind(kind).cache_capacity(BUILT_LIMIT).skip_cache_capacity_check(true);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa.clone()).map_err(|_| TooLarge)?;
        let cache = dfa.create_cache();
        Ok(Self { dfa, cache, built: HashSet::new(), dropped: 0 })
    }

    fn memory(&self) -> usize {
        let built = self.dfa.get_config().get_minimum_cache_capacity(self.dfa.get_nfa());
        self.dfa.get_nfa().memory_usage() + built.unwrap_or_default().max(BUILT_LIMIT)
    }

    /// The end of the leftmost match that begins at a place or behind it.
    fn end(&mut self, text: &[u8], from: usize, spend: Spend<'_>) -> Result<Option<usize>, Error> {
        let input = Input::new(text).span(from..text.len());
        let before = from.checked_sub(1).map_or(END, |before| u16::from(text[before]));
        self.count(LazyStateID::default(), BEGINNING + before, spend)?;
        let mut state = self.dfa.start_state_forward(&mut self.cache, &input).map_err(|_| gave_up())?;
        let mut found = None;
        for (at, byte) in text.iter().enumerate().skip(from) {
            state = self.after(state, at, *byte, spend)?;
            // A match shows at the byte behind it.
            if state.is_match() {
                found = Some(at);
            } else if state.is_dead() {
                return Ok(found);
            }
        }
        state = self.at_end(state, spend)?;
        Ok(if state.is_match() { Some(text.len()) } else { found })
    }

    /// The first beginning of a match that ends at `end`, no further back than `from`.
    fn beginning(
        &mut self,
        text: &[u8],
        from: usize,
        end: usize,
        spend: Spend<'_>,
    ) -> Result<Option<usize>, Error> {
        let input = Input::new(text).span(from..end).anchored(Anchored::Yes);
        let behind = text.get(end).map_or(END, |byte| u16::from(*byte));
        self.count(LazyStateID::default(), BEGINNING + behind, spend)?;
        let mut state = self.dfa.start_state_reverse(&mut self.cache, &input).map_err(|_| gave_up())?;
        let mut found = None;
        for at in (from..end).rev() {
            state = self.after(state, at, text[at], spend)?;
            if state.is_match() {
                found = Some(at + 1);
            } else if state.is_dead() {
                return Ok(found);
            }
        }
        state = match from.checked_sub(1) {
            Some(before) => self.after(state, before, text[before], spend)?,
            None => self.at_end(state, spend)?,
        };
        Ok(if state.is_match() { Some(from) } else { found })
    }

    /// The state after the byte at a place.
    fn after(
        &mut self,
        state: LazyStateID,
        at: usize,
        byte: u8,
        spend: Spend<'_>,
    ) -> Result<LazyStateID, Error> {
        if at.is_multiple_of(BYTES_PER_STEP) {
            spend(1)?;
        }
        if state.is_tagged() {
            self.count(state, u16::from(byte), spend)?;
        } else {
            let next = self.dfa.next_state_untagged(&self.cache, state, byte);
            if !next.is_unknown() {
                return Ok(next);
            }
            spend(self.steps())?;
        }
        self.dfa.next_state(&mut self.cache, state, byte).map_err(|_| gave_up())
    }

    fn at_end(&mut self, state: LazyStateID, spend: Spend<'_>) -> Result<LazyStateID, Error> {
        self.count(state, END, spend)?;
        self.dfa.next_eoi_state(&mut self.cache, state).map_err(|_| gave_up())
    }

    /// Counts a transition that is not built yet.
    fn count(&mut self, state: LazyStateID, byte: u16, spend: Spend<'_>) -> Result<(), Error> {
        let dropped = self.cache.clear_count();
        if dropped != self.dropped {
            self.dropped = dropped;
            self.built.clear();
        }
        if self.built.insert((state, byte)) { spend(self.steps()) } else { Ok(()) }
    }

    /// The steps that a transition counts for: it looks at all states of the pattern at most.
    fn steps(&self) -> usize {
        1 + self.dfa.get_nfa().states().len() / STATES_PER_STEP
    }
}

/// Only an automaton that is told to give up does.
fn gave_up() -> Error {
    Error::bound("the search for a pattern was given up")
}

/// The patterns that a render has used last. They are of one render, so that its cost does not depend on what
/// was rendered before.
#[derive(Default)]
pub struct Patterns(VecDeque<(Vec<u8>, Rc<Pattern>)>);

impl Patterns {
    /// The pattern that was kept under its source.
    pub fn get(&self, source: &[u8]) -> Option<Rc<Pattern>> {
        self.0.iter().find(|(known, _)| known == source).map(|(_, pattern)| Rc::clone(pattern))
    }

    /// Keeps a pattern in the place of the oldest ones.
    pub fn keep(&mut self, source: &[u8], pattern: &Rc<Pattern>) {
        let mut bytes = self.0.iter().map(|(_, kept)| kept.memory()).sum::<usize>() + pattern.memory();
        while self.0.len() >= KEPT || bytes > KEPT_BYTES {
            let Some((_, oldest)) = self.0.pop_front() else { break };
            bytes -= oldest.memory();
        }
        self.0.push_back((source.to_vec(), Rc::clone(pattern)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matches of a pattern in a text, the groups of each, and the steps of all.
    fn found(pattern: &str, text: &str) -> (Vec<Vec<Option<Range>>>, usize) {
        let pattern = Pattern::new(pattern, Vec::new()).unwrap();
        let (mut steps, mut at, mut matches) = (0, 0, Vec::new());
        let mut groups = pattern.groups();
        let mut spend = |count: usize| {
            steps += count;
            Ok(())
        };
        while let Some(range) = pattern.find_at(text.as_bytes(), at, &mut spend).unwrap() {
            matches.push(groups.of(text.as_bytes(), range, &mut spend).unwrap());
            at = range.1 + usize::from(range.0 == range.1);
            if at > text.len() {
                break;
            }
        }
        (matches, steps)
    }

    #[test]
    fn matches_are_those_of_the_regex_crate() {
        let patterns = [
            "a",
            "a*",
            "a+?",
            "",
            "(a)|(b)",
            "(a|ab)(c|bcd)(d*)",
            r"\Ab",
            r"b\z",
            "(?m:^)b",
            "(?m:$)",
            r"(?-u:\b)\w+",
            "x*|b",
            "[^a]",
            "(?i:A)",
            "(a)?(b)?",
            ".*?b",
            ".*[^A-Z]|[A-Z]",
            "é",
            "(?s:.)",
            "(b)*a",
        ];
        let texts = ["", "a", "b", "ab", "abcd", "aab ba\nb", "ébéa", "AAAA", "xbxxb", "日本a"];
        for pattern in patterns {
            let known = regex::bytes::Regex::new(pattern).unwrap();
            for text in texts {
                let (matches, _) = found(pattern, text);
                let mut expected: Vec<Vec<Option<Range>>> = Vec::new();
                let (mut at, mut locations) = (0, known.capture_locations());
                while let Some(matched) = known.captures_read_at(&mut locations, text.as_bytes(), at) {
                    at = matched.end() + usize::from(matched.is_empty());
                    // A place within a character is not looked at, as Go does not.
                    if text.is_char_boundary(matched.start()) {
                        expected.push((0..locations.len()).map(|group| locations.get(group)).collect());
                    }
                    if at > text.len() {
                        break;
                    }
                }
                assert_eq!(matches, expected, "{pattern:?} in {text:?}");
            }
        }
    }

    /// Each doubling of the text doubles the steps, or, where each match looks at the rest, makes them four
    /// times as many.
    #[test]
    fn steps_grow_with_what_a_search_looks_at() {
        let text = "A".repeat(1 << 12);
        let steps = |pattern: &str, length: usize| found(pattern, &text[..length]).1;
        for (pattern, factor) in [("B", 2), ("A", 2), ("(A)", 2), (".*[^A-Z]|[A-Z]", 4), ("(?:.*B)?", 4)] {
            let (half, whole) = (steps(pattern, 1 << 11), steps(pattern, 1 << 12));
            let (least, most) = (half * factor * 3 / 4, half * factor * 5 / 4);
            assert!((least..=most).contains(&whole), "{pattern}: {half}, {whole}");
        }
        // A byte is looked at by as many states as there are repetitions, once the automaton grows too large.
        let numbers = std::iter::successors(Some(1_u32), |number| {
            Some(number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        });
        let text: String = numbers.take(1 << 12).map(|at| if at >> 31 == 0 { 'a' } else { 'b' }).collect();
        let (small, large) = (found("[ab]*a[ab]{20}c", &text).1, found("[ab]*a[ab]{200}c", &text).1);
        assert!(large > 2 * small && large > 4 * text.len(), "{small}, {large}");
    }

    #[test]
    fn what_a_search_may_not_spend_ends_it() {
        let pattern = Pattern::new(".*[^A-Z]|[A-Z]", Vec::new()).unwrap();
        let text = "A".repeat(1 << 20);
        let mut left = 1000_usize;
        let mut spend = |count: usize| {
            left = left.checked_sub(count).ok_or_else(|| Error::bound("spent"))?;
            Ok(())
        };
        assert_eq!(pattern.find_at(text.as_bytes(), 0, &mut spend).unwrap_err().text(), "spent");
    }

    #[test]
    fn the_patterns_that_were_used_last_are_kept_within_their_memory() {
        let mut patterns = Patterns::default();
        let keep = |patterns: &mut Patterns, source: &str| {
            let pattern = Rc::new(Pattern::new(source, Vec::new()).unwrap());
            patterns.keep(source.as_bytes(), &pattern);
        };
        (0..=KEPT).for_each(|at| keep(&mut patterns, &format!("a{at}")));
        assert!(patterns.get(b"a0").is_none() && patterns.get(b"a1").is_some());
        assert_eq!(patterns.0.len(), KEPT);
        (0..KEPT).for_each(|at| keep(&mut patterns, &format!("(?:[ab]{{200}}){{200}}{at}")));
        let held: usize = patterns.0.iter().map(|(_, pattern)| pattern.memory()).sum();
        assert!(patterns.0.len() < KEPT && held <= KEPT_BYTES, "{} hold {held}", patterns.0.len());
    }
}
