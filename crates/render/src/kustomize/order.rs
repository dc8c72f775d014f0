//! The order of the resulting objects.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::config::{ORDER_FIRST, ORDER_LAST, kind_sort_key};
use super::file::SortOptions;
use super::id::KindRef;
use super::res::Res;
use super::resmap::ResMap;
use crate::error::{Fault, Result};

/// Orders the result by `sortOptions`.
pub(crate) fn apply(options: &SortOptions, map: &mut ResMap) -> Result<()> {
    match (options.order.as_str(), &options.legacy) {
        ("fifo", None) => Ok(()),
        ("fifo", Some(_)) => {
            let message = "is set, but the order is 'fifo' and not 'legacy'";
            Err(Fault::new(message).in_field("sortOptions.legacySortOptions").into())
        }
        ("legacy", None) => {
            by_default(map);
            Ok(())
        }
        ("legacy", Some(lists)) => {
            let first: Vec<&str> = lists.order_first.iter().map(String::as_str).collect();
            let last: Vec<&str> = lists.order_last.iter().map(String::as_str).collect();
            legacy(map, &first, &last);
            Ok(())
        }
        (other, _) => {
            let message = format!("expected fifo or legacy, found '{other}'");
            Err(Fault::new(message).in_field("sortOptions.order").into())
        }
    }
}

/// The order of the command line: by kind, then namespace, then name.
pub(crate) fn by_default(map: &mut ResMap) {
    legacy(map, &ORDER_FIRST, &ORDER_LAST);
}

fn legacy(map: &mut ResMap, first: &[&str], last: &[&str]) {
    let mut ranks: HashMap<&str, isize> = HashMap::new();
    for (at, kind) in first.iter().enumerate() {
        ranks.insert(kind, at.cast_signed() - first.len().cast_signed());
    }
    for (at, kind) in last.iter().enumerate() {
        ranks.insert(kind, at.cast_signed() + 1);
    }
    map.items_mut().sort_by_cached_key(|res| Key::new(res, &ranks));
}

#[derive(PartialEq, Eq)]
struct Key {
    rank: isize,
    kind: String,
    /// Two Namespace kinds, one of them the core one, are in reverse order.
    is_namespace: bool,
    is_core: bool,
    rest: String,
}

impl Key {
    fn new(res: &Res, ranks: &HashMap<&str, isize>) -> Self {
        let gvk: KindRef<'_> = res.gvk();
        let or = |text: &str, absent: &str| if text.is_empty() { absent.to_owned() } else { text.to_owned() };
        Self {
            rank: ranks.get(gvk.kind).copied().unwrap_or_default(),
            kind: kind_sort_key(gvk),
            is_namespace: gvk.kind == "Namespace",
            is_core: gvk.group.is_empty(),
            rest: format!("{}|{}", or(&res.namespace(), "~X"), or(&res.name(), "~N")),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_kind = if self.is_namespace && other.is_namespace && (self.is_core || other.is_core) {
            other.kind.cmp(&self.kind)
        } else {
            self.kind.cmp(&other.kind)
        };
        self.rank.cmp(&other.rank).then(by_kind).then_with(|| self.rest.cmp(&other.rest))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
