//! `tidewire-grammar` alone: parses header fields by the exact grammar of RFC 9110.
//!
//! Run `cargo run -p tidewire-examples --example grammar_fields`. It splits a list with parameters,
//! decodes a quoted string, and shows numbers that Rust accepts and HTTP must refuse.

use std::error::Error;

use tidewire_grammar::{dec_u64, eq_ignore_case, hex_u64, list, quoted, qvalue, value_and_params};

/// A comma in quotes, an empty element, a name in capitals, an escaped quote.
const ACCEPT: &[u8] = b"text/event-stream;Q=0.9, , application/json , text/x;note=\"a, \\\"b\\\"\";q=0";

fn main() -> Result<(), Box<dyn Error>> {
    println!("Accept: {}", String::from_utf8_lossy(ACCEPT));
    for element in list(ACCEPT) {
        let (media, params) = value_and_params(element);
        println!("  {}", media.escape_ascii());
        let mut weight = 1000;
        for param in params {
            // A parameter that breaks the grammar is an error with an offset. It is never skipped.
            let param = param?;
            let value = param.value.ok_or("a parameter without a value")?;
            if eq_ignore_case(param.name, b"q") {
                weight = qvalue(value.raw()).ok_or("not a qvalue")?;
            } else {
                let mut meant = Vec::new();
                value.decode_to(&mut meant);
                println!("    {} = {}", param.name.escape_ascii(), String::from_utf8_lossy(&meant));
            }
        }
        println!("    weight {weight} of 1000{}", if weight == 0 { ": not wanted" } else { "" });
    }

    println!("\nEncoding: a text that is not a token is quoted");
    let mut wire = Vec::new();
    quoted::encode(b"say \"hi\", twice", &mut wire)?;
    println!("  {}", String::from_utf8_lossy(&wire));

    println!("\nContent-Length is 1*DIGIT. Servers have disagreed on whether these are numbers:");
    for text in ["5", "+5", "5 ", "0x5", "", "18446744073709551616"] {
        println!("  {:<24}{}", format!("{text:?}"), verdict(dec_u64(text.as_bytes())));
    }
    println!("A chunk size is 1*HEXDIG:");
    for text in ["fF", "0xff", "ffffffffffffffff", "10000000000000000"] {
        println!("  {:<24}{}", format!("{text:?}"), verdict(hex_u64(text.as_bytes())));
    }
    Ok(())
}

fn verdict(number: Result<u64, tidewire_grammar::NumberError>) -> String {
    match number {
        Ok(number) => number.to_string(),
        Err(error) => format!("refused: {error}"),
    }
}
