// npm ws as an echo server with permessage-deflate. It prints its port. The second argument is the
// setting, as JSON.
const { WebSocketServer } = require(process.argv[2] + '/node_modules/ws');
const perMessageDeflate = { threshold: 0, ...JSON.parse(process.argv[3]) };
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate, maxPayload: 1 << 26 });
server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
