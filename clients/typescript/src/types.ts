import type { components } from "./schema.js";

type Schemas = components["schemas"];
export type Task = Schemas["ApiTask"];
export type NewTask = Schemas["ApiNewTask"];
export type TaskChanges = Schemas["ApiTaskChanges"];
export type Operation = Schemas["ApiBatch"]["operations"][number];
/** What the service says about a refusal (RFC 9457); `detail` is a sentence to show. */
export type Problem = Pick<Schemas["Problem"], "status" | "code" | "detail" | "errors">;
export type Result = { status: number; task?: Task; problem?: Problem };
