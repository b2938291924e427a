-- +goose Up
-- account: work on many people that takes longer than a request. account_id is whose rights it runs under; while somebody works at it, lease is theirs and
-- due_at is when it ends; one that waits for an answer is given up at due_at. untidy: it still has keys
create table jobs (
  id text primary key,
  org_id text not null references orgs (id) on delete cascade,
  account_id text not null,
  kind text not null,
  state text not null,
  reason text not null,
  actor text not null,
  params text not null,
  total bigint not null,
  done bigint not null,
  added bigint not null,
  there bigint not null,
  refused bigint not null,
  lease text not null,
  due_at bigint not null,
  created_at bigint not null,
  finished_at bigint not null,
  untidy bigint not null
);
create index jobs_work on jobs (due_at) where state in ('checking', 'running');
create index jobs_wait on jobs (due_at) where state in ('stored', 'columns', 'checked');
create index jobs_org on jobs (org_id, finished_at, id);
create index jobs_finished on jobs (finished_at) where finished_at > 0;
create index jobs_untidy on jobs (finished_at) where untidy = 1;
-- the lines of an import, sealed, some hundred in a part; they go with the work
create table job_parts (
  job_id text not null references jobs (id) on delete cascade,
  n bigint not null,
  box bytea not null,
  primary key (job_id, n)
);
-- in which line of an import an address or user name stands first
create table job_keys (
  job_id text not null references jobs (id) on delete cascade,
  key text not null,
  line bigint not null,
  primary key (job_id, key)
);
-- a person or a line each: what became of it
create table job_rows (
  job_id text not null references jobs (id) on delete cascade,
  n bigint not null,
  account_id text not null,
  email text not null,
  state text not null,
  reason text not null,
  args text not null,
  primary key (job_id, n)
);
create index job_rows_state on job_rows (job_id, state, n);
