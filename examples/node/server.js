// A small Node backend without dependencies. It listens where PORT says, and ends when it has answered everyone.
'use strict';
const http = require('node:http');

const port = Number(process.env.PORT || 3000);
const host = process.env.HOST || '127.0.0.1';
const effects = new Map();

function answer(res, status, body) {
  const text = JSON.stringify(body);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  if (req.method === 'GET' && url.pathname === '/api/health') {
    return answer(res, 200, { status: 'ok', uptime: process.uptime(), pid: process.pid });
  }
  if (req.method === 'GET' && url.pathname === '/api/client') {
    return answer(res, 200, { peer: req.socket.remoteAddress, forwarded: req.headers['x-forwarded-for'] || null });
  }
  if (req.method === 'POST' && url.pathname === '/api/effect') {
    let text = '';
    req.setEncoding('utf8');
    req.on('data', (chunk) => { text += chunk; });
    return req.on('end', () => {
      let id;
      try {
        id = JSON.parse(text).id;
      } catch {
        return answer(res, 400, { error: 'the body is no JSON' });
      }
      effects.set(id, (effects.get(id) || 0) + 1);
      return answer(res, 200, { id, count: effects.get(id), pid: process.pid });
    });
  }
  return answer(res, 404, { error: 'no such route' });
});

server.listen(port, host, () => console.log(`listening on ${host}:${server.address().port}`));

process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
