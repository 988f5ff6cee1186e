//! What is known about a head besides its field lines.

use crate::known_fields::KnownFields;
use crate::message::{BodyLength, KnownMethod, Method, TargetForm, Version};

/// What is known about a head besides the spans of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadInfo {
    pub(crate) version: Version,
    /// The method of a request, if it has a variant of its own.
    pub(crate) method: Option<KnownMethod>,
    pub(crate) form: TargetForm,
    /// The status code of a response.
    pub(crate) status: u16,
    /// Start and end of the target or of the reason phrase.
    pub(crate) start: u16,
    pub(crate) end: u16,
    /// How the body is delimited. `known` holds the length.
    pub(crate) body: Body,
    pub(crate) known: KnownFields,
}

/// [`BodyLength`] without the number, to keep [`HeadInfo`] small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Empty,
    Length,
    Chunked,
    UntilClose,
}

impl HeadInfo {
    /// Before anything was read. Until the peer declares HTTP/1.1, assume HTTP/1.0.
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

    /// Returns how the body is delimited.
    pub(crate) const fn body(&self) -> BodyLength {
        match self.body {
            Body::Empty => BodyLength::Empty,
            Body::Length => BodyLength::Length(self.known.declared()),
            Body::Chunked => BodyLength::Chunked,
            Body::UntilClose => BodyLength::UntilClose,
        }
    }

    /// Returns whether no byte of a body follows the head.
    #[inline(always)]
    pub(crate) const fn is_bodiless(&self) -> bool {
        match self.body {
            Body::Empty => true,
            Body::Length => self.known.declared() == 0,
            Body::Chunked | Body::UntilClose => false,
        }
    }

    /// Returns the method. `head` holds the bytes of the head.
    pub(crate) fn method<'a>(&self, head: &'a [u8]) -> Method<'a> {
        match self.method {
            Some(known) => known.method(),
            None => {
                // One space separates the method from the target. The method is a token, so it is
                // ASCII.
                let token = head.get(..usize::from(self.start).saturating_sub(1)).unwrap_or_default();
                Method::Other(core::str::from_utf8(token).unwrap_or_default())
            }
        }
    }
}

impl HeadInfo {
    /// RFC 9112 §9.3. No message follows one that lasts until close (§6.3 (8)).
    pub(crate) fn keep_alive(&self) -> bool {
        self.known.keep_alive(self.version) && self.body != Body::UntilClose
    }

    pub(crate) fn expects_continue(&self) -> bool {
        // The condition that is rarely true comes first.
        self.known.expects_continue(self.version)
            && !matches!(self.body(), BodyLength::Empty | BodyLength::Length(0))
    }
}
