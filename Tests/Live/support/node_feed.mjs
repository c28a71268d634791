// Node's own WebSocket on a feed: prints one JSON line per thing that happens, says what it is told on the command line.
// Usage: node --experimental-websocket node_feed.mjs URL [TEXT…]
const [url, ...texts] = process.argv.slice(2);
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const socket = new WebSocket(url);
socket.addEventListener("open", () => {
  say({ open: true });
  for (const text of texts) socket.send(text);
});
socket.addEventListener("message", (event) => say({ message: event.data }));
socket.addEventListener("error", () => say({ error: true }));
socket.addEventListener("close", (event) => say({ close: event.code }));
