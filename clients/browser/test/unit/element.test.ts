// @vitest-environment jsdom
import { expect, test } from "vitest";
import { defineStatus, type StatusElement } from "../../src/element.js";
import type { Session, Snapshot } from "../../src/index.js";

defineStatus();
defineStatus();

/** A session of which only the snapshot matters. */
const fake = () => {
  let snapshot: Snapshot = { status: "signed-in", reason: "verified", since: 0, storage: "shared" };
  const listeners = new Set<() => void>();
  const session = {
    getSnapshot: () => snapshot,
    subscribe: (listener: () => void) => (listeners.add(listener), () => listeners.delete(listener)),
  } as unknown as Session;
  return { session, listeners, to: (status: Snapshot["status"]) => ((snapshot = { ...snapshot, status }), listeners.forEach((it) => it())) };
};
const badge = (element: HTMLElement) => element.shadowRoot!.querySelector("[part=badge]")!;

test("quiet while all is well, and says what is going on otherwise", () => {
  const { session, to } = fake();
  const element = Object.assign(document.createElement("steadfast-status") as StatusElement, { session });
  document.body.append(element);
  const words: [Snapshot["status"], string][] = [
    ["signed-in", ""],
    ["reconnecting", "Reconnecting…"],
    ["waking", "The server is waking up…"],
    ["offline", "You are offline"],
    ["signed-out", ""],
  ];
  for (const [status, text] of words) {
    to(status);
    expect([status, badge(element).textContent, element.getAttribute("status")]).toEqual([status, text, status]);
  }
});

test("accessible, styleable by parts, in other words", () => {
  const { session, to } = fake();
  document.body.innerHTML = `<steadfast-status reconnecting="Verbinde neu …"></steadfast-status>`;
  const element = document.querySelector("steadfast-status") as StatusElement;
  element.session = session;
  to("reconnecting");
  expect(badge(element).getAttribute("role")).toBe("status");
  expect(badge(element).getAttribute("aria-live")).toBe("polite");
  expect(element.shadowRoot!.querySelector("[part=dot]")!.getAttribute("aria-hidden")).toBe("true");
  expect(element.shadowRoot!.querySelector("[part=text]")!.textContent).toBe("Verbinde neu …");
  element.setAttribute("reconnecting", "Einen Moment …");
  expect(badge(element).textContent).toBe("Einen Moment …");
});

test("taken from the page it lets go, put back it listens again", () => {
  const { session, to, listeners } = fake();
  const element = Object.assign(document.createElement("steadfast-status") as StatusElement, { session });
  document.body.append(element);
  expect(listeners.size).toBe(1);
  element.remove();
  expect(listeners.size).toBe(0);
  to("offline");
  document.body.append(element);
  expect(badge(element).textContent).toBe("You are offline");
});

test("a session that was set before the element was known is taken over", () => {
  const { session, to } = fake();
  const element = document.createElement("later-status") as StatusElement;
  element.session = session;
  document.body.append(element);
  defineStatus("later-status");
  to("offline");
  expect(badge(element).textContent).toBe("You are offline");
});
