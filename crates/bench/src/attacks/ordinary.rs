//! What an ordinary client does.

use std::io::{Error, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::clients::post;
use super::server::Server;

/// Publishes on a new connection and waits for the acknowledgement.
pub(super) fn publish(server: &Server, channel: &str, payload: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(&server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.write_all(&post(channel, payload))?;
    let mut answer = [0; 1024];
    let n = stream.read(&mut answer)?;
    match answer[..n].starts_with(b"HTTP/1.1 201 ") {
        true => Ok(()),
        false => Err(Error::other(format!("a publish was refused: {}", answer[..n].escape_ascii()))),
    }
}

/// Publishes many messages on one connection with pipelined requests, and reads all answers.
/// Returns how many were accepted.
pub(super) fn pipeline(server: &Server, requests: Vec<u8>, count: usize) -> Result<usize> {
    let mut stream = TcpStream::connect(&server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut writer = stream.try_clone()?;
    let writing = std::thread::spawn(move || writer.write_all(&requests));
    let (mut piece, mut text) = (vec![0; 64 * 1024], Vec::new());
    let (mut answers, mut accepted) = (0, 0);
    while answers < count {
        let n = stream.read(&mut piece)?;
        if n == 0 {
            return Err(Error::other(format!("the server closed after {answers} of {count} answers")));
        }
        text.extend_from_slice(&piece[..n]);
        let starts = |at: &usize| text[*at..].starts_with(b"HTTP/1.1 ");
        let heads: Vec<usize> = (0..text.len().saturating_sub(13)).filter(starts).collect();
        answers += heads.len();
        accepted += heads.iter().filter(|at| text[**at + 9] == b'2').count();
        text.drain(..text.len().saturating_sub(13));
    }
    writing.join().expect("writing does not panic")?;
    Ok(accepted)
}

/// Sends a message and reads an answer, so that memory which the server allocates only once is
/// allocated before the measurement.
pub(super) fn warm_up(server: &Server) -> Result<()> {
    publish(server, "warm-up", &vec![b'x'; 1 << 20])?;
    let mut stream = TcpStream::connect(&server.address)?;
    stream.write_all(b"GET /c/warm-up?feed=poll HTTP/1.0\r\nHost: h\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(|_| ())
}
