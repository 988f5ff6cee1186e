//! `DELETE /c/{name}`: deletes the log of a channel. Its readers are told.

use tidewire_server::{Problem, Reply, Response};
use tidewire_store::ChannelName;

use crate::context::SiteContext;
use crate::cors::Access;
use crate::refusal::{hub_refusal, refusal, vary};
use crate::table::Ticket;

/// Answers a DELETE: 204, or 404 if there is no such log. Content in the request has no meaning
/// (RFC 9110 §9.3.5), and is not read.
pub(crate) fn handle(
    context: &SiteContext,
    names: &[ChannelName],
    access: &Access,
) -> Result<Reply<Ticket>, Problem> {
    access.require()?;
    let [name] = names else {
        return Err(Problem::new(400, "A DELETE is for one channel; delete each in turn."));
    };
    let (hub, name, access) = (context.hub.clone(), name.clone(), access.clone());
    Ok(Reply::Later(Box::pin(async move {
        let outcome = match hub.delete(&name).await {
            Ok(true) => return vary(&access, Response::new(204)).into(),
            Ok(false) => Problem::new(404, "There is no such channel; it was never written, or is deleted."),
            Err(error) => hub_refusal(error),
        };
        refusal(&access, outcome).into()
    })))
}
