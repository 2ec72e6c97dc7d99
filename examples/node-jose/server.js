// Sign-in with `jose`: tokens under SECRET_KEY, which Steadfast made and keeps.
const http = require("node:http");
const { randomBytes, timingSafeEqual, createHash } = require("node:crypto");
const { SignJWT, jwtVerify } = require("jose");

const key = new TextEncoder().encode(process.env.SECRET_KEY || randomBytes(64).toString("hex"));
const algorithm = "HS512";
const bodyBytesMax = 64 * 1024;

const hash = (text) => createHash("sha256").update(text).digest();

function send(response, status, body, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers });
  response.end(JSON.stringify(body));
}

async function read(request) {
  let text = "";
  for await (const piece of request) {
    text += piece;
    if (text.length > bodyBytesMax) throw new Error("too long");
  }
  return JSON.parse(text);
}

async function login(request, response) {
  const { user, password } = await read(request);
  const wanted = process.env.DEMO_PASSWORD || "demo";
  if (typeof user !== "string" || !timingSafeEqual(hash(String(password)), hash(wanted))) {
    return send(response, 401, { detail: "wrong user or password" }, { "WWW-Authenticate": "Bearer" });
  }
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: algorithm, typ: "JWT" })
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime("7d")
    .sign(key);
  return send(response, 200, { token, user });
}

async function verify(request, response) {
  const [scheme, token] = (request.headers.authorization || "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token) {
    return send(response, 401, { detail: "no token" }, { "WWW-Authenticate": "Bearer" });
  }
  try {
    const { payload } = await jwtVerify(token, key, { algorithms: [algorithm] });
    return send(response, 200, { valid: true, user: payload.sub });
  } catch {
    const challenge = { "WWW-Authenticate": 'Bearer error="invalid_token"' };
    return send(response, 401, { detail: "this token is not valid" }, challenge);
  }
}

const server = http.createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  try {
    if (request.method === "GET" && path === "/api/health") return send(response, 200, { status: "ok", pid: process.pid });
    if (request.method === "POST" && path === "/api/auth/login") return await login(request, response);
    if (request.method === "GET" && path === "/api/auth/verify") return await verify(request, response);
    return send(response, 404, { detail: "not found" });
  } catch {
    return send(response, 400, { detail: "not understood" });
  }
});
server.listen(Number(process.env.PORT || 8002), process.env.HOST || "127.0.0.1");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
