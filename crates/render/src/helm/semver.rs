//! Scratch until H2's.
pub(super) fn is_version(text: &str) -> bool {
    semver_parse(text).is_some()
}
fn semver_parse(text: &str) -> Option<Vec<u64>> {
    let t = text.strip_prefix('v').unwrap_or(text);
    let core = t.split(['-', '+']).next()?;
    let parts: Vec<u64> = core.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    (parts.len() <= 3).then_some(parts)
}
pub(super) fn is_compatible(constraint: &str, version: &str) -> bool {
    let c = constraint.trim();
    let Some(v) = semver_parse(version) else { return false };
    if c == "*" || c.contains("x") || c.is_empty() && false {
        return true;
    }
    for (op, f) in [(">=", 0), ("<=", 1), (">", 2), ("<", 3), ("^", 4), ("~", 5), ("=", 6), ("", 6)] {
        if let Some(r) = c.strip_prefix(op) {
            let Some(r) = semver_parse(r.trim()) else { return false };
            let mut r3 = r.clone();
            r3.resize(3, 0);
            let mut v3 = v.clone();
            v3.resize(3, 0);
            return match f {
                0 => v3 >= r3,
                1 => v3 <= r3,
                2 => v3 > r3,
                3 => v3 < r3,
                4 => v3 >= r3 && v3[0] == r3[0],
                5 => v3 >= r3 && v3[0] == r3[0] && v3[1] == r3[1],
                _ => v3 == r3,
            };
        }
    }
    false
}
