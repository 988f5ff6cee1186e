"""Python's websockets as a client: the same test as client.js."""
import sys
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Deflate
from websockets.sync.client import connect

SETTINGS = [
    {},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_max_window_bits": 15, "client_max_window_bits": 12},
]
LENGTHS = [0, 1, 20, 125, 126, 1000, 1025, 20000, 65535, 65536, 300000]

for setting in SETTINGS:
    with connect(sys.argv[1], extensions=[Deflate(**setting)], compression=None, max_size=1 << 26) as socket:
        assert socket.protocol.extensions, "deflate was not negotiated"
        for length in LENGTHS:
            noise = bytes((i * i * 31 + (i >> 3) * 17) & 255 for i in range(length))
            for message in ["tide " * (length // 5), noise, "κόσμε 🌊 " * (length // 9)]:
                socket.send(message)
                assert socket.recv() == message, (setting, length)
            # In fragments, each of which websockets compresses separately.
            socket.send(iter(["a" * length, "", "b" * length]))
            assert socket.recv() == "a" * length + "b" * length
print("ok")
