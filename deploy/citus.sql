-- Shards the migrated tables by user, with Citus: once, on the coordinator, while the service is stopped.
--   psql "$DATABASE_URL" -v coordinator=db -v workers='db1 db2' -f deploy/citus.sql
-- Each node runs with shared_preload_libraries = 'citus', and the coordinator reaches the workers as the role
-- of DATABASE_URL. The names are those by which the nodes reach each other; workers are separated by spaces.
\set ON_ERROR_STOP on

CREATE EXTENSION IF NOT EXISTS citus;
SELECT citus_set_coordinator_host(:'coordinator');
-- Before the tables are distributed, or all shards would stay on the coordinator.
SELECT citus_add_node(name, 5432) FROM regexp_split_to_table(:'workers', '\s+') AS name;

ALTER TABLE tasks DROP CONSTRAINT fk_tasks_user_id_users;
SELECT create_distributed_table('users', 'id');
SELECT create_distributed_table('tasks', 'user_id', colocate_with => 'users');
ALTER TABLE tasks ADD CONSTRAINT fk_tasks_user_id_users FOREIGN KEY (user_id) REFERENCES users (id);

-- The rows from before the distribution, which otherwise stay on the coordinator beside the shards.
SELECT truncate_local_data_after_distributing_table('tasks');
SELECT truncate_local_data_after_distributing_table('users');

-- SET LOCAL does not reach the workers; Citus passes this on to them.
ALTER ROLE CURRENT_USER SET lock_timeout = '3s';
