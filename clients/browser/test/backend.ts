/**
 * A backend as a function from a request to an answer: Steadfast's API to its contract, or an ordinary one as
 * FastAPI makes it. Whatever goes wrong on the way is put in front of it with `fault`.
 */
import { createHash, randomBytes } from "node:crypto";

export type Fault = (request: Request, pass: () => Promise<Response>) => Promise<Response> | Response;

interface Row {
  sid: string;
  user: string;
  mode: string;
  ended: boolean;
  /** Rotating: H(t) and H(a) of what was handed out, newest last. */
  chain: { t: string; a?: string; next?: string }[];
}

const id = (bytes: number) => randomBytes(bytes).toString("base64url");
const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(status == 204 ? null : JSON.stringify(body), {
    status,
    headers: { "content-type": status < 400 ? "application/json" : "application/problem+json", "cache-control": "no-store", ...headers },
  });

export class Backend {
  /** Every request that arrived, as "GET /path". */
  readonly seen: string[] = [];
  readonly requests: Request[] = [];
  fault: Fault | undefined;
  /** Without Steadfast in front: no nonce, no source, FastAPI's 401. */
  plain = false;
  /** What the program behind it answers. */
  program: (request: Request) => Promise<Response> | Response = () => json(200, { hello: "world" });
  private readonly rows = new Map<string, Row>();
  private readonly tokens = new Map<string, string>();

  count(what: string): number {
    return this.seen.filter((line) => line == what).length;
  }
  open(user: string, mode: "cookie" | "bearer" | "rotating"): { token: string; sid: string } {
    const sid = id(16);
    const kind = mode[0];
    const token = mode == "rotating" ? `sf1.r.${id(8)}.${sid}.0.${id(32)}.${id(32)}` : `sf1.${kind}.${id(8)}.${id(32)}`;
    this.rows.set(sid, { sid, user, mode, ended: false, chain: [{ t: token }] });
    this.tokens.set(token, sid);
    return { token, sid };
  }
  /** Expired or revoked: the gateway still knows the session, and that it is over. */
  end(sid: string): void {
    this.rows.get(sid)!.ended = true;
  }
  theft: string[] = [];

  readonly answer = async (request: Request): Promise<Response> => {
    const path = new URL(request.url).pathname;
    this.seen.push(`${request.method} ${path}`);
    this.requests.push(request.clone());
    const pass = () => this.sound(request, path);
    return this.fault ? this.fault(request, pass) : pass();
  };

  private credential(request: Request): Row | undefined {
    const bearer = /^Bearer (.*)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    const cookie = /(?:^|; )sid=([^;]*)/.exec(request.headers.get("cookie") ?? "")?.[1];
    return this.rows.get(this.tokens.get(bearer ?? cookie ?? "") ?? "");
  }

  private async sound(request: Request, path: string): Promise<Response> {
    if (this.plain) return this.foreign(request, path);
    const nonce = request.headers.get("steadfast-nonce");
    const row = this.credential(request);
    const said = (response: Response, source: string, sid?: string) => {
      if (nonce) {
        response.headers.set("steadfast-nonce", nonce);
        response.headers.set("steadfast-source", source);
        if (sid) response.headers.set("steadfast-session", sid);
      }
      return response;
    };
    const denied = () => said(json(401, { title: "Unauthorized", status: 401, code: "invalid_token" }, { "www-authenticate": `Bearer realm="steadfast"${row ? ', error="invalid_token"' : ""}` }), "gateway", row?.sid);
    switch (path) {
      case "/_steadfast/ping":
        return said(json(200, { ok: true }), "gateway");
      case "/_steadfast/verify":
        if (!row || row.ended) {
          const answer = denied();
          // A cookie that is proven to be over is taken away.
          if (row?.mode == "cookie") answer.headers.set("set-cookie", "sid=; Path=/; Max-Age=0");
          return answer;
        }
        return said(json(200, { valid: true, session: row.sid, user: row.user, source: "gateway", nonce }), "gateway", row.sid);
      case "/_steadfast/login": {
        const { username, password, mode = "cookie" } = (await request.json()) as any;
        if (password != "right") return said(json(401, { code: "invalid_credentials" }, { "www-authenticate": 'Bearer realm="steadfast"' }), "gateway");
        const { token, sid } = this.open(username, mode);
        const answer = json(200, { valid: true, session: sid, user: username, mode, ...(mode == "cookie" ? {} : { token }) });
        if (mode == "cookie") answer.headers.set("set-cookie", `sid=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=99999`);
        return said(answer, "gateway", sid);
      }
      case "/_steadfast/logout": {
        if (row) row.ended = true;
        const answer = json(204, null);
        answer.headers.set("set-cookie", "sid=; Path=/; Max-Age=0");
        return said(answer, "gateway");
      }
      case "/_steadfast/refresh":
        return this.rotate(await request.json(), said);
      default:
        if (path.startsWith("/private") && (!row || row.ended)) return denied();
        return said(await this.program(request), "program", row && !row.ended ? row.sid : undefined);
    }
  }

  /** The rotating protocol as the client sees it: the same `a` gets the same child, another `a` is theft. */
  private rotate({ token, a }: { token: string; a: string }, said: (r: Response, s: string, sid?: string) => Response): Response {
    const row = this.rows.get(this.tokens.get(token) ?? "");
    const refused = () => said(json(400, { error: "invalid_grant", status: 400 }), "gateway", row?.sid);
    if (!row || row.ended || !/^[\w-]{43}$/.test(a)) return refused();
    const link = row.chain.find(({ t }) => t == token)!;
    if (link.a && link.a != a) {
      row.ended = true;
      this.theft.push(row.sid);
      return refused();
    }
    if (!link.next) {
      const [, , store, sid, c] = token.split(".");
      const t = createHash("sha256").update(token + a).digest("base64url");
      link.a = a;
      link.next = `sf1.r.${store}.${sid}.${Number(c) + 1}.${t}.${id(32)}`;
      row.chain.push({ t: link.next });
      this.tokens.set(link.next, row.sid);
    }
    return said(json(200, { token: link.next, session: row.sid }), "gateway", row.sid);
  }

  private async foreign(request: Request, path: string): Promise<Response> {
    const row = this.credential(request);
    const good = row && !row.ended;
    if (path == "/api/health") return json(200, { status: "ok" });
    if (path == "/api/auth/refresh") {
      if (!row) return json(401, { detail: "no" });
      const fresh = this.open(row.user, row.mode as "bearer");
      return json(200, { access_token: fresh.token, token_type: "bearer" });
    }
    if (path == "/api/auth/verify" || path.startsWith("/private"))
      return good ? json(200, { id: 7, email: row.user }) : json(401, { detail: "Could not validate credentials" }, { "www-authenticate": "Bearer" });
    return this.program(request);
  }
}

/** What goes wrong on the way. */
export const faults = {
  cut: (): never => {
    throw new TypeError("Failed to fetch");
  },
  hang: () => new Promise<Response>(() => {}),
  portal: () => new Response("<html>Welcome to the hotel</html>", { headers: { "content-type": "text/html" } }),
  starting: () => new Response("starting", { status: 503, headers: { "retry-after": "1" } }),
  broken: () => new Response("Internal Server Error", { status: 500 }),
  /** An intermediary that denies by itself, in JSON. */
  denying: () => json(401, { detail: "proxy says no" }, { "www-authenticate": 'Bearer error="invalid_token"' }),
  malformed: () => new Response('{"valid": tr', { headers: { "content-type": "application/json" } }),
} satisfies Record<string, Fault>;
