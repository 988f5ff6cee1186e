//! A chat: `cargo run -p tidewire-examples --example chat -- 127.0.0.1:8080`, then open <http://127.0.0.1:8080/> in two windows.
//!
//! All of it is a page and a channel. The page reads with `EventSource` and writes with `fetch`. A terminal does the same:
//!
//! ```text
//! curl -N 'http://127.0.0.1:8080/c/lobby?feed=sse&since=earliest'
//! curl -d 'hello from a terminal' http://127.0.0.1:8080/c/lobby
//! ```
//! Close the lid and come back: the browser resumes after the last line that it has, and if lines are gone by then, it says how many.

use std::error::Error;
use std::sync::Arc;

use tidewire::server::http1::Method;
use tidewire::server::{Handler, Listen, Parked, Reply, Request, Response, Server, Signals};
use tidewire::{Hub, HubConfig, Settings, Site, Ticket};

const PAGE: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Chat</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: auto; padding: 1rem } input, button { font: inherit }</style>
<h1>Lobby</h1>
<ul id="lines" aria-live="polite"></ul>
<form id="form">
  <label>Name <input id="name" required maxlength="20" size="8"></label>
  <label>Text <input id="text" required maxlength="1000" autocomplete="off"></label>
  <button>Send</button>
</form>
<p id="state" role="status">connecting</p>
<script>
const at = id => document.getElementById(id);
const show = text => {
  const line = document.createElement('li');
  line.textContent = text; // as text: what people write is never HTML
  at('lines').append(line);
};
const source = new EventSource('/c/lobby?since=earliest');
source.onopen = () => at('state').textContent = 'connected';
source.onerror = () => at('state').textContent = 'away, coming back';
source.onmessage = event => {
  let said;
  try { said = JSON.parse(event.data); } catch { /* from a terminal */ }
  show(said?.name ? `${said.name}: ${said.text}` : event.data);
};
source.addEventListener('gap', event => show(`(${JSON.parse(event.data).missed} lines are gone)`));
source.addEventListener('reset', () => show('(the server has started anew)'));
at('form').onsubmit = async event => {
  event.preventDefault();
  const body = JSON.stringify({ name: at('name').value, text: at('text').value });
  const answer = await fetch('/c/lobby', { method: 'POST', body });
  if (answer.ok) at('text').value = '';
  else at('state').textContent = (await answer.json()).detail;
};
</script>
</html>
"#;

/// The page at `/`; all else is the site's.
struct Chat {
    site: Site,
}

impl Handler for Chat {
    type Ticket = Ticket;

    fn handle(&self, request: Request<'_>) -> Reply<Ticket> {
        match (request.head.path(), request.head.method()) {
            (b"/", Method::Get | Method::Head) => Response::new(200)
                .with("Content-Type", "text/html; charset=utf-8")
                .with("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
                .body(PAGE)
                .into(),
            _ => self.site.handle(request),
        }
    }

    fn detached(&self, connection: Parked, ticket: Ticket) {
        self.site.detached(connection, ticket);
    }

    fn drain(&self) {
        self.site.drain();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let listen: Listen = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let server = Server::builder().listen(listen).bind()?;
    let signals = Signals::catch()?;
    println!("chat on http://{}", server.addresses()[0]);
    let hub = Hub::new(HubConfig::default(), server.threads());
    let settings = Arc::new(Settings::default());
    let make = move |worker| Chat { site: Site::new(hub.clone(), settings.clone(), worker) };
    server.serve(make)?.join_until(signals)?;
    Ok(())
}
