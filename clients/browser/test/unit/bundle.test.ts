// @ts-expect-error: a build script without types
import * as built from "../../build.mjs";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the bundle in the binary is what the sources say (npm run build)", async () => {
  expect(readFileSync(built.EMBEDDED, "utf8") === (await built.embedded())).toBe(true);
});

test("the core stays small: what a page pays, minified and gzipped", async () => {
  const core: string = await built.core();
  expect(built.gzipped(core)).toBeLessThan(built.CORE_BYTES_MAX);
});
