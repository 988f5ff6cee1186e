"""Python's websockets as an echo server with permessage-deflate.

It prints its port. The first argument is the setting, as JSON.
"""
import json
import sys
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory as Deflate
from websockets.sync.server import serve

def echo(socket):
    for message in socket:
        socket.send(message)

deflate = [Deflate(**json.loads(sys.argv[1]))]
with serve(echo, "127.0.0.1", 0, extensions=deflate, compression=None, max_size=1 << 26) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
