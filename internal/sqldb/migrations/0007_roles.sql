-- +goose Up
-- access: own roles; permissions are keys with spaces between them, reach says whether they also count in the organisations below
create table roles (
  id text primary key,
  org_id text not null references org_nodes (id),
  name text not null,
  name_key text not null,
  permissions text not null,
  reach text not null,
  rev bigint not null,
  created_at bigint not null,
  unique (org_id, name_key)
);
create index assignments_end on assignments (role, expires_at);
create index org_group_accounts_group on org_group_accounts (group_id, account_id);

-- account: warnings that the last administrator's access ends, once for each end and distance
create table expiry_warnings (
  org_id text not null references org_nodes (id),
  ends_at bigint not null,
  days bigint not null,
  sent_at bigint not null,
  primary key (org_id, ends_at, days)
);
