//! What a head says, beside its fields: a few bytes, so that views of it are cheap to copy.

use crate::known_fields::KnownFields;
use crate::message::{BodyLength, KnownMethod, Method, TargetForm, Version};

/// What a head says, beside its spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadInfo {
    pub(crate) version: Version,
    /// The method if it is one we have a name for; of a request only.
    pub(crate) method: Option<KnownMethod>,
    pub(crate) form: TargetForm,
    /// The status code; of a response only.
    pub(crate) status: u16,
    /// The target, or the reason phrase.
    pub(crate) start: u16,
    pub(crate) end: u16,
    /// Chunked, until close or empty; a length is among the known.
    pub(crate) body: Body,
    pub(crate) known: KnownFields,
}

/// [`BodyLength`] without its number: a head's known are copied into each view of it, and 16 bytes more would show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Empty,
    Length,
    Chunked,
    UntilClose,
}

impl HeadInfo {
    /// Before anything was read. The version is the one that takes least: who has not said HTTP/1.1 is not sent what 1.0 does not know.
    pub(crate) const NEW: Self = Self {
        version: Version::Http10,
        method: None,
        form: TargetForm::Origin,
        status: 0,
        start: 0,
        end: 0,
        body: Body::Empty,
        known: KnownFields::NONE,
    };

    /// How the body is delimited.
    pub(crate) const fn body(&self) -> BodyLength {
        match self.body {
            Body::Empty => BodyLength::Empty,
            Body::Length => BodyLength::Length(self.known.declared()),
            Body::Chunked => BodyLength::Chunked,
            Body::UntilClose => BodyLength::UntilClose,
        }
    }

    /// The method, given the bytes of the head.
    pub(crate) fn method<'a>(&self, head: &'a [u8]) -> Method<'a> {
        match self.method {
            Some(known) => known.method(),
            None => {
                // The byte before the target is the space after the method, which is a token and so is ASCII.
                let token = head.get(..usize::from(self.start).saturating_sub(1)).unwrap_or_default();
                Method::Other(core::str::from_utf8(token).unwrap_or_default())
            }
        }
    }
}

impl HeadInfo {
    /// RFC 9112 §9.3, and §6.3 (8): what lasts until close cannot be followed.
    pub(crate) fn keep_alive(&self) -> bool {
        self.known.keep_alive(self.version) && self.body != Body::UntilClose
    }

    pub(crate) fn expects_continue(&self) -> bool {
        // The rarer of the two first.
        self.known.expects_continue(self.version)
            && !matches!(self.body(), BodyLength::Empty | BodyLength::Length(0))
    }
}
