import { expect, test } from "vitest";
import { decide, TABLE, type Answer, type Asked } from "../../src/decide.js";

const NOTHING: Answer = { lost: "", status: 200, json: undefined, challenge: null, nonce: null, source: null, session: null };
const STEADFAST: Asked = { sent: "n1", steadfast: true, mine: "S1", credential: true, again: false, third: false, forbidden: false };
const FOREIGN: Asked = { ...STEADFAST, sent: null, steadfast: false, mine: null };
/** An answer of the gateway to our nonce about our session. */
const gate = (status: number, more: Partial<Answer> = {}): Partial<Answer> => ({ status, json: {}, nonce: "n1", source: "gateway", session: "S1", ...more });
const bearer = 'Bearer realm="steadfast", error="invalid_token"';

/** The design's table, row by row: [what came back, answer, asked]. */
const CASES: [string, Partial<Answer>, Partial<Asked>][] = [
  ["steadfast: 200 JSON, nonce matches", gate(200, { json: { valid: true } }), STEADFAST],
  ["steadfast: 200 JSON, no nonce (a cache, a proxy)", { json: { valid: true } }, STEADFAST],
  ["steadfast: 200 JSON, another nonce (a service worker's cache)", gate(200, { nonce: "n0" }), STEADFAST],
  ["steadfast: 200 JSON of another session (a new sign-in)", gate(200, { session: "S2" }), STEADFAST],
  ["steadfast: 401, nonce, our session, gateway", gate(401, { challenge: bearer }), STEADFAST],
  ["steadfast: 401, nonce, gateway, no session named", gate(401, { challenge: bearer, session: null }), STEADFAST],
  ["steadfast: the same, after a strong denial (its cookie was taken away)", gate(401, { session: null, challenge: 'Bearer realm="steadfast"' }), { ...STEADFAST, again: true }],
  ["steadfast: 401 without nonce, after a strong denial", { status: 401, json: {} }, { ...STEADFAST, again: true }],
  ["steadfast: 401, nonce, another session (late)", gate(401, { session: "S0" }), STEADFAST],
  ["steadfast: 401 without nonce (an intermediary)", { status: 401, json: {}, challenge: bearer }, STEADFAST],
  ["steadfast: 401 with another nonce", gate(401, { nonce: "n0" }), STEADFAST],
  ["steadfast: 401 from the program", gate(401, { source: "program" }), STEADFAST],
  ["steadfast: 401 from the program, Basic", gate(401, { source: "program", challenge: "Basic realm=x" }), STEADFAST],
  ["steadfast: 401, the session's name is not known yet", gate(401), { ...STEADFAST, mine: null }],
  ["steadfast: 403", gate(403), STEADFAST],
  ["steadfast: 503, Retry-After", gate(503), STEADFAST],
  ["steadfast: refresh 400 invalid_grant, our session", gate(400, { json: { error: "invalid_grant" } }), STEADFAST],
  ["steadfast: refresh 400 invalid_grant, no session", gate(400, { json: { error: "invalid_grant" }, session: null }), STEADFAST],
  ["steadfast: refresh 400, something else", gate(400, { json: { error: "invalid_request" } }), STEADFAST],
  ["steadfast: third party's cookie did not arrive", gate(401, { session: null, challenge: 'Bearer realm="steadfast"' }), { ...STEADFAST, third: true }],
  ["not yet known as steadfast: 200 without nonce", { json: { id: 1 } }, { ...STEADFAST, steadfast: false }],
  ["foreign: 200 JSON object", { json: { id: 1 } }, FOREIGN],
  ["foreign: 200 JSON array", { json: [] }, FOREIGN],
  ["foreign: 200 true", { json: true }, FOREIGN],
  ["foreign: 200 null", { json: null }, FOREIGN],
  ["foreign: 200 valid: false", { json: { valid: false } }, FOREIGN],
  ["foreign: 204", { status: 204 }, FOREIGN],
  ["foreign: 200 HTML or malformed JSON", {}, FOREIGN],
  ['foreign: FastAPI\'s 401 {"detail": …}, Bearer', { status: 401, json: { detail: "x" }, challenge: "Bearer" }, FOREIGN],
  ["foreign: JSON 401, challenge absent or unreadable", { status: 401, json: { detail: "x" } }, FOREIGN],
  ["foreign: JSON 401, no credential was sent", { status: 401, json: { detail: "x" } }, { ...FOREIGN, credential: false }],
  ["foreign: JSON 401, Basic", { status: 401, json: {}, challenge: 'Basic realm="proxy"' }, FOREIGN],
  ["foreign: JSON 401, Negotiate", { status: 401, json: {}, challenge: "Negotiate" }, FOREIGN],
  ["foreign: HTML 401", { status: 401 }, FOREIGN],
  ["foreign: 403", { status: 403, json: { detail: "x" } }, FOREIGN],
  ["foreign: 403, old FastAPI (forbidden: denied)", { status: 403, json: { detail: "x" } }, { ...FOREIGN, forbidden: true }],
  ["network error, or a CORS-less 500", { lost: "network", status: 0 }, STEADFAST],
  ["timeout", { lost: "timeout", status: 0 }, STEADFAST],
  ["opaque redirect", { lost: "redirect", status: 0 }, STEADFAST],
  ...[400, 404, 407, 408, 422, 425, 429, 500, 502, 503, 504, 511].map((status): [string, Partial<Answer>, Asked] => [`foreign: ${status}`, { status, json: {} }, FOREIGN]),
];

test("the table, row by row", () => {
  const lines = CASES.map(([what, answer, asked]) => {
    const { verdict, row } = decide({ ...NOTHING, ...answer }, { ...STEADFAST, ...asked });
    return `${what.padEnd(66)} ${verdict.padEnd(8)} ${row}`;
  });
  expect("\n" + lines.join("\n") + "\n").toMatchSnapshot();
});

test("every row of the table decides something, and only two rows can lead to a sign-out at once or in time", () => {
  const used = new Set(CASES.map(([, answer, asked]) => decide({ ...NOTHING, ...answer }, { ...STEADFAST, ...asked }).row));
  expect([...used].sort()).toEqual(TABLE.map(([name]) => name).sort());
  expect(TABLE.filter(([, , verdict]) => verdict == "strong").map(([name]) => name)).toEqual(["ended"]);
  expect(TABLE.filter(([, , verdict]) => verdict == "weak").map(([name]) => name)).toEqual(["denied", "not-valid"]);
});

test("without its nonce coming back, no answer of a Steadfast is a denial", () => {
  for (const status of [200, 204, 301, 400, 401, 403, 404, 500, 503])
    for (const json of [undefined, {}, { valid: false }, { error: "invalid_grant" }])
      for (const nonce of [null, "another"])
        expect(decide({ ...NOTHING, status, json, nonce, source: "gateway", session: "S1" }, STEADFAST).verdict).toBe("unknown");
});
