import { afterEach, expect, test } from "vitest";
import type { Options } from "../../src/index.js";
import { faults } from "../backend.js";
import { FOREIGN, World } from "../world.js";

let world: World;
afterEach(() => world.tabs.forEach((tab) => tab.session.close()));
const signedIn = async (options: Options = { mode: "bearer" }) => {
  world = new World();
  world.backend.plain = !!options.verify;
  const { token, sid } = world.backend.open("ada", options.mode == "rotating" ? "rotating" : "bearer");
  const tab = world.tab(options);
  void tab.session.signIn(token);
  await world.run(3_000);
  expect(tab.status).toBe("signed-in");
  const ran: string[] = [];
  world.backend.program = async (request) => {
    ran.push(`${request.method} ${await request.text()}`);
    return new Response("done");
  };
  return { tab, token, sid, ran };
};
/** The first `times` calls of the application meet this. */
const first = (times: number, fault: (typeof faults)[keyof typeof faults]) => {
  world.backend.fault = (request, pass) => (request.url.includes("/api/x") && times-- > 0 ? (fault as any)() : pass());
};
const outcome = async (call: Promise<Response>, ms = 60_000) => {
  let end = "waits";
  call.then(
    async (response) => (end = `${response.status} ${await response.text()}`),
    (error) => (end = error.name),
  );
  await world.run(ms);
  return end;
};
/** 503 of the gateway: it has handed nothing over. */
const held = (request: Request) =>
  new Response("", { status: 503, headers: { "retry-after": "1", "steadfast-nonce": request.headers.get("steadfast-nonce")!, "steadfast-source": "gateway" } });

test.each([
  ["GET", {}, "200 done"],
  ["HEAD", {}, "200 "],
  ["OPTIONS", {}, "200 done"],
  ["PUT", {}, "200 done"],
  ["DELETE", {}, "200 done"],
  ["POST", { "idempotency-key": "k1" }, "200 done"],
  ["PATCH", { "idempotency-key": "k1" }, "200 done"],
  ["POST", {}, "TypeError"],
  ["PATCH", {}, "TypeError"],
  ["PUT", { "if-match": '"1"' }, "TypeError"],
])("network error: %s %o ends as %s", async (method, headers, end) => {
  const { tab } = await signedIn();
  if (method == "HEAD") world.backend.program = () => new Response("");
  first(3, faults.cut);
  expect(await outcome(tab.session.fetch("/api/x", { method, headers: headers as Record<string, string> }))).toBe(end);
});

test("a restart that takes longer than the deadline: the last word goes to the caller", async () => {
  const { tab } = await signedIn({ mode: "bearer", deadline: 5_000 });
  first(1e9, faults.starting);
  expect(await outcome(tab.session.fetch("/api/x"), 4_000)).toBe("waits");
  expect(await outcome(tab.session.fetch("/api/x"), 6_000)).toBe("503 starting");
  first(1e9, faults.cut);
  expect(await outcome(tab.session.fetch("/api/x"), 6_000)).toBe("TypeError");
});

test("503 with Retry-After: a POST is repeated only if the gateway says so", async () => {
  const { tab, ran } = await signedIn();
  let times = 2;
  world.backend.fault = (request, pass) => (request.url.includes("/api/x") && times-- > 0 ? held(request) : pass());
  expect(await outcome(tab.session.fetch("/api/x", { method: "POST", body: "pay" }))).toBe("200 done");
  expect(ran).toEqual(["POST pay"]);
  first(1, faults.starting);
  expect(await outcome(tab.session.fetch("/api/x", { method: "POST", body: "pay" }))).toBe("503 starting");
  expect(ran).toEqual(["POST pay"]);
});

test("503 without Retry-After, 500, 502, 404 go to the caller, whatever the method", async () => {
  const { tab } = await signedIn();
  for (const status of [404, 500, 502, 503, 504]) {
    first(1, (() => new Response("no", { status })) as any);
    expect(await outcome(tab.session.fetch("/api/x"), 1_000)).toBe(`${status} no`);
  }
});

test("ten calls with a token that has run out: one refresh, ten answers, a POST's body intact", async () => {
  const { tab, token, sid } = await signedIn({ ...FOREIGN, refresh: "/api/auth/refresh" });
  world.backend.end(sid);
  world.backend.seen.length = 0;
  const calls = Array.from({ length: 9 }, () => tab.session.fetch("/private/x"));
  calls.push(tab.session.fetch("/private/x", { method: "POST", body: "pay" }));
  const ends = Promise.all(calls).then((all) => all.map(({ status }) => status));
  await world.run(1_000);
  expect(await ends).toEqual(Array(10).fill(200));
  expect(world.backend.count("POST /api/auth/refresh")).toBe(1);
  const last = world.backend.requests.filter((it) => it.method == "POST" && it.url.endsWith("/private/x")).at(-1)!;
  expect(await last.text()).toBe("pay");
  expect(last.headers.get("authorization")).not.toBe("Bearer " + token);
  expect(tab.status).toBe("signed-in");
});

test("a 401 about an ended session goes to the caller, and the page is signed out", async () => {
  const { tab, sid } = await signedIn();
  world.backend.end(sid);
  expect((await outcome(tab.session.fetch("/private/x"), 100)).slice(0, 3)).toBe("401");
  expect(tab.status).toBe("signed-out");
});

test("a 401 about the session before is repeated with the new one", async () => {
  const { tab, sid } = await signedIn();
  const { token } = world.backend.open("ada", "bearer");
  world.backend.end(sid);
  world.backend.fault = async (request, pass) => {
    const answer = await pass();
    if (answer.status == 401 && request.url.endsWith("/private/x")) await tab.session.signIn(token);
    return answer;
  };
  world.backend.program = () => new Response("done");
  expect(await outcome(tab.session.fetch("/private/x"))).toBe("200 done");
});

test("a false 401 of one call: verified, and repeated if that can do no harm", async () => {
  const { tab, ran } = await signedIn(FOREIGN);
  first(1, faults.denying);
  expect(await outcome(tab.session.fetch("/api/x"), 1_000)).toBe("200 done");
  first(1, faults.denying);
  expect((await outcome(tab.session.fetch("/api/x", { method: "POST", body: "pay" }), 1_000)).slice(0, 3)).toBe("401");
  expect(ran).toEqual(["GET "]);
  expect(tab.shown).not.toContain("signed-out");
});

test("an application's own Authorization is left alone, and its 401 says nothing about the session", async () => {
  const { tab } = await signedIn();
  expect((await outcome(tab.session.fetch("/private/x", { headers: { authorization: "Bearer other" } }), 100)).slice(0, 3)).toBe("401");
  expect(world.backend.requests.at(-1)!.headers.get("authorization")).toBe("Bearer other");
  expect(tab.status).toBe("signed-in");
});

test("403 is the application's", async () => {
  const { tab } = await signedIn();
  world.backend.program = () => new Response("no", { status: 403 });
  expect(await outcome(tab.session.fetch("/api/x"), 100)).toBe("403 no");
  expect(tab.status).toBe("signed-in");
});

test("AbortSignal ends a call under way and one that waits", async () => {
  const { tab } = await signedIn();
  const stop = new AbortController();
  first(1e9, faults.hang);
  const under = outcome(tab.session.fetch("/api/x", { signal: stop.signal }), 1_000);
  stop.abort();
  expect(await under).toBe("AbortError");
  first(1e9, faults.starting);
  const late = new AbortController();
  const call = tab.session.fetch("/api/x", { signal: late.signal });
  call.catch(() => {});
  await world.run(300);
  late.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
  await expect(tab.session.fetch("/api/x", { signal: AbortSignal.abort() })).rejects.toThrow();
});

test("a Request object keeps its method, headers and body, and can be repeated", async () => {
  const { tab, ran } = await signedIn();
  first(2, faults.cut);
  const request = new Request("https://app.example/api/x", { method: "PUT", body: "page 7", headers: { "x-mine": "1" } });
  expect(await outcome(tab.session.fetch(request))).toBe("200 done");
  expect(ran).toEqual(["PUT page 7"]);
  expect(world.backend.requests.filter((it) => it.url.endsWith("/api/x")).at(-1)!.headers.get("x-mine")).toBe("1");
  expect(request.bodyUsed).toBe(true);
});

test("a stream goes out once, and an answer comes as a stream", async () => {
  const { tab, ran } = await signedIn();
  const stream = () => new Blob(["one ", "two"]).stream();
  expect(await outcome(tab.session.fetch("/api/x", { method: "PUT", body: stream(), duplex: "half" } as RequestInit))).toBe("200 done");
  expect(ran).toEqual(["PUT one two"]);
  first(1, faults.cut);
  expect(await outcome(tab.session.fetch("/api/x", { method: "PUT", body: stream(), duplex: "half" } as RequestInit))).toBe("TypeError");
  world.backend.program = () => new Response(new ReadableStream({ pull: (sink) => sink.enqueue(new Uint8Array(8)) }));
  const response = await tab.session.fetch("/api/x");
  const reader = response.body!.getReader();
  expect((await reader.read()).value).toHaveLength(8);
  await reader.cancel();
});

test("signed out: goes out without a credential", async () => {
  const { tab } = await signedIn();
  await tab.session.signOut();
  expect(await outcome(tab.session.fetch("/api/x"), 100)).toBe("200 done");
  expect(world.backend.requests.at(-1)!.headers.has("authorization")).toBe(false);
});

test("a bad address is the caller's mistake and is told like fetch does", async () => {
  const { tab } = await signedIn();
  await expect(tab.session.fetch("http://[", {})).rejects.toThrow(TypeError);
});

test("Retry-After as a date counts from the answer's own clock", async () => {
  const { retryAfter } = await import("../../src/answer.js");
  const at = (retry: string, date?: string) => retryAfter(new Headers({ "retry-after": retry, ...(date && { date }) }));
  expect(at("3")).toBe(3_000);
  expect(at("Wed, 21 Oct 2015 07:28:07 GMT", "Wed, 21 Oct 2015 07:28:00 GMT")).toBe(7_000);
  expect([at("Wed, 21 Oct 2099 07:28:00 GMT"), at("soon"), at("-5"), at("999999")]).toEqual([0, 0, 0, 60_000]);
});
