//! A peer that misbehaves: it listens on loopback and treats each connection as its variant says.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The treatment of a connection. Some variants pass bytes to a real server at the port.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// Accepts, and sends nothing.
    Silent,
    /// Sends one byte of an endless greeting every 50 ms.
    Drip,
    /// Sends bytes that no protocol knows, then closes.
    Garbage,
    /// Passes this many bytes of the server, and then nothing more.
    BlackholeAfter { port: u16, bytes: usize },
    /// Passes this many bytes of the server, and then cuts the connection.
    CutAfter { port: u16, bytes: usize },
    /// Passes the bytes of the server one by one, with a pause after each.
    Throttle { port: u16 },
}

pub(crate) struct Peer {
    pub(crate) port: u16,
    ended: Arc<AtomicBool>,
}

impl Peer {
    pub(crate) fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let flag = Arc::clone(&flag);
                std::thread::spawn(move || treat(socket, mode, &flag));
            }
        });
        Self { port, ended }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn treat(mut socket: TcpStream, mode: Mode, ended: &AtomicBool) {
    let pause = || std::thread::sleep(Duration::from_millis(50));
    let upstream = match mode {
        Mode::Silent => {
            while !ended.load(Ordering::Relaxed) {
                pause();
            }
            return;
        }
        Mode::Drip => {
            while !ended.load(Ordering::Relaxed) && socket.write_all(b"x").is_ok() {
                pause();
            }
            return;
        }
        Mode::Garbage => {
            let _ = socket.write_all(&[0, 255, b'\r', b'\n', 7, 0, 0, 0]);
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
        Mode::BlackholeAfter { port, .. } | Mode::CutAfter { port, .. } | Mode::Throttle { port } => port,
    };
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
    let (mut from, mut to) = (socket.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut passed = 0;
    let mut buffer = [0; 1024];
    while let Ok(read) = server.read(&mut buffer) {
        if read == 0 {
            break;
        }
        let chunk = &buffer[..read];
        let sent = match mode {
            Mode::BlackholeAfter { bytes, .. } if passed + read > bytes => {
                while !ended.load(Ordering::Relaxed) {
                    pause();
                }
                break;
            }
            Mode::CutAfter { bytes, .. } if passed + read > bytes => break,
            Mode::Throttle { .. } => chunk.iter().try_for_each(|byte| {
                pause();
                socket.write_all(&[*byte])
            }),
            _ => socket.write_all(chunk),
        };
        passed += read;
        if sent.is_err() {
            break;
        }
    }
    let _ = socket.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
