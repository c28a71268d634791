// Node's own WebSocket against an echo: sends text and bytes, prints what came back and how it closed as one JSON line.
// Usage: node --experimental-websocket node_echo.mjs URL SIZE
const [url, size] = process.argv.slice(2);
const bytes = new Uint8Array(Number(size)).map((_, index) => index % 251);
const texts = ["", "κόσμε €", "x".repeat(70000)];
const seen = { texts: 0, bytes: false };
const socket = new WebSocket(url);
socket.binaryType = "arraybuffer";
socket.addEventListener("open", () => {
  for (const text of texts) socket.send(text);
  socket.send(bytes);
});
socket.addEventListener("message", (event) => {
  if (typeof event.data === "string") {
    seen.texts += event.data === texts[seen.texts] ? 1 : NaN;
    return;
  }
  const echo = new Uint8Array(event.data);
  seen.bytes = echo.length === bytes.length && echo.every((byte, index) => byte === bytes[index]);
  socket.close(4321, "enough");
});
socket.addEventListener("error", () => (seen.error = true));
socket.addEventListener("close", (event) =>
  process.stdout.write(JSON.stringify({ ...seen, code: event.code, clean: event.wasClean }) + "\n"));
