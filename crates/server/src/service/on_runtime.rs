//! A service that runs on another runtime than that of its worker.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tower_service::Service;

use crate::LocalFuture;

/// Runs a service on a runtime of the caller. [`ServiceHandler::on_runtime`] makes it.
///
/// [`ServiceHandler::on_runtime`]: crate::ServiceHandler::on_runtime
#[derive(Clone, Debug)]
pub struct OnRuntime<S> {
    service: S,
    runtime: Handle,
}

impl<S> OnRuntime<S> {
    pub(super) fn new(service: S, runtime: Handle) -> Self {
        OnRuntime { service, runtime }
    }
}

impl<S, A, B> Service<Request<A>> for OnRuntime<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    A: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = LocalFuture<Result<Response<B>, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The service is asked on its own runtime.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let mut service = self.service.clone();
        let mut task = AbortOnDrop(self.runtime.spawn(async move {
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
            service.call(request).await.map_err(Into::into)
        }));
        Box::pin(async move {
            let joined = poll_fn(|cx| std::pin::Pin::new(&mut task.0).poll(cx)).await;
            joined.unwrap_or_else(|error| Err(ended(error)))
        })
    }
}

/// A panic of the service goes on here, as if it had run here.
fn ended(error: JoinError) -> Box<dyn StdError + Send + Sync> {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => io::Error::other("the runtime of the service has shut down").into(),
    }
}

/// When the request is given up, the service is too.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
