//! A naive decoder, as an oracle: it has the whole stream, and follows the text of the standard
//! step by step. The fuzz targets use this file too.

/// HTML §9.2.6, with its sentences as comments. Returns the lines that `docs/wire/sse.md` shows,
/// without offsets.
pub fn decode_by_the_standard(stream: &[u8]) -> Vec<String> {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one byte order mark.
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // "Lines must be separated by either CRLF, LF or CR". Text after the last of them is not a line
    // yet.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop();

    let show = |text: &str| tidewire_testkit::show(text.as_bytes());
    let (mut data, mut event_type, mut last_id) = (String::new(), String::new(), String::new());
    let (mut last_event_id, mut saw_id) = (String::new(), false);
    let mut log = Vec::new();
    for line in lines {
        // "If the line is empty (a blank line): dispatch the event."
        if line.is_empty() {
            // "Set the last event ID string of the event source to the value of the last event ID
            // buffer."
            last_event_id.clone_from(&last_id);
            // "If the data buffer is an empty string, set the data buffer and the event type buffer
            // to the empty string and return."
            if data.is_empty() {
                if saw_id {
                    log.push(format!("id {}", show(&last_event_id)));
                }
            } else {
                // "If the data buffer's last character is a LF, then remove it."
                let data = data.strip_suffix('\n').unwrap_or(&data);
                let name = if event_type.is_empty() { "message" } else { &event_type };
                let (name, data, id) = (show(name), show(data), show(&last_event_id));
                log.push(format!("message type={name} data={data} id={id}"));
            }
            data.clear();
            event_type.clear();
            saw_id = false;
            continue;
        }
        // In short: a line that starts with a colon is ignored. The name is before the first colon,
        // the value after it, without one space. Without a colon the line is a name, and the value
        // is empty.
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => event_type = value.into(),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => {
                last_id = value.into();
                saw_id = true;
            }
            // "If the field value consists of only ASCII digits, then interpret the field value as
            // an integer in base ten."
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                log.push(format!("retry {}", value.parse::<u64>().unwrap_or(u64::MAX)));
            }
            _ => {}
        }
    }
    log
}
