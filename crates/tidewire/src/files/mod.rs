//! Files of a folder, under `/files/`: pages, and media in which a player can seek.
//!
//! ```text
//!   path ──► path.rs: decoded once, by segment ──► open.rs: opened beneath the folder's handle
//!                                                                   │
//!   conditions.rs: 412? 304? ◄── file_state.rs: ETag, Last-Modified ┘
//!        │ no
//!   range.rs: 200, 206 (one part or several), 416 ──► body.rs: read piece by piece
//! ```
//!
//! Only the runtime's threads for blocking work access the disk.

mod body;
mod conditions;
mod file_state;
mod media_types;
mod open;
mod path;
mod range;
#[cfg(unix)]
mod walk;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tidewire_http1::Method;
use tidewire_hub::Access;
use tidewire_server::{LogLimit, Problem, Reply, Request, Response};

use body::{FileBody, Part};
use conditions::{Conditions, Outcome, Validators};
use open::{Content, Opened, Root};
use path::FilePath;
use range::{ByteRange, Ranges};

/// A folder whose files are served under `/files/`.
#[derive(Clone, Debug)]
pub struct Files(Arc<Root>);

impl Files {
    /// Opens the folder. All files are opened beneath this handle from then on, even if the folder
    /// is moved.
    ///
    /// # Errors
    /// The folder does not exist, is not a folder, or cannot be read.
    pub fn open(folder: impl AsRef<Path>) -> io::Result<Self> {
        Root::open(folder.as_ref()).map(|root| Files(Arc::new(root)))
    }

    /// Answers a GET or HEAD for what follows `/files/`.
    pub(crate) fn handle<T>(&self, rest: &[u8], access: &Access, request: &Request<'_>) -> Reply<T> {
        let path = match FilePath::parse(rest) {
            Ok(path) => path,
            Err(refused) => return with_cors(access, Problem::from(refused).into_response()).into(),
        };
        let conditions = Conditions::of(request.head);
        let is_get = request.head.method() == Method::Get;
        let (root, access) = (self.0.clone(), access.clone());
        Reply::Later(Box::pin(async move {
            let opened = tokio::task::spawn_blocking(move || find(&root, &path)).await;
            let response = match opened {
                Ok(Ok(Found::File { file, media })) => respond(file, media, &conditions, is_get),
                Ok(Ok(Found::Moved(location))) => {
                    Response::new(308).with("Location", location).with("Cache-Control", "no-cache")
                }
                Ok(Err(error)) => open_error(&error).into_response(),
                Err(_) => Problem::new(500, "The file could not be opened; this is an error in the server.")
                    .into_response(),
            };
            with_cors(&access, response).into()
        }))
    }
}

/// What was found at a path.
enum Found {
    File {
        file: Opened,
        media: &'static str,
    },
    /// A folder whose path has no slash at its end. The client is redirected to the path with the
    /// slash: otherwise it would resolve relative links against the folder above.
    Moved(String),
}

fn find(root: &Root, path: &FilePath) -> io::Result<Found> {
    // Folders are not listed, so files without links stay unknown.
    let full = if path.is_folder() { path.join(INDEX) } else { path.clone() };
    match root.open_file(full.segments()) {
        Ok(file) => Ok(Found::File { file, media: media_types::of_name(full.name()) }),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory && !path.is_folder() => {
            Ok(Found::Moved(path.folder_location()))
        }
        Err(error) => Err(error),
    }
}

/// Returns the response for an open file, as the conditions and the range of the request require.
fn respond(opened: Opened, media: &'static str, conditions: &Conditions, is_get: bool) -> Response {
    let validators = Validators::of(&opened, SystemTime::now());
    let with_tag = |response: Response| match &validators.etag {
        Some(etag) => response.with("ETag", etag),
        None => response,
    };
    let response = |status| {
        let response = with_tag(Response::new(status).with("Cache-Control", "no-cache"));
        match validators.last_modified_text() {
            Some(text) => response.with("Last-Modified", text),
            None => response,
        }
    };
    match conditions.evaluate(&validators) {
        Outcome::Proceed => {}
        Outcome::NotModified => return response(304),
        Outcome::PreconditionFailed => {
            let detail = "The file has changed and does not match the request; fetch the file again.";
            return with_tag(Problem::new(412, detail).into_response());
        }
    }
    let Opened { content, state } = opened;
    let len = state.len;
    let full =
        |status| response(status).with("Accept-Ranges", "bytes").with("X-Content-Type-Options", "nosniff");
    // RFC 9110 §14.2: a Range is defined only for GET.
    let ranges = if is_get { conditions.ranges(&validators, len) } else { Ranges::All };
    match ranges {
        Ranges::All => {
            let all = vec![Part::Range(ByteRange { start: 0, len })];
            with_body(full(200).with("Content-Type", media), content, all)
        }
        Ranges::One(range) => {
            let head = full(206).with("Content-Type", media);
            with_body(head.with("Content-Range", range.content_range(len)), content, vec![Part::Range(range)])
        }
        Ranges::Several(ranges) => {
            let boundary = format!("{:032x}", fastrand::u128(..));
            let head = full(206).with("Content-Type", format!("multipart/byteranges; boundary={boundary}"));
            with_body(head, content, multipart(&ranges, len, media, &boundary))
        }
        Ranges::Unsatisfiable => {
            let detail = format!("The file has {len} bytes, and none of them is in the requested range.");
            Problem::new(416, detail).into_response().with("Content-Range", format!("bytes */{len}"))
        }
    }
}

/// Adds the body: parts of bytes in memory, or of a file that is still to be read.
fn with_body(head: Response, content: Content, parts: Vec<Part>) -> Response {
    let bytes = match content {
        Content::Large(file) => return head.stream(FileBody::new(file, parts)),
        Content::Whole(bytes) => bytes,
    };
    let slice = |range: ByteRange| bytes.slice(range.start as usize..(range.start + range.len) as usize);
    if let [Part::Range(range)] = *parts {
        return head.body(slice(range));
    }
    let gather = |mut all: Vec<u8>, part: Part| {
        match part {
            Part::Bytes(bytes) => all.extend_from_slice(&bytes),
            Part::Range(range) => all.extend_from_slice(&slice(range)),
        }
        all
    };
    head.body(parts.into_iter().fold(Vec::new(), gather))
}

/// Returns the parts of `multipart/byteranges` (RFC 9110 §14.6). Each response has a new random
/// boundary, so nobody can prepare a file that contains it.
fn multipart(ranges: &[ByteRange], len: u64, media: &str, boundary: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * ranges.len() + 1);
    let mut delimiter = format!("--{boundary}");
    for range in ranges {
        let content_range = range.content_range(len);
        let head = format!("{delimiter}\r\nContent-Type: {media}\r\nContent-Range: {content_range}\r\n\r\n");
        parts.push(Part::Bytes(Bytes::from(head)));
        parts.push(Part::Range(*range));
        delimiter = format!("\r\n--{boundary}");
    }
    parts.push(Part::Bytes(Bytes::from(format!("{delimiter}--\r\n"))));
    parts
}

/// Adds the fields of CORS, and `Vary: Origin`.
fn with_cors(access: &Access, response: Response) -> Response {
    access.apply(response.with("Vary", "Origin"))
}

fn open_error(error: &io::Error) -> Problem {
    use io::ErrorKind;
    match error.kind() {
        // A file that cannot be read, or lies outside the folder, is reported as missing.
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => Problem::new(404, "There is no such file in the served folder."),
        _ => {
            static FAILED: LogLimit = LogLimit::new();
            if let Some(more) = FAILED.admit() {
                tracing::warn!(%error, more, "a file could not be opened");
            }
            Problem::new(503, "The file cannot be opened at the moment; try again.")
        }
    }
}

/// The file that is served for a folder.
const INDEX: &str = "index.html";
