// The life of a credential, by a client that is typed by the contract.
//
// life.ts URL: the token is in NEBULA_TOKEN.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[]; env: Record<string, string | undefined> };

const service = createClient<paths>({ baseUrl: process.argv[2], headers: { Authorization: `Bearer ${process.env.NEBULA_TOKEN}` } });
const id = "typescript_life";
const path = { id };

type Problem = components["schemas"]["Problem"];
type Answer<T> = { data?: T; error?: unknown; response: Response };

function same(got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(`${JSON.stringify(got)}, where ${JSON.stringify(want)} was expected`);
  }
}

// done returns what was answered, with that status.
function done<T>(answer: Answer<T>, status: number): T {
  same([answer.response.status, answer.error], [status, undefined]);
  return answer.data as T;
}

// refused returns the problem that was answered, of that kind.
function refused(answer: { error?: Problem | string; response: Response }, status: number, kind: Problem["kind"]): Problem {
  const problem = answer.error as Problem;
  same([answer.response.status, problem.status, problem.kind], [status, status, kind]);
  same(answer.response.headers.get("Content-Type"), "application/problem+json");
  same(answer.response.headers.get("X-Request-Id"), problem.request_id);
  return problem;
}

const store = done(await service.GET("/v1/store"), 200);
same([store.provider, store.limits.list_items, store.abilities.versions], ["memory", 1000, true]);
same(done(await service.GET("/healthz", { parseAs: "text" }), 200), "ok\n");

// Text with tags, then bytes as they are: the tags stay.
const text = { value: "grüße", tags: { env: "prod" }, interval_days: 90 };
const first = done(await service.PUT("/v1/credentials/{id}", { params: { path, header: { "If-None-Match": "*" } }, body: text }), 201);
const got = done(await service.GET("/v1/credentials/{id}", { params: { path } }), 200);
same(typeof got === "object" && [got.value, got.encoding, got.version, got.metadata.tags, got.metadata.rotation_policy?.interval_days],
  ["grüße", "utf8", first.version, { env: "prod" }, 90]);
const bytes = new Uint8Array([0, 255, 254]);
const second = done(await service.PUT("/v1/credentials/{id}", {
  params: { path, header: { "If-Match": `"${first.version}"` } },
  headers: { "Content-Type": "application/octet-stream" },
  body: bytes as unknown as string, // the types have bytes as a string
  bodySerializer: (body) => body,
}), 200);
const raw = await service.GET("/v1/credentials/{id}", { params: { path }, headers: { Accept: "application/octet-stream" }, parseAs: "arrayBuffer" });
same([...new Uint8Array(done(raw, 200))], [...bytes]);
same([raw.response.headers.get("ETag"), raw.response.headers.get("Content-Disposition")], [`"${second.version}-raw"`, "attachment"]);
const unchanged = await service.GET("/v1/credentials/{id}", { params: { path, header: { "If-None-Match": `"${second.version}"` } }, parseAs: "stream" });
same(unchanged.response.status, 304);

// Conditions that do not hold, and a version that is older.
refused(await service.PUT("/v1/credentials/{id}", { params: { path, header: { "If-None-Match": "*" } }, body: text }), 412, "already_exists");
refused(await service.DELETE("/v1/credentials/{id}", { params: { path, header: { "If-Match": `"${first.version}"` } } }), 412, "precondition_failed");
const old = done(await service.GET("/v1/credentials/{id}", { params: { path, query: { version: first.version } } }), 200);
same(typeof old === "object" && old.value, "grüße");
const versions = done(await service.GET("/v1/credentials/{id}/versions", { params: { path } }), 200);
same(versions.items.map((v) => [v.version, v.current]), [[second.version, true], [first.version, false]]);

// Tags, what finds by them, pages.
done(await service.PATCH("/v1/credentials/{id}/tags", { params: { path }, body: { set: { team: "a=b & c" }, remove: ["env"] } }), 200);
const tagged = done(await service.GET("/v1/credentials", { params: { query: { tag: ["team=a=b & c"], prefix: "typescript_", details: true } } }), 200);
same(tagged.items.map((i) => [i.id, i.metadata?.tags]), [[id, { team: "a=b & c" }]]);
done(await service.PUT("/v1/credentials/{id}", { params: { path: { id: id + "_2" } }, body: text }), 201);
const found: string[] = [];
for (let cursor: string | undefined; ; ) {
  const page = done(await service.GET("/v1/credentials", { params: { query: { prefix: id, limit: 1, cursor } } }), 200);
  found.push(...page.items.map((i) => i.id));
  cursor = page.next;
  if (cursor === undefined) break;
}
same(found, [id, id + "_2"]);

// Several at once, one of which is not there.
const batch = done(await service.POST("/v1/batch-get", { body: { ids: [id + "_2", "absent", id] } }), 200);
same(batch.items.map((i) => ("error" in i ? i.error.kind : i.value)), ["grüße", "not_found", "AP/+"]);

// The end: deleted, restored, purged.
done(await service.HEAD("/v1/credentials/{id}", { params: { path } }), 200);
done(await service.DELETE("/v1/credentials/{id}", { params: { path } }), 204);
refused(await service.GET("/v1/credentials/{id}", { params: { path } }), 404, "not_found");
done(await service.POST("/v1/credentials/{id}/restore", { params: { path } }), 204);
refused(await service.POST("/v1/credentials/{id}/restore", { params: { path } }), 409, "conflict");
for (const end of [id, id + "_2"]) {
  done(await service.POST("/v1/credentials/{id}/purge", { params: { path: { id: end } } }), 204);
}
refused(await service.POST("/v1/credentials/{id}/restore", { params: { path } }), 404, "not_found");
const stranger = createClient<paths>({ baseUrl: process.argv[2] });
refused(await stranger.GET("/v1/store"), 401, "invalid_token");
console.log("done");
