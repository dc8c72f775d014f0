//! A packed chart: tar and gzip, with helm's bounds and helm's refusals. Nothing is written anywhere, so no
//! path can lead out; links are empty files.

use super::file::File;
use crate::helm::error::Error;
use crate::helm::go::quote::quote;
use lockgate_base::archive::{Damage, Member, MemberKind, members};

/// How much a chart may hold when it is unpacked, in bytes, with the charts that are packed in it.
const UNPACKED_LIMIT: u64 = 100 * 1024 * 1024;
/// How large a file of it may be, in bytes.
pub const FILE_LIMIT: u64 = 5 * 1024 * 1024;
/// How many files a chart may have.
const FILES_LIMIT: usize = 20_000;

/// The limits for unpacking a chart and the charts in it.
#[derive(Debug)]
pub struct Bounds {
    bytes: u64,
    files: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: UNPACKED_LIMIT, files: FILES_LIMIT }
    }
}

impl Bounds {
    /// Counts a file of this size.
    pub(super) fn take(&mut self, size: u64) -> Result<(), Error> {
        let too_many = || Error::bound(format!("the chart has more than {FILES_LIMIT} files"));
        self.files = self.files.checked_sub(1).ok_or_else(too_many)?;
        self.bytes = self.bytes.checked_sub(size).ok_or_else(too_large)?;
        Ok(())
    }
}

fn too_large() -> Error {
    Error::bound(format!("decompressed chart is larger than the maximum size {UNPACKED_LIMIT}"))
}

/// The files of an archive, without the folder that they all are in.
pub(super) struct UnpackedChart(pub(super) Vec<File>);

/// The files of the chart in an archive, by their paths in it.
pub fn files_in(archive: &[u8], bounds: &mut Bounds) -> Result<Vec<File>, Error> {
    unpack(archive, bounds).map(|UnpackedChart(files)| files)
}

/// Unpacks an archive.
pub(super) fn unpack(archive: &[u8], bounds: &mut Bounds) -> Result<UnpackedChart, Error> {
    let mut files = Vec::new();
    // After a header with a wrong size, at most this many bytes are read.
    members(archive, 2 * UNPACKED_LIMIT, |member| {
        if member.form != MemberKind::Folder && !member.name.ends_with(b"/") {
            files.push(file(member, bounds)?);
        }
        Ok::<(), Error>(())
    })?;
    if files.is_empty() {
        return Err(Error::new("no files in chart archive"));
    }
    Ok(UnpackedChart(files))
}

fn file(member: &mut Member<'_>, bounds: &mut Bounds) -> Result<File, Error> {
    let path = path_in_chart(&member.name)?;
    if member.size > FILE_LIMIT {
        return Err(Error::bound(format!(
            "decompressed chart file {} is larger than the maximum file size {FILE_LIMIT}",
            quoted(&member.name)
        )));
    }
    bounds.take(member.size)?;
    let mut content = Vec::new();
    if member.form == MemberKind::File {
        // Made as large as the file only once its bytes are there.
        member.copy_to(&mut content).map_err(Damage::Broken)?;
    }
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content).into();
    Ok(File { path, content })
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::NotGzip => Self::new(damage.to_string()),
            Damage::Broken(error) => Self::new(format!("the chart archive is broken: {error}")),
        }
    }
}

/// The path of a file within the chart's own folder, or helm's refusal of it.
fn path_in_chart(name: &[u8]) -> Result<String, Error> {
    let text = String::from_utf8_lossy(name);
    let delimiter = if text.contains('\\') { '\\' } else { '/' };
    let (first, rest) = text.split_once(delimiter).unwrap_or((&text, ""));
    let rest = rest.replace(delimiter, "/");
    if rest.starts_with('/') {
        return Err(Error::new("chart illegally contains absolute paths"));
    }
    let path = clean(&rest);
    if path == "." {
        let name = quoted(name);
        return Err(Error::new(format!(
            "chart illegally contains content outside the base directory: {name}"
        )));
    }
    if path.starts_with("..") {
        return Err(Error::new("chart illegally references parent directory"));
    }
    let bytes = path.as_bytes();
    if bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && &bytes[1..3] == b":/" {
        return Err(Error::new("chart contains illegally named files"));
    }
    if first == "Chart.yaml" {
        return Err(Error::new("chart yaml not in base directory"));
    }
    Ok(path)
}

/// Go's `path.Clean` of a relative path.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

fn quoted(name: &[u8]) -> String {
    String::from_utf8_lossy(&quote(name, false)).into_owned()
}

#[cfg(test)]
mod tests;
