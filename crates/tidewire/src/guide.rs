//! What the program says about itself: at its start, and on a first page that is text.

/// Lines to paste into a terminal, for a server at `base` (`http://127.0.0.1:8080`): one for each
/// technique.
pub fn guide(base: &str) -> String {
    format!(
        "\
Tidewire: one URL, one log, one cursor.

  publish       curl -d 'hello' {base}/c/demo
  short poll    curl '{base}/c/demo'
  long poll     curl '{base}/c/demo?wait=25'
  SSE           curl -N '{base}/c/demo?feed=sse&since=earliest'
  stream        curl -N '{base}/c/demo?feed=stream&since=earliest'
  WebSocket     any client at ws{ws}/c/demo   (subprotocol tidewire.v1 speaks JSON both ways)

Every answer has a cursor; ?since=CURSOR goes on from it on any of them.
",
        ws = base.strip_prefix("http").unwrap_or(base)
    )
}
