//! The examples are the files of `examples/examples`; run one with `cargo run -p tidewire-examples --example NAME`.
