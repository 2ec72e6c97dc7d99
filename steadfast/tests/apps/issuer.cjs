// The same by `jose`: an app that asks tokens for their issuer, and says why it refuses one.
const http = require("node:http");
const { jwtVerify } = require("jose");

const key = new TextEncoder().encode(process.env.SECRET_KEY);
const rules = { algorithms: ["HS256"], issuer: "https://app.example" };

const server = http.createServer(async (request, response) => {
  const send = (status, body) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  };
  if (request.url !== "/api/auth/verify") return send(200, { status: "ok", pid: process.pid });
  try {
    const token = (request.headers.authorization || "").replace("Bearer ", "");
    const { payload } = await jwtVerify(token, key, rules);
    return send(200, { valid: true, user: payload.sub });
  } catch (why) {
    return send(401, { detail: [why.code, why.claim].join(" ") });
  }
});
server.listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
