//! The two roles: which half of an exchange each of them reads and writes.

/// The role of a [`Connection`](crate::Connection) that receives requests.
#[derive(Clone, Copy, Debug)]
pub enum Server {}

/// The role of a [`Connection`](crate::Connection) that receives responses.
#[derive(Clone, Copy, Debug)]
pub enum Client {}

/// [`Server`] or [`Client`]. No other type can be a role.
///
/// Code that is generic over the role needs no other bound, also to move a connection to another
/// task:
///
/// ```
/// use tidewire_http1::{Connection, Role};
///
/// fn end_elsewhere<R: Role>(mut connection: Connection<R>) {
///     std::thread::spawn(move || connection.finish().is_ok());
/// }
/// ```
pub trait Role: sealed::Role {}
impl Role for Server {}
impl Role for Client {}

pub(crate) mod sealed {
    use super::{Client, Server};
    use crate::reuse::NextExchangeError::{self, NotRead, NotSent};
    use crate::state::{Half, State, Step};
    use core::fmt::Debug;

    /// The half of the exchange that a role reads, and the half that it writes.
    pub trait Role: Copy + Debug + Send + Sync + Unpin + 'static {
        #[allow(private_interfaces)]
        fn reads(state: State) -> Half;
        #[allow(private_interfaces)]
        fn writes(state: State) -> Half;
        #[allow(private_interfaces)]
        const READ_END: Step;
        #[allow(private_interfaces)]
        const WRITE_END: Step;
        #[allow(private_interfaces)]
        const FAIL: Step;
        /// What an unfinished request means, and what an unfinished response means.
        const UNFINISHED: (NextExchangeError, NextExchangeError);
    }

    #[allow(private_interfaces)]
    impl Role for Server {
        fn reads(state: State) -> Half {
            state.request()
        }
        fn writes(state: State) -> Half {
            state.response()
        }
        const READ_END: Step = Step::RequestEnd;
        const WRITE_END: Step = Step::ResponseEnd;
        const FAIL: Step = Step::FailRequest;
        const UNFINISHED: (NextExchangeError, NextExchangeError) = (NotRead, NotSent);
    }

    #[allow(private_interfaces)]
    impl Role for Client {
        fn reads(state: State) -> Half {
            state.response()
        }
        fn writes(state: State) -> Half {
            state.request()
        }
        const READ_END: Step = Step::ResponseEnd;
        const WRITE_END: Step = Step::RequestEnd;
        const FAIL: Step = Step::FailResponse;
        const UNFINISHED: (NextExchangeError, NextExchangeError) = (NotSent, NotRead);
    }
}
