// An echo server on uWebSockets, for `cargo xtask bench-ws`: `uws_echo PORT`.
// It answers from the library's cork buffer, once per read.

#include "App.h"
#include <cstdlib>
#include <string_view>

struct Nothing {};

int main(int argc, char **argv) {
    int port = argc > 1 ? std::atoi(argv[1]) : 9001;
    uWS::App()
        .ws<Nothing>("/*", {
            .compression = uWS::DISABLED,
            .maxPayloadLength = 64 * 1024 * 1024,
            .idleTimeout = 0,
            .maxBackpressure = 1024 * 1024 * 1024,
            .message = [](auto *socket, std::string_view message, uWS::OpCode code) {
                socket->send(message, code);
            },
        })
        .listen("127.0.0.1", port, [](auto *listening) { if (!listening) std::exit(1); })
        .run();
}
