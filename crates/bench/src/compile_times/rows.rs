//! What is built. A group compares crates that do the same work.

use tidewire_testkit::run::root;

pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) rows: &'static [Row],
}

/// A dependency. The name is unique.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What is special, in words, for the table.
    pub(super) features: &'static str,
    /// The dependency, and what a program needs beside it.
    dependencies: &'static [Dependency],
}

struct Dependency {
    name: &'static str,
    from: From,
    default: bool,
    features: &'static [&'static str],
}

enum From {
    /// A folder of `crates/`.
    Folder(&'static str),
    /// A version on crates.io.
    Version(&'static str),
}

impl Row {
    /// The name of the dependency that the row is about.
    pub(super) fn dependency(&self) -> &'static str {
        self.dependencies[0].name
    }

    /// The lines of the manifest.
    pub(super) fn manifest(&self) -> String {
        let lines = self.dependencies.iter().map(|dependency| {
            let source = match dependency.from {
                From::Folder(folder) => {
                    format!("path = {:?}", root().join("crates").join(folder).display().to_string())
                }
                From::Version(version) => format!("version = {version:?}"),
            };
            let Dependency { name, default, features, .. } = dependency;
            format!("{name} = {{ {source}, default-features = {default}, features = {features:?} }}\n")
        });
        lines.collect()
    }
}

const fn ours(name: &'static str, folder: &'static str, features: &'static [&'static str]) -> Dependency {
    Dependency { name, from: From::Folder(folder), default: true, features }
}

const fn other(name: &'static str, version: &'static str, features: &'static [&'static str]) -> Dependency {
    Dependency { name, from: From::Version(version), default: true, features }
}

/// Without default features.
const fn bare(name: &'static str, version: &'static str, features: &'static [&'static str]) -> Dependency {
    Dependency { name, from: From::Version(version), default: false, features }
}

#[rustfmt::skip]
pub(super) const GROUPS: &[Group] = &[
    Group { title: "WebSocket, without tokio", rows: &[
        Row { name: "ws", features: "", dependencies: &[ours("tidewire-ws", "ws", &[])] },
        Row { name: "ws-blocking", features: "`blocking`",
              dependencies: &[ours("tidewire-ws", "ws", &["blocking"])] },
        Row { name: "tungstenite", features: "", dependencies: &[other("tungstenite", "0.30", &[])] },
    ] },
    Group { title: "WebSocket over a tokio stream", rows: &[
        Row { name: "ws-tokio", features: "`accept`, `connect`",
              dependencies: &[ours("tidewire-ws", "ws", &["accept", "connect"])] },
        Row { name: "tokio-tungstenite", features: "",
              dependencies: &[other("tokio-tungstenite", "0.30", &[])] },
        Row { name: "fastwebsockets", features: "`upgrade`",
              dependencies: &[other("fastwebsockets", "0.10", &["upgrade"])] },
        Row { name: "tokio-websockets", features: "`client`, `server`, `getrandom`, `sha1_smol`",
              dependencies: &[
                  other("tokio-websockets", "0.13", &["client", "server", "getrandom", "sha1_smol"]),
              ] },
    ] },
    Group { title: "WebSocket over a tokio stream, with permessage-deflate", rows: &[
        Row { name: "ws-tokio-deflate", features: "`tokio`, `deflate`",
              dependencies: &[ours("tidewire-ws", "ws", &["tokio", "deflate"])] },
        Row { name: "yawc", features: "without TLS", dependencies: &[bare("yawc", "0.5", &[])] },
    ] },
    Group { title: "Server-Sent Events", rows: &[
        Row { name: "sse", features: "", dependencies: &[ours("tidewire-sse", "sse", &[])] },
        Row { name: "sse-stream", features: "`stream`",
              dependencies: &[ours("tidewire-sse", "sse", &["stream"])] },
        Row { name: "eventsource-stream", features: "",
              dependencies: &[other("eventsource-stream", "0.2", &[])] },
        Row { name: "axum-sse", features: "for its `Sse`: `http1`, `tokio`",
              dependencies: &[bare("axum", "0.8", &["http1", "tokio"])] },
        Row { name: "reqwest-eventsource", features: "with reqwest",
              dependencies: &[other("reqwest-eventsource", "0.6", &[])] },
    ] },
    Group { title: "HTTP/1.1 and the chunked coding, without IO", rows: &[
        Row { name: "http1", features: "heads, bodies and the connection",
              dependencies: &[ours("tidewire-http1", "http1", &[])] },
        Row { name: "httparse", features: "heads only", dependencies: &[other("httparse", "1.10", &[])] },
        Row { name: "hyper", features: "`http1`, `client`, `server`",
              dependencies: &[bare("hyper", "1", &["http1", "client", "server"])] },
        Row { name: "chunked", features: "", dependencies: &[ours("tidewire-chunked", "chunked", &[])] },
    ] },
    Group { title: "An HTTP server on tokio", rows: &[
        Row { name: "server", features: "", dependencies: &[ours("tidewire-server", "server", &[])] },
        Row { name: "hyper-util", features: "hyper with `http1` and `server`",
              dependencies: &[
                  bare("hyper-util", "0.1", &["http1", "server", "service", "tokio"]),
                  bare("hyper", "1", &["http1", "server"]),
                  bare("tokio", "1", &["macros", "net", "rt"]),
              ] },
        Row { name: "axum", features: "",
              dependencies: &[other("axum", "0.8", &[]), bare("tokio", "1", &["macros", "net", "rt"])] },
    ] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_unique_and_every_folder_exists() {
        let rows: Vec<_> = GROUPS.iter().flat_map(|group| group.rows).collect();
        let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        for dependency in rows.iter().flat_map(|row| row.dependencies) {
            if let From::Folder(folder) = dependency.from {
                assert!(root().join("crates").join(folder).join("Cargo.toml").is_file(), "{folder}");
            }
        }
    }

    #[test]
    fn a_manifest_names_the_source_and_the_features() {
        const DEPENDENCIES: &[Dependency] = &[bare("hyper", "1", &["http1"])];
        let row = Row { name: "x", features: "", dependencies: DEPENDENCIES };
        assert_eq!(
            row.manifest(),
            "hyper = { version = \"1\", default-features = false, features = [\"http1\"] }\n"
        );
    }
}
