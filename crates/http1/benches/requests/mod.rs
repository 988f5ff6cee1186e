//! The requests that are measured. Each is a complete head without a body.

/// Name and bytes.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let cookie = format!(
        "GET /account HTTP/1.1\nHost: shop.example.com\nUser-Agent: {CHROME}\nAccept: */*\nCookie: {}",
        crumbs(3800)
    );
    vec![
        ("minimal", head("GET /c/weather HTTP/1.1\nHost: 127.0.0.1:8080")),
        ("plaintext", head(PLAINTEXT)),
        ("browser api call", head(&BROWSER.replace("CHROME", CHROME))),
        ("standard", head(STANDARD)),
        ("cookie", head(&cookie)),
    ]
}

/// A response of an API.
pub(crate) fn response() -> Vec<u8> {
    head(RESPONSE)
}

/// Makes a head of lines.
fn head(lines: &str) -> Vec<u8> {
    let mut bytes = lines.replace('\n', "\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}

/// Cookies as on a site with many trackers, `length` bytes.
fn crumbs(length: usize) -> String {
    let mut text = String::new();
    for i in 0.. {
        if text.len() >= length {
            break;
        }
        text.push_str(&format!("_trk_{i}=GA1.2.{}.{}; ", 1_700_000_000 + i * 7919, i * 104_729));
    }
    text.truncate(length);
    text.trim_end().into()
}

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// The request of a benchmark client for plain text.
const PLAINTEXT: &str = "\
GET /plaintext HTTP/1.1
Host: 192.168.100.10:8080
Accept: text/plain,text/html;q=0.9,application/xhtml+xml;q=0.9,application/xml;q=0.8,*/*;q=0.7
Connection: keep-alive";

/// A request of a browser to an API of the same site.
const BROWSER: &str = "\
GET /c/prices,news?since=1fK3.4711&feed=poll&wait=25 HTTP/1.1
Host: api.example.com
Connection: keep-alive
sec-ch-ua-platform: \"Linux\"
User-Agent: CHROME
Accept: application/json
sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"
sec-ch-ua-mobile: ?0
Origin: https://www.example.com
Sec-Fetch-Site: same-site
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
Referer: https://www.example.com/
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-GB,en;q=0.9";

/// Similar to the usual request of parser benchmarks: nine fields and a long cookie.
const STANDARD: &str = "\
GET /topics/2026/11/a-long-path-with-words/img/large.jpg HTTP/1.1
Host: www.community.example.com
User-Agent: Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_6; en-us) Gecko/20091221 Firefox/3.5.7 (.NET CLR 3.5)
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Accept-Language: en-us,en;q=0.7,en;q=0.3
Accept-Encoding: gzip,deflate
Accept-Charset: Shift_JIS,utf-8;q=0.7,*;q=0.7
Keep-Alive: 115
Connection: keep-alive
Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=xxxxxxxxxx; \
__utma=xxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.x; \
__utmz=xxxxxxxxx.xxxxxxxxxx.x.x.utmccn=(referral)|utmcsr=reader.example.\
com|utmcct=/reader/view/|utmcmd=referral";

const RESPONSE: &str = "\
HTTP/1.1 200 OK
Date: Sat, 21 Nov 2026 04:00:00 GMT
Content-Type: application/json; charset=utf-8
Content-Length: 4711
Connection: keep-alive
Cache-Control: no-store
ETag: \"1fK3.4711\"
Vary: Origin
Access-Control-Allow-Origin: https://www.example.com
Strict-Transport-Security: max-age=31536000
X-Content-Type-Options: nosniff";
