// @vitest-environment jsdom
import { act, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { useSession } from "../../src/react.js";
import { faults } from "../backend.js";
import { World } from "../world.js";

(globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;

test("a component shows the status, renders when it changes and only then, and lets go", async () => {
  const world = new World();
  const { token } = world.backend.open("ada", "bearer");
  const tab = world.tab({ mode: "bearer" });
  let renders = 0;
  const Badge = () => {
    renders++;
    const { status, user } = useSession(tab.session);
    return <p>{`${status} ${user ?? "nobody"}`}</p>;
  };
  const place = document.createElement("div");
  const root = createRoot(place);
  await act(async () => root.render(<Badge />));
  expect(place.textContent).toBe("signed-out nobody");
  await act(async () => {
    void tab.session.signIn(token);
    await world.run(100);
  });
  expect(place.textContent).toBe("signed-in ada");
  const before = renders;
  await act(async () => {
    void tab.session.verify();
    await world.run(1_000);
  });
  expect(renders).toBe(before);
  await act(async () => {
    world.backend.fault = faults.starting;
    void tab.session.verify();
    await world.run(1_000);
  });
  expect(place.textContent).toBe("waking ada");
  await act(async () => root.unmount());
  const left = renders;
  await tab.session.signOut();
  expect(renders).toBe(left);
  tab.session.close();
});

test("StrictMode mounts twice: one subscription is left, and what it shows is right", async () => {
  const world = new World();
  const { token } = world.backend.open("ada", "bearer");
  const tab = world.tab({ mode: "bearer" });
  const { subscribe } = tab.session;
  let listening = 0;
  const session = {
    ...tab.session,
    subscribe: (listener: () => void) => {
      listening++;
      const end = subscribe(listener);
      return () => (listening--, end());
    },
  };
  const Badge = () => <p>{useSession(session).status}</p>;
  const place = document.createElement("div");
  const root = createRoot(place);
  await act(async () => root.render(<StrictMode><Badge /></StrictMode>));
  expect([place.textContent, listening]).toEqual(["signed-out", 1]);
  await act(async () => {
    void tab.session.signIn(token);
    await world.run(100);
  });
  expect(place.textContent).toBe("signed-in");
  await act(async () => root.unmount());
  expect(listening).toBe(0);
  tab.session.close();
});

test("on a server it renders what is known", () => {
  const world = new World();
  const tab = world.tab({ mode: "bearer" });
  const Badge = () => <p>{useSession(tab.session).status}</p>;
  expect(renderToString(<Badge />)).toBe("<p>signed-out</p>");
  tab.session.close();
});
