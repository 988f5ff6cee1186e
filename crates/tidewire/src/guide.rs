//! The commands that the program shows at its start, and on its first page as text.

/// Returns commands to paste into a terminal, one for each technique. `base` is the address of the
/// server, such as `http://127.0.0.1:8080`.
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

Every answer has a cursor. ?since=CURSOR continues after it, with any of these techniques.
",
        ws = base.strip_prefix("http").unwrap_or(base)
    )
}
