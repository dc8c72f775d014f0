//! Reads the first part of a Git server's answer: its branches and their commits.

use std::io::{self, Read};

/// The longest list of references that is read, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Which list of packets contains the references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// The first list, as over SSH.
    First,
    /// The list after the name of the service, as over HTTP.
    Second,
}

/// The packets of the list.
pub(crate) fn packets(input: &mut impl Read, lists: Lists) -> io::Result<Vec<Vec<u8>>> {
    if lists == Lists::Second {
        while packet(input)?.is_some() {}
    }
    let mut lines = Vec::new();
    let mut total = 0;
    while let Some(line) = packet(input)? {
        total += line.len() as u64;
        if total > LIMIT {
            return Err(io::Error::other("the list of references is too long"));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// One packet of Git's protocol; `None` at the end of a list, or of the answer.
fn packet(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let digits = std::str::from_utf8(&length).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
    let length = digits.ok_or_else(|| io::Error::other("the answer is not Git's"))?;
    if length < 4 {
        return Ok(None);
    }
    let mut line = vec![0; length - 4];
    input.read_exact(&mut line)?;
    Ok(Some(line))
}

/// The branches among the listed references, each with its commit.
pub(crate) fn of(lines: &[Vec<u8>]) -> Vec<(String, String)> {
    lines.iter().filter_map(|line| branch(line)).collect()
}

/// Parses `<commit> refs/heads/<name>`. In the first line, capabilities follow after a NUL.
fn branch(line: &[u8]) -> Option<(String, String)> {
    let line = line.split(|byte| *byte == 0).next()?;
    let (commit, name) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
    Some((name.strip_prefix("refs/heads/")?.into(), commit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet_of(line: &str) -> String {
        format!("{:04x}{line}", line.len() + 4)
    }

    #[test]
    fn references_are_read_from_packets() {
        let list = [
            packet_of("1111111111 HEAD\0multi_ack symref=HEAD:refs/heads/x/y\n"),
            packet_of("2222222222 refs/heads/x/y\n"),
            packet_of("33 refs/tags/v1\n"),
            "0000".to_owned(),
        ]
        .concat();
        let over_http = packet_of("# service=git-upload-pack\n") + "0000" + &list;
        for (text, lists) in [(&list, Lists::First), (&over_http, Lists::Second)] {
            let branches = of(&packets(&mut text.as_bytes(), lists).unwrap());
            assert_eq!(branches, [("x/y".to_owned(), "2222222222".to_owned())], "{lists:?}");
        }
        assert!(packets(&mut "http".as_bytes(), Lists::First).is_err());
        assert_eq!(packets(&mut "".as_bytes(), Lists::First).unwrap(), Vec::<Vec<u8>>::new());
    }
}
