// A Node backend: listens on --socket PATH, else on PORT as Node apps do.
const http = require("node:http");
const fs = require("node:fs");

const socketAt = process.argv.indexOf("--socket");
const where = socketAt > 0 ? process.argv[socketAt + 1] : { port: Number(process.env.PORT), host: "127.0.0.1" };

const server = http.createServer((request, response) => {
  const answer = (status, value) => {
    const body = JSON.stringify(value);
    response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  };
  if (request.url === "/api/health") return answer(200, { status: "ok", pid: process.pid });
  if (request.url === "/api/effect" && request.method === "POST") {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      const { id } = JSON.parse(body);
      fs.appendFileSync(process.env.EFFECT_LOG, id + "\n");
      answer(200, { done: id });
    });
    return;
  }
  answer(404, { error: "no such page" });
});
server.listen(where, () => console.log("listening", where));
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
