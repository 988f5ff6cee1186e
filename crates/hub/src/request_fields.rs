//! The request fields that this crate reads. Every field is read by its name in this list. So for
//! each field somebody must decide: can it change the answer to a poll? Such answers are cached for
//! all requests with the same target.

use tidewire_http1::{Method, RequestHead};

macro_rules! request_fields {
    ($($field:ident $name:literal)*) => {
        /// A request field that this crate reads.
        ///
        /// Not listed: fields that the HTTP engine reads (`Connection`, `Content-Length` and so
        /// on), fields of the WebSocket handshake, which need `Upgrade`, and `Host`, which matters
        /// only together with `Origin`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum RequestField {
            $($field,)*
        }

        impl RequestField {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$field,)*];

            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)*
                }
            }

            /// The field of this name, if it can change the answer to a poll. The compiler turns
            /// this into a few comparisons of lengths, which rule out most fields of a request.
            fn deciding(name: &[u8]) -> Option<Self> {
                $(
                    if Self::$field.decides_poll() && name.eq_ignore_ascii_case($name.as_bytes()) {
                        return Some(Self::$field);
                    }
                )*
                None
            }
        }
    };
}

request_fields! {
    Accept "Accept"
    AcceptEncoding "Accept-Encoding"
    ContentEncoding "Content-Encoding"
    ContentRange "Content-Range"
    ContentType "Content-Type"
    IdempotencyKey "Idempotency-Key"
    IfNoneMatch "If-None-Match"
    LastEventId "Last-Event-ID"
    Origin "Origin"
    Prefer "Prefer"
    ProducerEpoch "Producer-Epoch"
    ProducerId "Producer-Id"
    ProducerSeq "Producer-Seq"
    SecFetchDest "Sec-Fetch-Dest"
    SecFetchSite "Sec-Fetch-Site"
    Upgrade "Upgrade"
}

impl RequestField {
    /// Whether the field can change the answer to a poll.
    pub(crate) const fn decides_poll(self) -> bool {
        use RequestField as F;
        match self {
            F::Accept | F::IfNoneMatch | F::LastEventId | F::Origin | F::Prefer | F::Upgrade => true,
            // They matter for streams and iframes, whose answers are not cached.
            F::AcceptEncoding | F::SecFetchDest | F::SecFetchSite => false,
            // They describe what is published.
            F::ContentEncoding | F::ContentRange | F::ContentType | F::IdempotencyKey => false,
            F::ProducerEpoch | F::ProducerId | F::ProducerSeq => false,
        }
    }

    /// The value of the first line of this field.
    pub(crate) fn get<'a>(self, head: &RequestHead<'a>) -> Option<&'a [u8]> {
        head.get(self.name())
    }

    /// The values of all lines of this field, in their order.
    pub(crate) fn get_all<'a>(self, head: &RequestHead<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        head.get_all(self.name())
    }
}

/// Whether the target alone decides the answer of a poll: a GET without any field that could change
/// it. The target is the key of the cached answers.
pub(crate) fn depends_on_target_only(head: &RequestHead<'_>) -> bool {
    head.method() == Method::Get && !head.fields().any(|(name, value)| decides(name, value))
}

fn decides(name: &[u8], value: &[u8]) -> bool {
    RequestField::deciding(name).is_some_and(|field| field != RequestField::Accept || value != b"*/*")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tidewire_http1::{Fields, Limits};

    use super::*;

    /// A test in `api/subscribe.rs` checks with real answers that the list is right.
    #[test]
    fn fields_that_decide_a_poll_are_found() {
        for &field in RequestField::ALL {
            let deciding = field.decides_poll().then_some(field);
            assert_eq!(RequestField::deciding(field.name().as_bytes()), deciding, "{field:?}");
            assert_eq!(RequestField::deciding(field.name().to_uppercase().as_bytes()), deciding, "{field:?}");
        }
        let plain = |request: &str| {
            let (mut fields, limits) = (Fields::with_capacity(16), Limits::default());
            let head = RequestHead::parse(request.as_bytes(), &limits, &mut fields).unwrap();
            depends_on_target_only(&head.unwrap().1)
        };
        assert!(plain("GET /c/a HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nUser-Agent: x\r\n\r\n"));
        assert!(!plain("HEAD /c/a HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!plain("GET /c/a HTTP/1.1\r\nHost: a\r\nACCEPT: text/event-stream\r\n\r\n"));
        assert!(!plain("GET /c/a HTTP/1.1\r\nHost: a\r\nif-none-match: *\r\n\r\n"));
    }

    #[test]
    fn fields_are_read_only_by_the_names_of_the_list() {
        /// Files that may read fields by name: the list itself, and the one that passes all fields
        /// on.
        const MAY: [&str; 2] = ["request_fields.rs", "api/handshake.rs"];
        fn check(root: &Path, folder: &Path, files: &mut usize) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    check(root, &path, files);
                    continue;
                }
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                let reads = ["head.get(", "head.get_all(", "head.fields(", ".get(\"", ".get_all(\""];
                let read = reads.iter().find(|read| code.contains(**read));
                assert!(MAY.contains(&&*name) || read.is_none(), "{name}: {read:?}");
                *files += 1;
            }
        }
        let (root, mut files) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), 0);
        check(&root, &root, &mut files);
        assert!(files > 40, "{files} files");
    }
}
