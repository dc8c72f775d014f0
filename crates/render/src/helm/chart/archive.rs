//! A packed chart: tar and gzip, with helm's bounds and helm's refusals. Nothing is written anywhere, so no
//! path can lead out; links are empty files.

use std::io::Read;

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use super::file::File;
use crate::helm::error::Error;
use crate::helm::go::quote::quote;

/// How much a chart may hold when it is unpacked, in bytes, with the charts that are packed in it.
const UNPACKED_LIMIT: u64 = 100 * 1024 * 1024;
/// How large a file of it may be, in bytes.
pub const FILE_LIMIT: u64 = 5 * 1024 * 1024;
/// How many files a chart may have.
const FILES_LIMIT: usize = 20_000;

/// What may still be unpacked of a chart and of those in it.
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
pub(super) struct Unpacked(pub(super) Vec<File>);

/// Unpacks an archive.
pub(super) fn unpack(archive: &[u8], bounds: &mut Bounds) -> Result<Unpacked, Error> {
    if !archive.starts_with(b"\x1f\x8b") {
        return Err(Error::new("gzip: invalid header"));
    }
    let broken = |error: std::io::Error| Error::new(format!("the chart archive is broken: {error}"));
    // What follows a header that lies about its size is read at most this far.
    let unzipped = GzDecoder::new(archive).take(2 * UNPACKED_LIMIT);
    let mut reader = Archive::new(unzipped);
    let mut files = Vec::new();
    for entry in reader.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        let is_header = matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader);
        if kind.is_dir() || name.ends_with(b"/") || is_header {
            continue;
        }
        let path = path_in_chart(&name)?;
        let size = entry.size();
        if size > FILE_LIMIT {
            return Err(Error::bound(format!(
                "decompressed chart file {} is larger than the maximum file size {FILE_LIMIT}",
                quoted(&name)
            )));
        }
        bounds.take(size)?;
        let mut content = Vec::new();
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            // Made as large as the file only once its bytes are there.
            (&mut entry).take(FILE_LIMIT).read_to_end(&mut content).map_err(broken)?;
            if (content.len() as u64) < size {
                return Err(Error::new("the chart archive is broken: unexpected EOF"));
            }
        }
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content).into();
        files.push(File { path, content });
    }
    if files.is_empty() {
        return Err(Error::new("no files in chart archive"));
    }
    Ok(Unpacked(files))
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
