//! Any bytes as the name of a channel in a path: a simple parser says the same, and a name that was
//! decoded stays as it is when it is decoded again.

use tidewire_store::ChannelName;

pub fn run(data: &[u8]) {
    let name = ChannelName::decode(data);
    assert_eq!(name.as_ref().ok().map(|name| name.as_str().to_owned()), simple(data), "{name:?}");
    if let Ok(name) = name {
        assert_eq!(ChannelName::decode(name.as_str().as_bytes()), Ok(name.clone()));
        assert_eq!(name.segments().collect::<Vec<_>>().join("/"), name.as_str());
    }
}

/// The rule in the words of `docs/http-api.md`: decode, look at each character, then at each
/// segment.
fn simple(data: &[u8]) -> Option<String> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@-";
    let text = std::str::from_utf8(data).ok()?;
    let mut name = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let letter = LETTERS.chars().find(|letter| {
            let code = format!("%{:02x}", u32::from(*letter));
            rest.starts_with(*letter) || rest.get(..3).is_some_and(|text| text.to_lowercase() == code)
        });
        name.push(letter.or((first == '/').then_some('/'))?);
        rest = &rest[if first == '%' { 3 } else { 1 }..];
    }
    let is_wrong = |segment: &str| ["", ".", ".."].contains(&segment);
    let is_reserved =
        name.get(..2) == Some("__") || name.rsplit('@').next() == Some("presence") && name.contains('@');
    (!name.split('/').any(is_wrong) && !is_reserved && name.len() <= 128).then_some(name)
}
