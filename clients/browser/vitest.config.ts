import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { esbuild: { jsx: "automatic" }, test: { name: "unit", include: ["test/unit/**/*.test.{ts,tsx}"], setupFiles: ["test/setup.ts"] } },
      {
        test: {
          name: "chromium",
          include: ["test/chromium/**/*.test.ts"],
          // One browser at a time: two cores.
          poolOptions: { forks: { singleFork: true } },
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
    ],
  },
});
