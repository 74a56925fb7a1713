export { createTasksClient, type TasksClient, type TasksClientOptions } from "./client.js";
export { RefusedError } from "./exchange.js";
export type { LocalTask } from "./rows.js";
export type { components, paths } from "./schema.js";
export { indexedDBStorage, memoryStorage, type TaskStorage } from "./storage.js";
export { TaskSync, type Conflict, type Status, type TaskSyncOptions } from "./sync.js";
export type { NewTask, Problem, Task, TaskChanges } from "./types.js";
