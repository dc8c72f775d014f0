//! Paths with slashes, as Go's `path`; its `filepath` is the same on Linux.

use crate::helm::function::Function;
use crate::helm::value::Type as T;

pub(super) const TABLE: &[Function] = &[
    Function::new("base", &[T::String], |_, a| Ok(base(a.bytes(0)).into())),
    Function::new("osBase", &[T::String], |_, a| Ok(base(a.bytes(0)).into())),
    Function::new("dir", &[T::String], |_, a| Ok(dir(a.bytes(0)).into())),
    Function::new("osDir", &[T::String], |_, a| Ok(dir(a.bytes(0)).into())),
    Function::new("clean", &[T::String], |_, a| Ok(clean(a.bytes(0)).into())),
    Function::new("osClean", &[T::String], |_, a| Ok(clean(a.bytes(0)).into())),
    Function::new("ext", &[T::String], |_, a| Ok(extension(a.bytes(0)).to_vec().into())),
    Function::new("osExt", &[T::String], |_, a| Ok(extension(a.bytes(0)).to_vec().into())),
    Function::new("isAbs", &[T::String], |_, a| Ok(a.bytes(0).starts_with(b"/").into())),
    Function::new("osIsAbs", &[T::String], |_, a| Ok(a.bytes(0).starts_with(b"/").into())),
];

/// `path.Clean`: the shortest equivalent path.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let is_rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (is_rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

fn base(path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return b".".to_vec();
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    let name = path[..end].rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if name.is_empty() { b"/".to_vec() } else { name.to_vec() }
}

fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    clean(&path[..end])
}

fn extension(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.iter().rposition(|byte| *byte == b'.').map_or(&[], |at| &name[at..])
}
