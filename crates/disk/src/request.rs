//! What the writer is asked, and what it answers after the commit.

use tidewire_store::{
    Append, AppendError, Appended, ChannelName, Create, CreateError, Created, Failed, Opened, Page,
    ReadError, Refusal, Responder, Swept,
};

use crate::page::ReadRequest;

/// A request for the writer.
#[derive(Debug)]
pub(crate) enum Request {
    Open {
        name: ChannelName,
        now_ms: u64,
        respond: Responder<Result<Opened, Failed>>,
    },
    Release {
        name: ChannelName,
        now_ms: u64,
    },
    Append {
        name: ChannelName,
        append: Append,
        respond: Responder<Result<Appended, AppendError>>,
    },
    Create {
        name: ChannelName,
        create: Box<Create>,
        respond: Responder<Result<Created, CreateError>>,
    },
    Delete {
        name: ChannelName,
        now_ms: u64,
        respond: Responder<Result<bool, Failed>>,
    },
    Touch {
        name: ChannelName,
        now_ms: u64,
        respond: Responder<Result<(), Failed>>,
    },
    Sweep {
        now_ms: u64,
        respond: Responder<Result<Swept, Failed>>,
    },
    /// A read of a log whose oldest message is over its age: the writer evicts it first.
    Read {
        request: ReadRequest,
        respond: Responder<Result<Page, ReadError>>,
    },
}

impl Request {
    /// Answers that nothing was done.
    pub(crate) fn refuse(self, failed: &Failed) {
        let failure = Failure::Failed(failed.clone());
        match self {
            Self::Open { respond, .. } => respond.answer(Err(failure.failed())),
            Self::Release { .. } => {}
            Self::Append { respond, .. } => respond.answer(Err(failure.append())),
            Self::Create { respond, .. } => respond.answer(Err(failure.create())),
            Self::Delete { respond, .. } => respond.answer(Err(failure.failed())),
            Self::Touch { respond, .. } => respond.answer(Err(failure.failed())),
            Self::Sweep { respond, .. } => respond.answer(Err(failure.failed())),
            Self::Read { respond, .. } => respond.answer(Err(ReadError::Failed(failure.failed()))),
        }
    }

    /// The bytes of its messages.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Append { append, .. } => append.messages.weight(),
            Self::Create { create, .. } => create.messages.weight(),
            _ => 0,
        }
    }
}

/// An answer that waits for the commit.
#[derive(Debug)]
pub(crate) enum Reply {
    Open(ChannelName, u64, Responder<Result<Opened, Failed>>, Opened),
    Append(Responder<Result<Appended, AppendError>>, Result<Appended, AppendError>),
    Create(Responder<Result<Created, CreateError>>, Result<Created, CreateError>),
    Delete(Responder<Result<bool, Failed>>, Result<bool, Failed>),
    Touch(Responder<Result<(), Failed>>, Result<(), Failed>),
    Sweep(Responder<Result<Swept, Failed>>, Result<Swept, Failed>),
    Read(ReadRequest, Responder<Result<Page, ReadError>>),
}

/// Why a group of requests was not carried out.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// There is no room on the disk. Nothing was done.
    Full,
    /// The disk has failed.
    Failed(Failed),
}

impl Failure {
    pub(crate) fn append(&self) -> AppendError {
        match self {
            Self::Full => AppendError::Refused(Refusal::NoRoom),
            Self::Failed(failed) => AppendError::Failed(failed.clone()),
        }
    }

    pub(crate) fn create(&self) -> CreateError {
        match self {
            Self::Full => CreateError::NoRoom,
            Self::Failed(failed) => CreateError::Failed(failed.clone()),
        }
    }

    pub(crate) fn failed(&self) -> Failed {
        match self {
            Self::Full => Failed::clean("the disk is full; make room"),
            Self::Failed(failed) => failed.clone(),
        }
    }
}
