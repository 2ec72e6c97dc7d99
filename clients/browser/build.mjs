// Builds dist/ (what npm gets) and the bundle that the binary serves. `--dist`: only dist/.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
export const EMBEDDED = fileURLToPath(new URL("../../crates/shell/accounts/assets/client.js", import.meta.url));
/** Bytes of the core, minified and gzipped: what a page pays. */
export const CORE_BYTES_MAX = 5_000;

const options = { absWorkingDir: here, bundle: true, format: "esm", target: "es2022", minify: true, legalComments: "none" };
const text = async (more) => (await build({ ...options, ...more, write: false })).outputFiles[0].text;

/** What every page loads. Refreshing and `session.fetch` are files of their own, which come when they are needed. */
export const core = () => text({ entryPoints: ["src/index.ts"], external: ["./renew.js", "./fetch.js"] });
export const gzipped = (code) => gzipSync(code, { level: 9 }).length;
/** The bundle of the binary. */
export const embedded = () =>
  text({
    entryPoints: ["src/embedded.ts"],
    banner: { js: "// Steadfast's browser client, built from clients/browser; MIT OR Apache-2.0" },
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fresh = await embedded();
  rmSync(here + "dist", { recursive: true, force: true });
  await build({
    ...options,
    minify: false,
    splitting: true,
    chunkNames: "[name]-[hash]",
    entryPoints: ["src/index.ts", "src/react.ts", "src/element.ts"],
    external: ["react"],
    outdir: "dist",
  });
  execFileSync(process.execPath, [here + "node_modules/typescript/bin/tsc", "-p", here + "tsconfig.json"], { stdio: "inherit" });
  if (!process.argv.includes("--dist")) {
    mkdirSync(dirname(EMBEDDED), { recursive: true });
    writeFileSync(EMBEDDED, fresh);
  }
  console.log(`core ${gzipped(await core())} bytes gzipped, embedded bundle ${gzipped(fresh)}`);
}
