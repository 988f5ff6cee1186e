//! A file or standard input, as bytes or as hexadecimal text.

use std::error::Error;
use std::io::{self, IsTerminal, Read};

/// Reads the bytes that are to be explained.
pub(super) struct Input {
    source: Box<dyn Read>,
    /// What an error calls the source.
    name: String,
    buffer: Vec<u8>,
    /// Whether the source is text: pairs of hexadecimal digits.
    is_hex: bool,
    /// The first digit of a pair whose second digit was not read yet.
    high_digit: Option<u8>,
}

impl Input {
    /// Opens the file of this name; `-` is standard input.
    pub(super) fn open(name: &str, is_hex: bool) -> Result<Self, Box<dyn Error>> {
        let source = open(name)?;
        let name = if name == "-" { "standard input" } else { name }.to_owned();
        Ok(Self { source, name, buffer: vec![0; READ_SIZE], is_hex, high_digit: None })
    }

    /// Reads once and appends the bytes. Returns `false` at the end of the input.
    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, Box<dyn Error>> {
        let n = loop {
            match self.source.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => {
                    break outcome.map_err(|error| format!("{} cannot be read: {error}", self.name))?;
                }
            }
        };
        if !self.is_hex {
            out.extend_from_slice(&self.buffer[..n]);
            return Ok(n > 0);
        }
        for &byte in &self.buffer[..n] {
            if byte.is_ascii_whitespace() {
                continue;
            }
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(format!(
                    "--hex: {:?} is not a hexadecimal digit; write pairs of digits, with or without spaces",
                    char::from(byte)
                )
                .into());
            };
            let digit = digit as u8;
            match self.high_digit.take() {
                Some(high) => out.push(high << 4 | digit),
                None => self.high_digit = Some(digit),
            }
        }
        if n == 0 && self.high_digit.is_some() {
            return Err("--hex: the last byte has only one digit".into());
        }
        Ok(n > 0)
    }
}

fn open(name: &str) -> Result<Box<dyn Read>, Box<dyn Error>> {
    if name == "-" {
        let input = io::stdin();
        if input.is_terminal() {
            return Err(
                "no input: name a file or a URL, or pipe bytes in; see tidewire explain --help for examples"
                    .into(),
            );
        }
        return Ok(Box::new(input.lock()));
    }
    match std::fs::File::open(name) {
        Ok(file) if file.metadata().is_ok_and(|data| data.is_dir()) => {
            Err(format!("{name} is a directory; name a file that holds the bytes").into())
        }
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
            "there is no file {name}; a URL must start with http:// or ws://, and - means standard input"
        )
        .into()),
        Err(error) => Err(format!("{name} cannot be read: {error}").into()),
    }
}

/// Bytes of one read.
const READ_SIZE: usize = 64 * 1024;
