//! What the head of a request says about its body, and how the server treats each field.
//!
//! | field | treatment |
//! |---|---|
//! | `Content-Type` | stored with the message; allowed once |
//! | `Content-Encoding` | 415 unless it is `identity`: readers would get compressed bytes under the media type of the plain ones |
//! | `Transfer-Encoding` | handled by the HTTP engine: chunked is decoded, any other coding is 501 |
//! | `Content-Range` | 400 with PUT (RFC 9110 §14.5); with POST it has no meaning (§14.4) and is ignored |
//! | `Content-Language`, `Content-Location`, `Content-Disposition` | ignored: they say nothing about the bytes |
//! | `Content-Digest`, `Repr-Digest`, `Content-MD5` | may be checked and need not be (RFC 9530 §2, §3); ignored |

use tidewire_grammar::{eq_ignore_case, list};
use tidewire_http1::RequestHead;
use tidewire_server::{Problem, Response};

use crate::cors::Access;
use crate::refusal::{bad_request, refusal};
use crate::request_fields::RequestField;

/// The refusal of a body with a content coding; `None` if it has none (RFC 9110 §8.4).
pub(crate) fn refuse_coding(head: &RequestHead<'_>, access: &Access) -> Option<Response> {
    let mut codings = RequestField::ContentEncoding.get_all(head).flat_map(list);
    // An empty list names no coding. `identity` means none (§12.5.3), though it need not be sent.
    codings.find(|coding| !eq_ignore_case(coding, b"identity"))?;
    let problem = Problem::new(
        415,
        "A message is stored unchanged, and its readers see only its Content-Type; \
         send it without a Content-Encoding.",
    );
    // §15.5.16, §12.5.3: in a response, this field says which codings a request may use.
    Some(refusal(access, problem).with("Accept-Encoding", "identity"))
}

/// The media type, if the publisher chose one. Clients send `application/x-www-form-urlencoded` by
/// default, so it counts as none.
///
/// # Errors
/// 400 for several media types, or for one that is not UTF-8 and could not be passed on unchanged.
pub(crate) fn media_type(head: &RequestHead<'_>) -> Result<Option<String>, Problem> {
    let Some(value) = single(head, RequestField::ContentType)? else { return Ok(None) };
    let text = std::str::from_utf8(value)
        .map_err(|_| Problem::new(400, "A Content-Type is a media type such as text/plain, in UTF-8."))?;
    Ok((!text.is_empty() && text != "application/x-www-form-urlencoded").then(|| text.to_owned()))
}

/// The value of a field that may occur only once.
///
/// # Errors
/// 400 for several values: two programs could use different ones.
pub(crate) fn single<'a>(head: &RequestHead<'a>, field: RequestField) -> Result<Option<&'a [u8]>, Problem> {
    let mut lines = field.get_all(head);
    let first = lines.next();
    match lines.next() {
        None => Ok(first),
        Some(_) => {
            let name = field.name();
            Err(bad_request(format!("the request has the field {name} twice; send it once")))
        }
    }
}
