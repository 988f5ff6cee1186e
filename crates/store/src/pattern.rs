//! Patterns of channel names, with the settings of the channels that they match.

use std::fmt;
use std::sync::Arc;

use tidewire_channel::Retention;

use crate::name::{ChannelName, NameError};
use crate::settings::{ChannelSettings, Retain};
use crate::settings_text::{SettingsError, SettingsLimits, SettingsText};

/// A pattern of channel names. A segment `*` stands for any one segment. `/**` at the end stands
/// for nothing, or for any segments: `a/**` is `a` and all names below it, and `**` is every name.
/// All other segments stand for themselves.
///
/// ```
/// use tidewire_store::{ChannelName, ChannelPattern};
///
/// let pattern: ChannelPattern = "rooms/*/log".parse()?;
/// assert!(pattern.matches(&ChannelName::new("rooms/42/log")?));
/// assert!(!pattern.matches(&ChannelName::new("rooms/42")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPattern {
    /// At least one. `None` is a `*`.
    segments: Box<[Option<Box<str>>]>,
    /// Whether it ends in `/**`.
    is_deep: bool,
}

impl ChannelPattern {
    /// Whether the pattern matches this name.
    #[must_use]
    pub fn matches(&self, name: &ChannelName) -> bool {
        let mut segments = name.segments();
        let begins = self.segments.iter().all(|own| {
            segments.next().is_some_and(|segment| own.as_deref().is_none_or(|literal| literal == segment))
        });
        begins && (self.is_deep || segments.next().is_none())
    }

    /// Whether the pattern matches every name that the other one matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let has_length = if self.is_deep {
            self.segments.len() <= other.segments.len()
        } else {
            self.segments.len() == other.segments.len() && !other.is_deep
        };
        has_length
            && self.segments.iter().zip(&other.segments).all(|(own, other)| own.is_none() || own == other)
    }
}

impl std::str::FromStr for ChannelPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (segments, is_deep) = match text {
            "**" => ("*", true),
            _ => match text.strip_suffix("/**") {
                Some(segments) => (segments, true),
                None => (text, false),
            },
        };
        let mut example = String::with_capacity(segments.len());
        let mut all = Vec::new();
        for segment in segments.split('/') {
            let literal = Some(segment).filter(|&segment| segment != "*");
            if literal.is_some_and(|literal| literal.contains('*')) {
                return Err(PatternError::Star);
            }
            if !all.is_empty() {
                example.push('/');
            }
            example.push_str(literal.unwrap_or(ANY));
            all.push(literal.map(Into::into));
        }
        // A pattern that no name can match is a mistake. `a@presence/**` has names below it.
        match ChannelName::new(&example) {
            Err(NameError::Reserved) if is_deep => {
                ChannelName::new(&format!("{example}/{ANY}")).map_err(PatternError::Name)?;
            }
            checked => drop(checked.map_err(PatternError::Name)?),
        }
        Ok(ChannelPattern { segments: all.into(), is_deep })
    }
}

/// A segment for which a `*` stands.
const ANY: &str = "x";

impl fmt::Display for ChannelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_deep && matches!(&*self.segments, [None]) {
            return f.write_str("**");
        }
        for (n, segment) in self.segments.iter().enumerate() {
            let slash = if n == 0 { "" } else { "/" };
            write!(f, "{slash}{}", segment.as_deref().unwrap_or("*"))?;
        }
        f.write_str(if self.is_deep { "/**" } else { "" })
    }
}

/// The text is not a pattern with settings, or says nothing. Displays as a clause that says what to
/// write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// More than [`SettingsLimits::max_text`] bytes.
    #[error("a pattern and its settings have at most {0} bytes; use a shorter pattern")]
    TooLong(usize),
    /// More than [`SettingsLimits::max_patterns`] patterns.
    #[error("there are more than {0} patterns; use * and ** to match several channels with one")]
    TooMany(usize),
    /// A `*` that is not a whole segment, or a `**` that is not the last one.
    #[error(
        "in a pattern * stands for a whole segment, and ** for all segments at the end; write a/* or a/**"
    )]
    Star,
    /// No name can match the pattern.
    #[error(transparent)]
    Name(NameError),
    /// The settings after the `?`.
    #[error(transparent)]
    Settings(SettingsError),
    /// An earlier pattern matches every name that this one matches.
    #[error("pattern number {0} matches the same channels and comes first; put the longer pattern before it")]
    Hidden(usize),
}

/// Patterns in their order, each with its settings: the first one that matches a name decides.
#[derive(Clone, Debug, Default)]
pub struct ChannelPatterns(Vec<(ChannelPattern, Arc<ChannelSettings>)>);

impl ChannelPatterns {
    /// No patterns.
    pub const fn none() -> Self {
        ChannelPatterns(Vec::new())
    }

    /// Adds a pattern with its settings, after all others: `rooms/*?retain-messages=10&expire=1h`.
    /// The limits that the settings do not name are those of `retention`. Returns the settings.
    ///
    /// # Errors
    /// [`PatternError`]; nothing is added.
    pub fn add(
        &mut self,
        text: &str,
        retention: Retention,
        limits: &SettingsLimits,
    ) -> Result<Arc<ChannelSettings>, PatternError> {
        if text.len() > limits.max_text {
            return Err(PatternError::TooLong(limits.max_text));
        }
        if self.0.len() >= limits.max_patterns {
            return Err(PatternError::TooMany(limits.max_patterns));
        }
        let (pattern, settings) = text.split_once('?').unwrap_or((text, ""));
        let before = pattern.len().saturating_add(1);
        let pattern: ChannelPattern = pattern.parse()?;
        let settings = SettingsText::parse(settings.as_bytes(), limits)
            .map_err(|error| PatternError::Settings(error.after(before)))?;
        if let Some(n) = self.0.iter().position(|(earlier, _)| earlier.covers(&pattern)) {
            return Err(PatternError::Hidden(n.saturating_add(1)));
        }
        let base = ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention));
        let settings = Arc::new(settings.over(&base, retention));
        self.0.push((pattern, settings.clone()));
        Ok(settings)
    }

    /// The settings of the first pattern that matches.
    #[must_use]
    pub fn settings_of(&self, name: &ChannelName) -> Option<&Arc<ChannelSettings>> {
        self.0.iter().find(|(pattern, _)| pattern.matches(name)).map(|(_, settings)| settings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::Expiry;
    use crate::settings_text::{Setting, SettingsErrorKind};

    fn pattern(text: &str) -> ChannelPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Names of up to three segments, with few different ones.
    fn names() -> Vec<ChannelName> {
        let mut all: Vec<String> = vec!["a".into(), "b".into(), "x".into()];
        for _ in 0..2 {
            let longer = all.iter().flat_map(|name| ["a", "b", "x"].map(|last| format!("{name}/{last}")));
            all = all.iter().cloned().chain(longer).collect();
        }
        all.iter().map(|name| ChannelName::new(name).unwrap()).collect()
    }

    /// The words of the documentation, as a simple recursion.
    fn matches(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([], []) | (["**"], _) => true,
            (["*", pattern @ ..], [_, name @ ..]) => matches(pattern, name),
            ([one, pattern @ ..], [other, name @ ..]) => one == other && matches(pattern, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_their_words_say(
            texts in prop::array::uniform2("(\\*|a|b)(/(\\*|a|b)){0,2}(/\\*\\*)?|\\*\\*")
        ) {
            let patterns = [pattern(&texts[0]), pattern(&texts[1])];
            let matched = [0, 1].map(|n: usize| -> Vec<bool> {
                let segments: Vec<&str> = texts[n].split('/').collect();
                names().iter().map(|name| {
                    let expected = matches(&segments, &name.segments().collect::<Vec<_>>());
                    assert_eq!(patterns[n].matches(name), expected, "{} {name}", texts[n]);
                    expected
                }).collect()
            });
            prop_assert_eq!(pattern(&patterns[0].to_string()), patterns[0].clone());
            let covers = matched[0].iter().zip(&matched[1]).all(|(one, other)| *one || !other);
            // The names are shorter than the longest pattern: one of more segments matches none.
            if matched[1].iter().any(|one| *one) && !patterns[1].is_deep {
                prop_assert_eq!(patterns[0].covers(&patterns[1]), covers, "{:?}", texts);
            } else if patterns[0].covers(&patterns[1]) {
                prop_assert!(covers, "{:?}", texts);
            }
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for (text, error) in [
            ("", PatternError::Name(NameError::Empty)),
            ("/**", PatternError::Name(NameError::Empty)),
            ("room-*", PatternError::Star),
            ("**/a", PatternError::Star),
            ("a**", PatternError::Star),
            ("a/**/**", PatternError::Star),
            ("a//*", PatternError::Name(NameError::EmptySegment)),
            ("a/", PatternError::Name(NameError::EmptySegment)),
            ("a/../*", PatternError::Name(NameError::DotSegment)),
            ("a%2Fb", PatternError::Name(NameError::BadCharacter)),
            ("a,b", PatternError::Name(NameError::BadCharacter)),
            ("__a/**", PatternError::Name(NameError::Reserved)),
            ("a/b@presence", PatternError::Name(NameError::Reserved)),
        ] {
            assert_eq!(text.parse::<ChannelPattern>(), Err(error), "{text}");
        }
        assert!(pattern("a@presence/**").matches(&ChannelName::new("a@presence/b").unwrap()));
    }

    #[test]
    fn a_pattern_covers_another_if_it_matches_all_of_its_names() {
        for (one, other, covers) in [
            ("a", "a", true),
            ("*", "a", true),
            ("a", "*", false),
            ("**", "*", true),
            ("**", "a/b/**", true),
            ("*/**", "**", true),
            ("a/**", "a", true),
            ("a/**", "a/*/b", true),
            ("a/*", "a/**", false),
            ("a/*/**", "a/**", false),
            ("a/*", "b/*", false),
        ] {
            assert_eq!(pattern(one).covers(&pattern(other)), covers, "{one} {other}");
        }
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let (retention, limits) = (Retention::DEFAULT, SettingsLimits::DEFAULT.with_max_patterns(3));
        let mut patterns = ChannelPatterns::none();
        let add =
            |patterns: &mut ChannelPatterns, text: &str| patterns.add(text, retention, &limits).map(drop);
        add(&mut patterns, "a/b?retain=all").unwrap();
        add(&mut patterns, "a/*?expire=1s").unwrap();
        assert_eq!(add(&mut patterns, "a/c?retain=all"), Err(PatternError::Hidden(2)));
        let bad = add(&mut patterns, "b?type=a/b&retain=1").unwrap_err();
        let PatternError::Settings(error) = bad else { panic!("{bad:?}") };
        assert_eq!((error.kind(), error.offset()), (SettingsErrorKind::BadValue(Setting::Retain), 11));
        let long = format!("{}?", "a".repeat(1024));
        assert_eq!(add(&mut patterns, &long), Err(PatternError::TooLong(1024)));
        add(&mut patterns, "a/**").unwrap();
        assert_eq!(add(&mut patterns, "c"), Err(PatternError::TooMany(3)));
        let of = |name: &str| patterns.settings_of(&ChannelName::new(name).unwrap()).cloned();
        assert_eq!(of("a/b").unwrap().retain, Retain::All);
        assert_eq!(of("a/c").unwrap().expiry, Some(Expiry::Sliding { ms: 1000 }));
        assert_eq!(of("a").unwrap().retain, Retain::Bounded(retention));
        assert!(of("b").is_none());
    }
}
