import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { esbuild: { jsx: "automatic" }, test: { name: "unit", include: ["test/unit/**/*.test.{ts,tsx}"], setupFiles: ["test/setup.ts"] } },
      {
        test: {
          name: "chromium",
          include: ["test/chromium/**/*.test.ts"],
          // A second try is told, as in nextest: the machine that runs this may be busy with others.
          retry: 1,
          // One browser at a time: two cores.
          poolOptions: { forks: { singleFork: true } },
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
    ],
  },
});
