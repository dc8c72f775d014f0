//! A web server that gives each request the answer that a test wrote for it, over plain HTTP on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// An answer: status and headers as sent, and the body.
pub(crate) type Answer = (&'static str, Vec<u8>);

pub(crate) struct Canned {
    pub(crate) port: u16,
}

impl Canned {
    /// Answers the GET of the references with `listing`, and each POST with `pack`.
    pub(crate) fn start(listing: Answer, pack: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (listing, pack) = (listing.clone(), pack.clone());
                std::thread::spawn(move || serve(socket, &listing, &pack));
            }
        });
        Self { port }
    }
}

fn serve(socket: TcpStream, listing: &Answer, pack: &Answer) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    loop {
        let mut head = String::new();
        while reader.read_line(&mut head).is_ok_and(|read| read > 0) && !head.ends_with("\r\n\r\n") {}
        if head.is_empty() {
            return;
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (status, answer) = if head.starts_with("GET") { listing } else { pack };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
        if socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(answer)).is_err() {
            return;
        }
    }
}

/// Git's framing: the length of the line and of its four digits, in hex.
pub(crate) fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}
