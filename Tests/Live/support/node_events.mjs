// Node's own EventSource on a stream: prints one JSON line per thing that happens. It reconnects by itself.
// Usage: node --experimental-eventsource node_events.mjs URL
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const source = new EventSource(process.argv[2]);
source.addEventListener("open", () => say({ open: true }));
source.addEventListener("message", (event) => say({ message: event.data, id: event.lastEventId }));
source.addEventListener("error", () => say({ error: source.readyState }));
// Its wait for the next attempt doesn't keep Node running.
setInterval(() => {}, 60_000);
