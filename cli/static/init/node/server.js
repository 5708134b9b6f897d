// A page that counts its visitors as they come, with Node's own library alone.
import { createServer } from "node:http";

const title = "@TITLE@";
const port = Number(process.env.PORT ?? 7860);
const escaped = title.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
let visits = 0;

const page = `<!doctype html>
<meta charset="utf-8"><title>${escaped}</title>
<h1>${escaped}</h1>
<p>Visits: <output>…</output></p>
<script>
new EventSource("visits").onmessage = (event) => {
    document.querySelector("output").textContent = event.data;
};
</script>`;
const watchers = new Set();

createServer((request, response) => {
    if (request.url === "/") {
        visits++;
        response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page);
        for (const watcher of watchers) watcher.write(`data: ${visits}\n\n`);
    } else if (request.url === "/visits") {
        response.writeHead(200, { "Content-Type": "text/event-stream" }).write(`data: ${visits}\n\n`);
        watchers.add(response);
        request.on("close", () => watchers.delete(response));
    } else {
        response.writeHead(404).end("There is no such page.\n");
    }
}).listen(port, "0.0.0.0", () => console.log(`listening on port ${port}`));
