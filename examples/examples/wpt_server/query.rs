//! Query parameters and cookies, as the test suites write them.

use percent_encoding::percent_decode;
use tidewire_server::Problem;
use tidewire_server::http1::RequestHead;

/// The decoded parameters of a query. They are bytes, because some tests do not send UTF-8.
pub struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    pub fn of(head: &RequestHead<'_>) -> Self {
        let pairs = head.query().unwrap_or_default().split(|byte| *byte == b'&').map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            (decode(name), decode(value))
        });
        Query(pairs.collect())
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let pair = self.0.iter().find(|(known, _)| known == name.as_bytes());
        pair.map(|(_, value)| &value[..])
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Returns a number: of milliseconds, a status or a code.
    pub fn number(&self, name: &str) -> Result<Option<u16>, Problem> {
        let parse =
            |text: String| text.parse().map_err(|_| bad(format!("{name} must be a number up to 65535.")));
        self.text(name).map(parse).transpose()
    }
}

/// Returns the value of a cookie of the request.
pub fn cookie<'a>(head: &RequestHead<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let cookies = head.get_all("cookie").flat_map(|field| field.split(|byte| *byte == b';'));
    cookies.map(<[u8]>::trim_ascii).find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix(b"="))
}

pub fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(400, detail.into())
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}
