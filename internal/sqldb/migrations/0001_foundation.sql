-- +goose Up
-- Ids are text with a prefix, times are bigint microseconds (0: never), sealed and hashed values are bytea (a blob on SQLite).

-- server: one sealed canary for each sealing key, so that a wrong key file is noticed at start
create table key_checks (key_id text primary key, box bytea not null);

-- access: the tree, groups, assignments
create table org_nodes (
  id text primary key,
  parent_id text references org_nodes (id),
  kind text not null,
  state text not null,
  access text not null,
  rev bigint not null
);
create index org_nodes_parent on org_nodes (parent_id, id);

create table org_tree (
  ancestor_id text not null references org_nodes (id),
  org_id text not null references org_nodes (id),
  depth bigint not null,
  primary key (ancestor_id, org_id)
);
create index org_tree_org on org_tree (org_id, ancestor_id);

create table org_groups (
  id text primary key,
  org_id text not null references org_nodes (id),
  name text not null,
  name_key text not null,
  unique (org_id, name_key)
);
create table org_group_orgs (
  org_id text not null references org_nodes (id),
  group_id text not null references org_groups (id),
  member_id text not null references org_nodes (id),
  primary key (group_id, member_id)
);
create index org_group_orgs_member on org_group_orgs (member_id, group_id);
create table org_group_accounts (
  org_id text not null references org_nodes (id),
  group_id text not null references org_groups (id),
  account_id text not null,
  primary key (account_id, group_id)
);

create table assignments (
  id text primary key,
  org_id text not null references org_nodes (id),
  account_id text not null,
  role text not null,
  expires_at bigint not null,
  created_at bigint not null,
  unique (account_id, org_id, role)
);
create index assignments_org on assignments (org_id, role, account_id);

-- audit
create table events (
  id text primary key,
  org_id text not null,
  at bigint not null,
  action text not null,
  outcome text not null,
  reason text not null,
  actor_kind text not null,
  actor_id text not null,
  actor_org_id text not null,
  target_kind text not null,
  target_id text not null,
  request_id text not null,
  data text not null
);
create index events_org on events (org_id, id);
create index events_action on events (org_id, action, at);
create index events_target on events (org_id, target_id, id);
create table event_persons (
  event_id text primary key references events (id),
  org_id text not null,
  data text not null
);

-- outbox
create table outbox (
  id text primary key,
  org_id text not null,
  kind text not null,
  account_id text not null,
  box bytea,
  state text not null,
  due_at bigint not null,
  tries bigint not null,
  last_error text not null,
  created_at bigint not null,
  expires_at bigint not null,
  sent_at bigint not null
);
create index outbox_due on outbox (state, due_at);
create index outbox_account on outbox (account_id, id);

-- revoke
create table revocation_head (id bigint primary key, seq bigint not null);
insert into revocation_head (id, seq) values (1, 1);
create table revocations (
  kind text not null,
  subject text not null,
  seq bigint not null,
  at bigint not null,
  primary key (kind, subject)
);

-- throttle
create table throttles (
  key text primary key,
  failures bigint not null,
  blocked_until bigint not null,
  window_start bigint not null,
  updated_at bigint not null
);
create index throttles_updated on throttles (updated_at);

-- org
create table orgs (
  id text primary key references org_nodes (id),
  slug text not null,
  slug_key text not null unique,
  name text not null,
  name_key text not null,
  language text not null,
  time_zone text not null,
  country text not null,
  setup text not null,
  settings text not null,
  created_at bigint not null
);
create index orgs_name on orgs (name_key, id);

-- license
create table seats (
  org_id text primary key references org_nodes (id),
  seat_limit bigint,
  pool bigint,
  used bigint not null
);

-- account
create table accounts (
  id text primary key,
  org_id text not null references org_nodes (id),
  email text not null,
  email_key text not null,
  username text,
  username_key text,
  name text not null,
  language text not null,
  time_zone text not null,
  state text not null,
  created_at bigint not null,
  invited_at bigint not null,
  activated_at bigint not null,
  last_sign_in_at bigint not null,
  link_used_at bigint not null,
  unique (org_id, email_key),
  unique (org_id, username_key)
);
create index accounts_state on accounts (org_id, state, email_key);

create table links (
  id text primary key,
  org_id text not null references org_nodes (id),
  account_id text not null references accounts (id) on delete cascade,
  purpose text not null,
  token_hash bytea not null unique,
  state text not null,
  seq bigint not null,
  created_at bigint not null,
  expires_at bigint not null,
  used_at bigint not null
);
create index links_account on links (account_id, purpose, state);

-- factor
create table factors (
  id text primary key,
  org_id text not null references org_nodes (id),
  account_id text not null references accounts (id) on delete cascade,
  kind text not null,
  name text not null,
  state text not null,
  lookup text,
  counter bigint not null,
  box bytea,
  data text not null,
  created_at bigint not null,
  last_used_at bigint not null,
  unique (kind, lookup)
);
create index factors_account on factors (account_id, kind, state);

-- signin
create table attempts (
  id text primary key,
  org_id text references org_nodes (id),
  account_id text,
  secret_hash bytea not null unique,
  identifier text not null,
  state text not null,
  step text not null,
  seq bigint not null,
  rev bigint not null,
  data text not null,
  created_at bigint not null,
  expires_at bigint not null
);
create index attempts_expiry on attempts (expires_at);

create table sessions (
  id text primary key,
  org_id text not null references org_nodes (id),
  account_id text not null references accounts (id) on delete cascade,
  attempt_id text not null unique,
  secret_hash bytea not null unique,
  state text not null,
  seq bigint not null,
  amr text not null,
  address text not null,
  user_agent text not null,
  proved_at bigint not null,
  created_at bigint not null,
  last_used_at bigint not null,
  expires_at bigint not null
);
create index sessions_account on sessions (account_id, state, id);
create index sessions_expiry on sessions (expires_at);
